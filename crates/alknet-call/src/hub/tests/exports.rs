//! What is exported, under which prefix and to whom.

use super::*;
use crate::testkit::{context, identity, next, spec};
use crate::{Access, OperationContext, OperationSpec};

#[tokio::test]
async fn two_spokes_with_equal_ids_do_not_mix() {
    let (one, two) = (Spoke::new(), Spoke::new());
    let hub = HubNode::exporting(vec![export("a"), export("b")]);
    let _wires = [hub.join_as(&one, "a").await, hub.join_as(&two, "b").await];
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    assert_eq!((alice.spawn("a").await, bob.spawn("b").await), ("t-1".to_owned(), "t-1".to_owned()));
    assert_eq!(hub.books(), [row("a/thing", "t-1", "alice"), row("b/thing", "t-1", "bob")].into());
    assert!(alice.uses("a", "t-1").await.is_ok() && bob.uses("b", "t-1").await.is_ok());
    assert_eq!(code(&alice.uses("b", "t-1").await), Some(ErrorCode::Forbidden));
    assert_eq!(code(&bob.uses("a", "t-1").await), Some(ErrorCode::Forbidden));
    assert!(alice.list("b").await.is_empty());
    one.end("t-1").await;
    until(|| hub.books().len() == 1).await;
    assert!(bob.uses("b", "t-1").await.is_ok());
}

#[tokio::test]
async fn exports_of_one_prefix_share_it_each_with_its_scopes() {
    let (spoke, things) = (Spoke::new(), Export { operations: vec!["thing/*".parse().unwrap()], ..export("a") });
    let plain = Export {
        operations: vec!["**".parse().unwrap()],
        required_scopes: vec!["plain:use".parse().unwrap()],
        ..export("a")
    };
    let hub = HubNode::exporting(vec![things, plain]);
    let _wire = hub.join(&spoke).await;
    let alice = hub.user("alice");
    let id = alice.spawn("a").await;
    assert!(alice.uses("a", &id).await.is_ok());
    assert_eq!(code(&alice.call("a/plain/echo", json!(1)).await), Some(ErrorCode::Forbidden));
    let carol = User(client_of(&hub.handler, auth_of("carol", &["plain:use"])));
    assert_eq!(carol.call("a/plain/echo", json!(1)).await.unwrap(), 1);
    assert_eq!(code(&carol.uses("a", &id).await), Some(ErrorCode::Forbidden));
}

#[tokio::test]
async fn without_scopes_of_its_own_an_export_asks_for_what_the_spoke_asks_for() {
    let spoke = Spoke::new();
    let scoped = spec("deep/op", Access::Scopes(vec!["deep:use".parse().unwrap()]));
    spoke.registry.register(scoped, async |_, _| Ok(json!(1))).unwrap();
    let hub = HubNode::exporting(vec![Export { required_scopes: vec![], ..export("a") }]);
    let _wire = hub.join(&spoke).await;
    let (plain, deep) = (hub.user("alice"), User(client_of(&hub.handler, auth_of("deep", &["deep:use"]))));
    assert_eq!(plain.call("a/plain/echo", json!(1)).await.unwrap(), 1);
    assert_eq!(code(&plain.call("a/deep/op", Value::Null).await), Some(ErrorCode::Forbidden));
    assert_eq!(deep.call("a/deep/op", Value::Null).await.unwrap(), 1);
}

#[tokio::test]
async fn a_hub_behind_a_hub_keeps_the_users_apart_too() {
    let (spoke, middle) = (Spoke::new(), HubNode::new());
    let inner = middle.join(&spoke).await;
    let mut outer = HubNode::exporting(vec![export("m")]);
    let join = |outer: &HubNode| {
        let caller = auth_of("hub", &["thing:use", "call:forward"]);
        Wire::new((&middle.handler, auth_of("worker-m", &[])), (&outer.handler, caller))
    };
    let _wire = join(&outer);
    outer.has("m/a/thing/use").await;
    let (alice, bob) = (outer.user("alice"), outer.user("bob"));
    let id = alice.spawn("m/a").await;
    assert!(alice.uses("m/a", &id).await.is_ok());
    assert_eq!(code(&bob.uses("m/a", &id).await), Some(ErrorCode::Forbidden));
    assert_eq!(middle.books(), [row("a/thing", &id, "hub")].into());
    let claim = json!({ "id": "hub", "forwarded_for": { "id": "alice" } });
    assert_eq!(spoke.owned_by("hub"), [(id.clone(), claim)]);
    // The outermost one forgets, and is told again what the innermost one knows.
    outer = HubNode::exporting(vec![export("m")]);
    let _wire = join(&outer);
    outer.has("m/a/thing/use").await;
    assert_eq!(outer.books(), [row("m/a/thing", &id, "alice")].into());
    let alice = outer.user("alice");
    let mut events = alice.watch("m/a", &id).await.unwrap();
    spoke.end(&id).await;
    assert!(events.next().await.unwrap().is_err());
    until(|| outer.books().is_empty() && middle.books().is_empty()).await;
    drop(inner);
}

