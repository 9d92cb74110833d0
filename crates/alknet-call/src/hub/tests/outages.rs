//! Connections that are lost, and nodes that start anew.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::testkit::remote;

/// What alice gets who has a thing, and what becomes of those who have not.
async fn expect_away(world: &World, id: &str) {
    let World { hub, alice, bob, .. } = world;
    for user in [alice, bob] {
        for (operation, input) in
            [("use", json!({ "id": id })), ("spawn", Value::Null), ("list", Value::Null), ("nothing", Value::Null)]
        {
            let error = user.call(&format!("a/thing/{operation}"), input).await.unwrap_err();
            assert_eq!((&error.code, error.retryable), (&ErrorCode::Unavailable, true), "{operation}: {error}");
        }
        let error = user.watch("a", id).await.err().unwrap();
        assert_eq!(error.code, ErrorCode::Unavailable);
    }
    for scopes in [&[][..], &["other:use"]] {
        let mallory = User(client_of(&hub.handler, auth_of("mallory", scopes)));
        assert_eq!(code(&mallory.uses("a", id).await), Some(ErrorCode::NotFound));
    }
    let stranger = User(client_of(&hub.handler, crate::testkit::nobody()));
    assert_eq!(code(&stranger.uses("a", id).await), Some(ErrorCode::NotFound));
}

#[tokio::test]
async fn before_the_spoke_has_ever_come_it_is_away() {
    let hub = HubNode::new();
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    // Its registry is enough of a spoke to be cut off.
    let spoke = Spoke::new();
    let wire = hub.dialed_by(&spoke.handler, "somebody-else");
    expect_away(&World { spoke, hub, wire, alice, bob }, "t-1").await;
}

