mod exports;
mod outages;
mod sequences;
mod untrusted;
mod world;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::testkit::{Wire, auth_of, client_of, until};
use crate::{CallOptions, ErrorCode, Provenance};
use world::{HubNode, Spoke, User, code, end_of, export, row};

struct World {
    spoke: Spoke,
    hub: HubNode,
    wire: Wire,
    alice: User,
    bob: User,
}

async fn world() -> World {
    let (spoke, hub) = (Spoke::new(), HubNode::new());
    let wire = hub.join(&spoke).await;
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    World { spoke, hub, wire, alice, bob }
}

fn names(registry: &Registry) -> Vec<String> {
    registry.specs().iter().map(|spec| spec.name.to_string()).filter(|name| name.starts_with("a/")).collect()
}

#[tokio::test]
async fn operations_and_kinds_stand_under_the_prefix() {
    let World { hub, .. } = world().await;
    let expected = [
        "a/plain/echo",
        "a/thing/end",
        "a/thing/list",
        "a/thing/lost",
        "a/thing/spawn",
        "a/thing/use",
        "a/thing/watch",
    ];
    assert_eq!(names(&hub.registry), expected);
    for name in expected {
        let spec = hub.registry.spec(name).unwrap();
        assert_eq!(spec.access, crate::Access::Scopes(vec!["thing:use".parse().unwrap()]), "{name}");
        assert_eq!(hub.registry.provenance(name), Some(Provenance::FromCall));
    }
    let kind =
        |name: &str| hub.registry.spec(name).unwrap().resource.as_ref().map(|resource| resource.kind.to_string());
    assert_eq!(kind("a/thing/use").as_deref(), Some("a/thing"));
    assert_eq!(&*hub.registry.spec("a/thing/spawn").unwrap().spawns.as_ref().unwrap().kind, "a/thing");
    let resumes = hub.registry.spec("a/thing/watch").unwrap().resumes.clone().unwrap();
    assert_eq!((resumes.event.to_string(), resumes.input.to_string()), ("/next".to_owned(), "/from".to_owned()));
    assert_eq!(&*hub.registry.spec("a/thing/list").unwrap().lists.as_ref().unwrap().kind, "a/thing");
}

#[tokio::test]
async fn what_every_node_has_and_what_would_show_too_much_is_not_exported() {
    let World { hub, alice, .. } = world().await;
    for name in ["thing/names", "thing/tail", "resources/list", "resources/watch", "services/list", "node/info"] {
        assert!(hub.registry.spec(&format!("a/{name}")).is_none(), "{name}");
        // The peer is there, so there is nothing to wait for.
        assert_eq!(code(&alice.call(&format!("a/{name}"), Value::Null).await), Some(ErrorCode::NotFound), "{name}");
    }
}

#[tokio::test]
async fn who_lacks_the_scope_gets_nowhere() {
    let World { hub, .. } = world().await;
    let mallory = User(client_of(&hub.handler, auth_of("mallory", &["other:use"])));
    for name in names(&hub.registry).iter().filter(|name| *name != "a/thing/watch") {
        assert_eq!(code(&mallory.call(name, Value::Null).await), Some(ErrorCode::Forbidden), "{name}");
    }
    let list = mallory.call("services/list", Value::Null).await.unwrap();
    assert!(!list.to_string().contains("/a/"), "{list}");
}