#[test]
fn prefixes_are_words_and_stand_apart() {
    let error = |exports: &[Export]| Hub::check(exports).unwrap_err().to_string();
    for bad in ["", "A", "a/", "/a", "a//b", "-a", "a b", "a/b/c/d/e/f/g/h"] {
        assert!(error(&[export(bad)]).contains("cannot stand before the operations"), "{bad:?}");
    }
    for (one, other) in [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a")] {
        let message = error(&[export(one), export("x"), export(other)]);
        assert!(message.contains("overlap: give each peer a prefix of its own"), "{one} {other}: {message}");
    }
    let two_peers = [export("a"), Export { peer: "worker-b".into(), ..export("a") }];
    assert!(error(&two_peers).contains("\"worker-b\""));
    assert_eq!(Hub::check(&[export("a"), export("ab"), export("b/a"), export("b/ab"), export("a")]), Ok(()));
}

#[tokio::test]
async fn what_cannot_be_exported_takes_nothing_else_away() {
    let spoke = Spoke::new();
    let hub = HubNode::exporting(vec![export("A"), export("a"), export("a/b")]);
    let _wire = hub.join(&spoke).await;
    assert_eq!(hub.user("alice").spawn("a").await, "t-1");
}

#[tokio::test(start_paused = true)]
async fn names_that_are_taken_are_exported_as_soon_as_they_are_free() {
    let (spoke, hub) = (Spoke::new(), HubNode::new());
    hub.registry.register(spec("a/plain/echo", Access::Public), async |_, _| Ok(json!("own"))).unwrap();
    let _wire = hub.dialed_by(&spoke.handler, "worker-a");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let alice = hub.user("alice");
    assert_eq!(alice.call("a/plain/echo", json!(1)).await.unwrap(), "own");
    assert_eq!(code(&alice.uses("a", "t-1").await), Some(ErrorCode::Unavailable), "all or none");
    hub.registry.remove("a/plain/echo").unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(1), hub.has("a/thing/use")).await.unwrap();
    assert_eq!(alice.call("a/plain/echo", json!(1)).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_exported_yet_is_asked_again() {
    let (spoke, hub) = (Spoke::new(), HubNode::new());
    let hidden = spoke.registry.remove("services/schema").unwrap();
    let _wire = hub.dialed_by(&spoke.handler, "worker-a");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let alice = hub.user("alice");
    assert_eq!(code(&alice.call("a/plain/echo", json!(1)).await), Some(ErrorCode::Unavailable));
    let echo = spoke.registry.spec("plain/echo").unwrap().to_json();
    let describe = move |_: OperationContext, _: Value| std::future::ready(Ok(json!({ "operations": [echo] })));
    spoke.registry.register(OperationSpec::clone(&hidden), describe).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(10), hub.has("a/plain/echo")).await.unwrap();
    assert_eq!(alice.call("a/plain/echo", json!(1)).await.unwrap(), 1);
}

#[tokio::test]
async fn what_comes_and_goes_at_the_spoke_does_so_at_the_hub() {
    let World { spoke, hub, alice, .. } = world().await;
    let id = alice.spawn("a").await;
    spoke.registry.register(spec("plain/new", Access::Identified), async |_, _| Ok(json!("new"))).unwrap();
    hub.has("a/plain/new").await;
    assert_eq!(alice.call("a/plain/new", Value::Null).await.unwrap(), "new");
    spoke.registry.remove("plain/new").unwrap();
    hub.lacks("a/plain/new").await;
    // Nothing else is different, nor whose it is.
    assert!(alice.uses("a", &id).await.is_ok());
    assert_eq!(code(&hub.user("bob").uses("a", &id).await), Some(ErrorCode::Forbidden));
}

#[tokio::test]
async fn nothing_is_left_when_the_hub_goes() {
    let World { mut hub, alice, .. } = world().await;
    assert!(alice.call("a/plain/echo", json!(1)).await.is_ok());
    hub.hub = None;
    hub.lacks("a/plain/echo").await;
    // The reservations go with it.
    until(|| Arc::strong_count(&hub.peers) == 2).await;
    assert_eq!(code(&alice.call("a/plain/echo", json!(1)).await), Some(ErrorCode::NotFound));
    let mut told =
        hub.registry.subscribe("resources/watch", Value::Null, context(Some(identity("alice", &[])))).unwrap();
    assert_eq!(next(&mut told).await.unwrap().unwrap(), json!({ "snapshot": [] }));
}