#[tokio::test]
async fn while_the_spoke_is_away_records_stay_and_calls_are_unavailable() {
    let mut world = world().await;
    let id = world.alice.spawn("a").await;
    for _ in 0..5 {
        let mut events = world.alice.watch("a", &id).await.unwrap();
        world.wire.cut();
        let error = remote(events.next().await.unwrap());
        assert_eq!((&error.code, error.retryable), (&ErrorCode::Unavailable, true));
        world.hub.lacks("a/thing/use").await;
        expect_away(&world, &id).await;
        assert_eq!(world.hub.books(), [row("a/thing", &id, "alice")].into());
        world.wire = world.hub.join(&world.spoke).await;
        assert_eq!(world.alice.uses("a", &id).await.unwrap(), json!({ "used": id }));
        assert_eq!(code(&world.bob.uses("a", &id).await), Some(ErrorCode::Forbidden));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_ever_finds_that_there_is_nothing() {
    let World { hub, spoke, alice, wire, .. } = world().await;
    let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let asking = tokio::spawn({
        let (stop, answers) = (stop.clone(), answers.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                match alice.call("a/plain/echo", Value::Null).await {
                    Ok(_) => drop(answers.fetch_add(1, Ordering::SeqCst)),
                    Err(error) => assert_eq!(error.code, ErrorCode::Unavailable),
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let mut wire = wire;
    for _ in 0..20 {
        let before = answers.load(Ordering::SeqCst);
        until(|| answers.load(Ordering::SeqCst) > before || asking.is_finished()).await;
        wire.cut();
        hub.lacks("a/plain/echo").await;
        wire = hub.join(&spoke).await;
    }
    stop.store(true, Ordering::SeqCst);
    asking.await.unwrap();
}

#[tokio::test]
async fn what_ended_while_the_spoke_was_away_is_gone() {
    let World { hub, spoke, alice, wire, .. } = world().await;
    let (one, other) = (alice.spawn("a").await, alice.spawn("a").await);
    wire.cut();
    hub.lacks("a/thing/use").await;
    spoke.end(&one).await;
    let _wire = hub.join(&spoke).await;
    assert_eq!(hub.books(), [row("a/thing", &other, "alice")].into());
    assert_eq!(code(&alice.uses("a", &one).await), Some(ErrorCode::Forbidden));
    assert_eq!(alice.list("a").await, [other]);
}

#[tokio::test]
async fn a_spoke_that_starts_anew_has_nothing_of_anybodys() {
    let World { hub, alice, bob, wire, .. } = world().await;
    alice.spawn("a").await;
    alice.spawn("a").await;
    wire.cut();
    hub.lacks("a/thing/use").await;
    let spoke = Spoke::new();
    let _wire = hub.join(&spoke).await;
    assert!(hub.books().is_empty());
    // It counts from the beginning again.
    let id = bob.spawn("a").await;
    assert_eq!(id, "t-1");
    assert_eq!(bob.uses("a", &id).await.unwrap(), json!({ "used": id }), "as soon as it is answered");
    assert_eq!(code(&alice.uses("a", &id).await), Some(ErrorCode::Forbidden));
}

#[tokio::test]
async fn an_id_that_is_another_users_by_now_is_taken_from_who_had_it() {
    let World { hub, alice, bob, wire, .. } = world().await;
    let id = alice.spawn("a").await;
    let mut told = alice.0.subscribe("resources/watch", &()).await.unwrap();
    told.next().await.unwrap().unwrap();
    wire.cut();
    hub.lacks("a/thing/use").await;
    // While this hub was cut off, bob has come to the spoke through the hub's other instance.
    let (spoke, other) = (Spoke::new(), HubNode::new());
    let _second = other.join(&spoke).await;
    assert_eq!(other.user("bob").spawn("a").await, id);
    let _wire = hub.join(&spoke).await;
    assert_eq!(hub.books(), [row("a/thing", &id, "bob")].into());
    assert_eq!(told.next().await.unwrap().unwrap(), json!({ "revoked": { "type": "a/thing", "id": id } }));
    assert_eq!(code(&alice.uses("a", &id).await), Some(ErrorCode::Forbidden));
    assert!(bob.uses("a", &id).await.is_ok());
}

#[tokio::test]
async fn a_hub_that_starts_anew_is_told_whose_things_there_are() {
    let World { hub, spoke, alice, bob, wire } = world().await;
    let (alices, bobs) = (alice.spawn("a").await, bob.spawn("a").await);
    let before = hub.books();
    wire.cut();
    drop((hub, alice, bob));
    let hub = HubNode::new();
    let _wire = hub.join(&spoke).await;
    assert_eq!(hub.books(), before);
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    assert_eq!((alice.list("a").await, bob.list("a").await), (vec![alices.clone()], vec![bobs.clone()]));
    assert!(alice.uses("a", &alices).await.is_ok() && bob.uses("a", &bobs).await.is_ok());
    assert_eq!(code(&bob.uses("a", &alices).await), Some(ErrorCode::Forbidden));
}

#[tokio::test]
async fn a_reload_keeps_the_books_and_gives_the_names_on() {
    let World { mut hub, spoke, alice, bob, .. } = world().await;
    let (id, other) = (alice.spawn("a").await, alice.spawn("a").await);
    for _ in 0..10 {
        hub.export(vec![export("a")]);
        // At once: whoever calls in this moment is not told that there is nothing.
        assert_ne!(code(&alice.uses("a", &id).await), Some(ErrorCode::NotFound));
        let alice = alice.clone();
        let again = async || {
            while code(&alice.call("a/plain/echo", Value::Null).await) == Some(ErrorCode::Unavailable) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(4), again()).await.expect("it does not wait for a retry");
        assert_eq!(alice.uses("a", &id).await.unwrap(), json!({ "used": id }));
    }
    spoke.end(&other).await;
    until(|| hub.books() == [row("a/thing", &id, "alice")].into()).await;
    assert!(bob.list("a").await.is_empty());
}

#[tokio::test]
async fn of_two_connections_of_a_spoke_the_newest_serves() {
    let World { hub, spoke, alice, wire, .. } = world().await;
    let id = alice.spawn("a").await;
    let newer = hub.dialed_by(&spoke.handler, "worker-a");
    // The older one may hang for long before anybody notices.
    until(|| newer.client.pending() == 0 && hub.peers.client("worker-a").is_some_and(|client| client.pending() == 2))
        .await;
    hub.has("a/thing/use").await;
    assert_eq!(alice.uses("a", &id).await.unwrap(), json!({ "used": id }));
    let mut events = alice.watch("a", &id).await.unwrap();
    wire.cut();
    assert_eq!(alice.uses("a", &id).await.unwrap(), json!({ "used": id }));
    newer.cut();
    assert_eq!(remote(events.next().await.unwrap()).code, ErrorCode::Unavailable);
    hub.lacks("a/thing/use").await;
    assert_eq!(hub.books(), [row("a/thing", &id, "alice")].into());
}

#[tokio::test(start_paused = true)]
async fn a_spoke_that_tells_too_much_at_once_is_asked_again() {
    let World { hub, spoke, alice, .. } = world().await;
    let id = alice.spawn("a").await;
    let claim = json!({ "id": "alice" }).to_string();
    // More than a watcher may be behind; between two of them nobody gets to run.
    for n in 0..1000 {
        use futures_util::FutureExt as _;
        let record = alknet_core::OwnershipRecord::new("thing", format!("x-{n}"), "hub").with_claim(Some(&*claim));
        spoke.store.record(record).now_or_never().unwrap().unwrap();
    }
    spoke.end(&id).await;
    spoke.end("x-0").await;
    until(|| hub.books().len() == 999).await;
    assert!(!hub.books().contains(&row("a/thing", &id, "alice")));
    assert!(alice.uses("a", "x-999").await.is_ok());
}
