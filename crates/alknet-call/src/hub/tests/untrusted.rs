//! Spokes that say what they should not.

use alknet_core::{MemoryOwnership, OwnershipRecord, OwnershipStore as _};
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast;

use super::*;
use crate::hub::books::{Books, MAX_ENDED, News};
use crate::testkit::{serving, spec};
use crate::{Access, Bundle, OperationContext};

/// A node that tells of its callers' resources what the test wants.
struct Liar {
    handler: Arc<crate::CallHandler>,
    says: broadcast::Sender<Value>,
}

impl Liar {
    fn new(first: Vec<Value>) -> Self {
        let registry = Arc::new(Registry::new());
        let says = broadcast::Sender::new(10_000);
        let told = says.clone();
        let watch = move |_: OperationContext, _: Value| {
            let later = stream::unfold(told.subscribe(), async |mut told| Some((told.recv().await.ok()?, told)));
            stream::iter(first.clone()).chain(later).map(Ok)
        };
        registry.add(Bundle::subscription(spec("resources/watch", Access::Public), watch)).unwrap();
        // It says more of its operations than it keeps to.
        let thing_use = spec("thing/use", Access::Public).with_resource("thing", "use", Some("/id".parse().unwrap()));
        let thing_spawn = spec("thing/spawn", Access::Public).with_spawns("thing", "/id".parse().unwrap());
        let described = json!({ "operations": [thing_use.to_json(), thing_spawn.to_json()] });
        let describe = move |_: OperationContext, _: Value| std::future::ready(Ok(described.clone()));
        registry.register(spec("services/schema", Access::Public), describe).unwrap();
        for name in ["thing/use", "thing/spawn"] {
            registry.register(spec(name, Access::Public), async |_: OperationContext, input: Value| Ok(input)).unwrap();
        }
        Self { handler: serving(&registry), says }
    }

    fn say(&self, event: Value) {
        self.says.send(event).unwrap();
    }
}

fn snapshot() -> Value {
    json!({ "snapshot": [] })
}

fn thing(id: &str, claim: Value) -> Value {
    json!({ "type": "thing", "id": id, "claim": claim })
}

async fn hub_of(liar: &Liar) -> (HubNode, Wire) {
    let hub = HubNode::new();
    let wire = hub.dialed_by(&liar.handler, "worker-a");
    hub.has("a/thing/use").await;
    (hub, wire)
}

#[tokio::test]
async fn what_a_spoke_says_stays_under_its_prefix_and_its_kinds() {
    let liar = Liar::new(vec![
        json!({ "snapshot": [thing("good", json!({ "id": "alice" })), { "type": "b/thing", "id": "x", "claim": { "id": "mallory" } }] }),
    ]);
    let hub = HubNode::exporting(vec![export("a"), export("b")]);
    let local = ["thing", "b/thing", "a", "tty"].map(|kind| OwnershipRecord::new(kind, "local", "alice"));
    for record in local {
        hub.store.record(record).await.unwrap();
    }
    let before = hub.books();
    let _wire = hub.dialed_by(&liar.handler, "worker-a");
    hub.has("a/thing/use").await;
    let mallory = json!({ "id": "mallory" });
    for kind in ["../thing", "", "/", "tty", "b/thing", "a/thing", "thing/", "Thing", "thing\u{0}"] {
        liar.say(json!({ "recorded": { "type": kind, "id": "local", "claim": mallory } }));
        liar.say(json!({ "revoked": { "type": kind, "id": "local" } }));
        liar.say(json!({ "recorded": { "type": kind, "id": "other", "claim": mallory } }));
    }
    liar.say(json!({ "recorded": thing("last", json!({ "id": "bob" })) }));
    until(|| hub.books().contains(&row("a/thing", "last", "bob"))).await;
    let mut expected = before;
    expected.extend([row("a/thing", "good", "alice"), row("a/thing", "last", "bob")]);
    assert_eq!(hub.books(), expected);
}