#[tokio::test]
async fn what_was_spawned_is_the_callers_as_soon_as_it_is_answered() {
    let World { hub, alice, spoke, .. } = world().await;
    for n in 1..=50 {
        let id = alice.spawn("a").await;
        assert_eq!(id, format!("t-{n}"));
        assert_eq!(alice.uses("a", &id).await.unwrap(), json!({ "used": id }));
    }
    assert_eq!(alice.list("a").await.len(), 50);
    assert_eq!(hub.books().len(), 50);
    assert_eq!(spoke.owned_by("hub").len(), 50);
    let _events = alice.watch("a", "t-7").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_spawns_at_once_each_find_their_owner() {
    let World { hub, .. } = world().await;
    let spawns = (0..100).map(|n| {
        let user = hub.user(["alice", "bob", "carol"][n % 3]);
        tokio::spawn(async move {
            let id = user.spawn("a").await;
            user.uses("a", &id).await.unwrap();
        })
    });
    for spawn in spawns.collect::<Vec<_>>() {
        spawn.await.unwrap();
    }
    assert_eq!(hub.books().len(), 100);
}

#[tokio::test]
async fn anothers_thing_and_none_are_the_same_to_a_caller() {
    let World { hub, alice, bob, .. } = world().await;
    let id = alice.spawn("a").await;
    for operation in ["a/thing/use", "a/thing/watch", "a/thing/end"] {
        let errors = [&id, "t-999"].map(|id| {
            let input = json!({ "id": id });
            let bob = bob.clone();
            async move { bob.call(operation, input).await.unwrap_err() }
        });
        let [anothers, none] = errors;
        let (anothers, none) = (anothers.await, none.await);
        assert_eq!(anothers.code, ErrorCode::Forbidden);
        assert_eq!(json!(anothers).to_string(), json!(none).to_string(), "{operation}");
    }
    assert!(bob.watch("a", &id).await.is_err());
    assert!(bob.list("a").await.is_empty());
    assert_eq!(bob.call("resources/list", Value::Null).await.unwrap(), json!({ "resources": [] }));
    assert_eq!(alice.list("a").await, [&*id]);
    assert_eq!(alice.uses("a", &id).await.unwrap(), json!({ "used": id }));
    assert_eq!(hub.books(), [row("a/thing", &id, "alice")].into());
}

#[tokio::test]
async fn the_spoke_sees_the_hub_as_the_owner_and_the_user_as_its_claim() {
    let World { hub: _hub, spoke, alice, bob, .. } = world().await;
    let forged = CallOptions::new().forwarded_for(json!({ "id": "alice" }));
    alice.spawn("a").await;
    bob.0.call_with("a/thing/spawn", &(), forged).await.unwrap();
    let claims = [("t-1".to_owned(), json!({ "id": "alice" })), ("t-2".to_owned(), json!({ "id": "bob" }))];
    assert_eq!(spoke.owned_by("hub"), claims);
    assert!(spoke.owned_by("alice").is_empty());
}

#[tokio::test]
async fn saying_to_call_for_somebody_gives_nothing() {
    let World { hub, spoke, alice, bob, .. } = world().await;
    let id = alice.spawn("a").await;
    let forged = || CallOptions::new().forwarded_for(json!({ "id": "alice" }));
    let input = json!({ "id": id });
    for operation in ["a/thing/use", "a/thing/end"] {
        let error = crate::testkit::remote(bob.0.call_with(operation, &input, forged()).await);
        assert_eq!(error.code, ErrorCode::Forbidden);
    }
    let list = bob.0.call_with("a/thing/list", &(), forged()).await.unwrap();
    assert_eq!(list, json!({ "things": [] }));
    let spawned = bob.0.call_with("a/thing/spawn", &(), forged()).await.unwrap();
    let bobs = spawned["thing"]["id"].as_str().unwrap();
    assert_eq!(hub.books(), [row("a/thing", &id, "alice"), row("a/thing", bobs, "bob")].into());
    // Nor at the spoke itself, where bob may happen to be known.
    let direct = client_of(&spoke.handler, auth_of("bob", &[]));
    let error = crate::testkit::remote(direct.call_with("thing/use", &input, forged()).await);
    assert_eq!(error.code, ErrorCode::Forbidden);
    direct.call_with("thing/spawn", &(), forged()).await.unwrap();
    assert_eq!(alice.list("a").await, [id], "what bob spawned there is not the hub's");
    assert_eq!(hub.books().len(), 2);
}

#[tokio::test]
async fn a_list_that_is_not_where_it_should_be_is_shown_to_nobody() {
    let World { hub: _hub, alice, bob, .. } = world().await;
    alice.spawn("a").await;
    for user in [alice, bob] {
        let error = user.call("a/thing/lost", Value::Null).await.unwrap_err();
        assert_eq!((error.code, &*error.message), (ErrorCode::Internal, "internal error"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_at_the_spoke_ends_everything_at_the_hub_within_a_second() {
    let World { hub, spoke, alice, .. } = world().await;
    let (id, other) = (alice.spawn("a").await, alice.spawn("a").await);
    let mut told = alice.0.subscribe("resources/watch", &()).await.unwrap();
    let snapshot = told.next().await.unwrap().unwrap();
    assert_eq!(snapshot["snapshot"][0], json!({ "type": "a/thing", "id": id, "claim": null }));
    let (mut events, mut kept) = (alice.watch("a", &id).await.unwrap(), alice.watch("a", &other).await.unwrap());
    spoke.end(&id).await;
    assert_eq!(end_of(&mut events).await.code, ErrorCode::Forbidden);
    assert_eq!(told.next().await.unwrap().unwrap(), json!({ "revoked": { "type": "a/thing", "id": id } }));
    assert_eq!(code(&alice.uses("a", &id).await), Some(ErrorCode::Forbidden));
    assert_eq!(hub.books(), [row("a/thing", &other, "alice")].into());
    assert!(tokio::time::timeout(std::time::Duration::from_secs(10), kept.next()).await.is_err(), "the other goes on");
    alice.call("a/thing/end", json!({ "id": other })).await.unwrap();
    assert_eq!(end_of(&mut kept).await.code, ErrorCode::Forbidden);
    until(|| hub.books().is_empty()).await;
}

#[tokio::test]
async fn what_the_hub_itself_spawned_there_is_nobodys() {
    let World { hub, wire, alice, .. } = world().await;
    let itself = hub.peers.client("worker-a").unwrap();
    itself.call("thing/spawn", &()).await.unwrap();
    let id = alice.spawn("a").await;
    assert_eq!(hub.books(), [row("a/thing", &id, "alice")].into());
    assert_eq!(alice.list("a").await, [id]);
    drop(wire);
}

#[tokio::test]
async fn a_caller_that_disappears_leaves_nothing_or_what_is_its_own() {
    use std::sync::atomic::Ordering;
    let World { hub, spoke, alice, bob, .. } = world().await;
    let spawn = |user: &User| {
        let user = user.clone();
        tokio::spawn(async move { user.call("a/thing/spawn", json!("slow")).await })
    };
    let before = spawn(&alice);
    until(|| spoke.pace.spawning.load(Ordering::SeqCst) == 1).await;
    before.abort();
    // A message behind it on the same way has overtaken nothing.
    // What is left are the hub's own two subscriptions.
    until(|| hub.peers.client("worker-a").unwrap().pending() == 2).await;
    alice.call("a/plain/echo", Value::Null).await.unwrap();
    assert!(spoke.owned_by("hub").is_empty() && hub.books().is_empty());
    let after = spawn(&alice);
    until(|| spoke.pace.spawning.load(Ordering::SeqCst) == 2).await;
    spoke.pace.begin.notify_waiters();
    until(|| !spoke.owned_by("hub").is_empty()).await;
    after.abort();
    let id = spoke.owned_by("hub")[0].0.clone();
    until(|| !hub.books().is_empty()).await;
    assert_eq!(hub.books(), [row("a/thing", &id, "alice")].into());
    assert_eq!(code(&bob.uses("a", &id).await), Some(ErrorCode::Forbidden));
    assert_eq!(alice.list("a").await, [&*id], "what lives there she can find, and end");
    alice.call("a/thing/end", json!({ "id": id })).await.unwrap();
}