#[tokio::test]
async fn garbage_is_passed_over() {
    let liar = Liar::new(vec![snapshot()]);
    let (hub, _wire) = hub_of(&liar).await;
    for garbage in [
        json!(null),
        json!([]),
        json!({}),
        json!("snapshot"),
        json!({ "snapshot": 5 }),
        json!({ "recorded": [] }),
        json!({ "recorded": { "type": 5, "id": "x" } }),
        json!({ "recorded": { "type": "thing" } }),
        json!({ "revoked": "thing" }),
        json!({ "later": { "type": "thing", "id": "x" } }),
        json!({ "recorded": thing(&"x".repeat(513), json!({ "id": "alice" })) }),
    ] {
        liar.say(garbage);
    }
    // What says of nobody whose it is is nobody's.
    let owner = "x".repeat(3000);
    for claim in [
        json!(null),
        json!("alice"),
        json!(["alice"]),
        json!({ "id": 5 }),
        json!({ "name": "alice" }),
        json!({ "id": owner }),
    ] {
        liar.say(json!({ "recorded": thing(&format!("claim-{}", claim.to_string().len()), claim) }));
    }
    liar.say(json!({ "recorded": thing("good", json!({ "id": "alice", "forwarded_for": { "id": "carol" } })) }));
    until(|| !hub.books().is_empty()).await;
    assert_eq!(hub.books(), [row("a/thing", "good", "alice")].into());
    let claim = &hub.store.watch(None).snapshot[0].claim;
    assert_eq!(claim.as_deref(), Some(r#"{"id":"carol"}"#));
}

#[tokio::test]
async fn what_begins_with_no_snapshot_is_not_exported() {
    for first in [vec![json!({ "recorded": thing("x", json!({ "id": "alice" })) })], vec![]] {
        let is_silent = first.is_empty();
        let liar = Liar::new(first);
        let hub = HubNode::new();
        let _wire = hub.dialed_by(&liar.handler, "worker-a");
        until(|| hub.peers.client("worker-a").is_some()).await;
        until(|| !is_silent || hub.peers.client("worker-a").unwrap().pending() == 1).await;
        for _ in 0..100 {
            assert!(hub.registry.spec("a/thing/use").is_none() && hub.books().is_empty());
            tokio::task::yield_now().await;
        }
        assert_eq!(code(&hub.user("alice").uses("a", "x").await), Some(ErrorCode::Unavailable));
    }
}

#[tokio::test]
async fn the_last_that_is_said_of_an_id_counts() {
    let liar = Liar::new(vec![json!({ "snapshot": [thing("x", json!({ "id": "alice" }))] })]);
    let (hub, _wire) = hub_of(&liar).await;
    assert_eq!(hub.books(), [row("a/thing", "x", "alice")].into());
    let (alice, bob) = (hub.user("alice"), hub.user("bob"));
    // A change may be in the snapshot and among the events, which is no reason to end anything.
    let revocation = alknet_core::OwnershipProvider::revocation(&*hub.store, "a/thing", "x");
    liar.say(json!({ "recorded": thing("x", json!({ "id": "alice" })) }));
    liar.say(json!({ "recorded": thing("y", json!({ "id": "alice" })) }));
    until(|| hub.books().len() == 2).await;
    assert!(!revocation.is_cancelled());
    liar.say(json!({ "recorded": thing("x", json!({ "id": "bob" })) }));
    until(|| hub.books().contains(&row("a/thing", "x", "bob"))).await;
    assert!(revocation.is_cancelled());
    assert_eq!(code(&alice.uses("a", "x").await), Some(ErrorCode::Forbidden));
    assert!(bob.uses("a", "x").await.is_ok());
    liar.say(json!({ "recorded": thing("x", Value::Null) }));
    until(|| hub.books().len() == 1).await;
    assert_eq!(code(&bob.uses("a", "x").await), Some(ErrorCode::Forbidden));
    liar.say(json!({ "revoked": { "type": "thing", "id": "never" } }));
    liar.say(snapshot());
    until(|| hub.books().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_is_never_told_of_is_answered_in_the_end_and_is_nobodys() {
    let liar = Liar::new(vec![snapshot()]);
    let (hub, _wire) = hub_of(&liar).await;
    let alice = hub.user("alice");
    let spawned =
        tokio::time::timeout(std::time::Duration::from_secs(3), alice.call("a/thing/spawn", json!({ "id": "x" })));
    assert_eq!(spawned.await.unwrap().unwrap(), json!({ "id": "x" }));
    assert_eq!(code(&alice.uses("a", "x").await), Some(ErrorCode::Forbidden));
    // One that has ended by then, or has no id, is not waited for.
    liar.say(json!({ "recorded": thing("y", json!({ "id": "alice" })) }));
    liar.say(json!({ "revoked": { "type": "thing", "id": "y" } }));
    liar.say(json!({ "recorded": thing("z", json!({ "id": "alice" })) }));
    until(|| !hub.books().is_empty()).await;
    let start = tokio::time::Instant::now();
    for input in [json!({ "id": "y" }), json!({ "id": "z" }), json!({ "id": 5 }), json!({})] {
        alice.call("a/thing/spawn", input).await.unwrap();
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(1));
    // An answer that comes before its event waits for that.
    let spawning = tokio::spawn({
        let alice = alice.clone();
        async move { alice.call("a/thing/spawn", json!({ "id": "late" })).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    liar.say(json!({ "recorded": thing("late", json!({ "id": "alice" })) }));
    spawning.await.unwrap().unwrap();
    assert!(alice.uses("a", "late").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_id_that_has_ended_is_waited_for_when_the_peer_may_have_been_restarted() {
    let claimed = |id| thing(id, json!({ "id": "alice" }));
    let before = Liar::new(vec![json!({ "snapshot": [claimed("there"), claimed("ended")] })]);
    let (hub, wire) = hub_of(&before).await;
    before.say(json!({ "revoked": { "type": "thing", "id": "ended" } }));
    until(|| hub.books().len() == 1).await;
    wire.cut();
    hub.lacks("a/thing/use").await;
    let after = Liar::new(vec![snapshot()]);
    let _wire = hub.dialed_by(&after.handler, "worker-a");
    hub.has("a/thing/use").await;
    for id in ["there", "ended"] {
        let bob = hub.user("bob");
        let spawning = tokio::spawn(async move {
            bob.call("a/thing/spawn", json!({ "id": id })).await.unwrap();
            bob.uses("a", id).await
        });
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        after.say(json!({ "recorded": thing(id, json!({ "id": "bob" })) }));
        assert!(spawning.await.unwrap().is_ok(), "{id}");
    }
}

fn books(store: &Arc<MemoryOwnership>) -> Books {
    let (mounts, _) = Mount::of(vec![export("a")]);
    let books = Books::new(mounts.into_iter().next().unwrap(), store.clone());
    books.follow(["a/thing".into()].into());
    books
}

fn revoked(n: usize) -> Value {
    json!({ "revoked": { "type": "thing", "id": n.to_string() } })
}

fn recorded(n: usize) -> Value {
    json!({ "recorded": thing(&n.to_string(), json!({ "id": "alice" })) })
}

#[tokio::test]
async fn the_books_have_a_limit() {
    const LIMIT: usize = 2000;
    let store = Arc::new(MemoryOwnership::default());
    let books = books(&store).with_limit(LIMIT);
    let there = || (store.watch(None).snapshot.len(), books.sizes());
    for n in 0..LIMIT + 100 {
        books.enter(books.read(&recorded(n)).unwrap()).await;
    }
    assert_eq!(there(), (LIMIT, (LIMIT, 0)));
    // An end is remembered even of what was left out: a caller may wait for it.
    for n in [LIMIT, LIMIT + 1000] {
        books.enter(books.read(&revoked(n)).unwrap()).await;
    }
    assert_eq!(there(), (LIMIT, (LIMIT, 2)));
    for n in 0..LIMIT {
        books.enter(books.read(&revoked(n)).unwrap()).await;
    }
    assert_eq!(there(), (0, (0, MAX_ENDED)));
    let all: Vec<_> = (0..LIMIT + 100).map(|n| recorded(n)["recorded"].clone()).collect();
    books.enter(books.read(&json!({ "snapshot": all })).unwrap()).await;
    assert_eq!(there(), (LIMIT, (LIMIT, 0)), "the first snapshot begins anew");
    books.enter(News::Snapshot(vec![])).await;
    assert_eq!(there(), (0, (0, MAX_ENDED)));
}

#[tokio::test]
async fn books_that_are_opened_go_on_with_what_is_under_their_prefix() {
    let store = Arc::new(MemoryOwnership::default());
    for (kind, id, owner) in [
        ("a/thing", "x", "alice"),
        ("a/thing", "y", "alice"),
        ("a/old", "x", "alice"),
        ("ab/thing", "x", "alice"),
        ("thing", "x", "alice"),
    ] {
        store.record(OwnershipRecord::new(kind, id, owner)).await.unwrap();
    }
    let books = books(&store);
    let kept = alknet_core::OwnershipProvider::revocation(&*store, "a/thing", "x");
    books.enter(News::Snapshot(vec![])).await;
    assert!(kept.is_cancelled());
    let rest: Vec<_> = store.watch(None).snapshot.iter().map(|record| record.kind.to_string()).collect();
    assert_eq!(rest, ["ab/thing", "thing"]);
    // Somebody else's record under the prefix, which cannot be, does not stay.
    store.record(OwnershipRecord::new("a/thing", "z", "mallory")).await.unwrap();
    books.enter(books.read(&json!({ "recorded": thing("z", json!({ "id": "alice" })) })).unwrap()).await;
    assert!(store.watch(Some("mallory")).snapshot.is_empty());
    assert_eq!(store.watch(Some("alice")).snapshot.len(), 3);
}
