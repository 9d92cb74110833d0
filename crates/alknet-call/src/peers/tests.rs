mod importing;
mod reconnecting;

use std::time::Duration;

use alknet_core::{Fingerprint, MemoryIdentities, Peer};
use serde_json::{Value, json};

use super::*;
use crate::testkit::{Wire, auth_of, client_of, nobody, remote, serving, spec, until};
use crate::{Access, Bundle, CallHandler, CallLimits, CallOptions, ClientError, ErrorCode, OperationContext, Registry};

/// A node that others dial.
struct Hub {
    peers: Arc<Peers>,
    handler: Arc<CallHandler>,
}

impl Hub {
    fn new() -> Self {
        let peers = Peers::new();
        let handler = CallHandler::new(Arc::new(Registry::new()), CallLimits::default()).with_watcher(peers.clone());
        Self { peers, handler: Arc::new(handler) }
    }

    /// A connection of the peer `id`, which serves what is in `registry`.
    fn dialed_by(&self, id: &str, registry: &Arc<Registry>) -> Wire {
        Wire::new((&serving(registry), auth_of(id, &[])), (&self.handler, auth_of("hub", &[])))
    }

    async fn ask(&self, peer: &PeerRef, operation: &str) -> Value {
        self.peers.call(peer, operation, &(), CallOptions::new()).await.unwrap()
    }
}

/// Operations that answer with the name of their node.
fn node(name: &'static str, operations: &[&'static str]) -> Arc<Registry> {
    let registry = Arc::new(Registry::new());
    let facts = || unreachable!("nobody asks");
    crate::builtin::register(&registry, crate::builtin::BuiltinSources { facts, peers: Vec::new }).unwrap();
    for operation in operations {
        registry
            .register(spec(operation, Access::Public), move |_: OperationContext, _| {
                std::future::ready(Ok(json!(name)))
            })
            .unwrap();
    }
    registry
}

fn specific(id: &str) -> PeerRef {
    PeerRef::Specific(id.into())
}

#[tokio::test]
async fn a_peer_is_there_for_as_long_as_its_connection() {
    let hub = Hub::new();
    assert!(hub.peers.statuses().is_empty() && hub.peers.client("a").is_none());
    let wire = hub.dialed_by("a", &node("a", &["t/who"]));
    until(|| hub.peers.client("a").is_some()).await;
    assert_eq!(hub.ask(&specific("a"), "/t/who").await, "a");
    let statuses = hub.peers.statuses();
    assert_eq!((statuses.len(), &*statuses[0].id, statuses[0].connected), (1, "a", true));
    assert_eq!((statuses[0].transport, statuses[0].operations), (Some("pipe"), 0));
    wire.cut();
    until(|| hub.peers.statuses().is_empty()).await;
    assert!(hub.peers.client("a").is_none());
}

#[tokio::test]
async fn a_stranger_whose_key_becomes_a_peers_is_there_from_then_on() {
    let hub = Hub::new();
    let identities = Arc::new(MemoryIdentities::default());
    let stranger = AuthContext::new([Fingerprint::Ed25519([7; 32])], identities.clone());
    let caller = (&serving(&node("a", &["t/who"])), auth_of("hub", &[]));
    let wire = Wire::new((caller.0, stranger), (&hub.handler, caller.1));
    wire.client.call("services/list", &()).await.unwrap_err();
    assert!(hub.peers.statuses().is_empty());
    let identity = Arc::new(crate::testkit::identity("a", &[]));
    let peer = Peer { identity, fingerprints: vec![Fingerprint::Ed25519([7; 32])], tokens: vec![], enabled: true };
    identities.set(vec![peer]).unwrap();
    until(|| hub.peers.client("a").is_some()).await;
    assert_eq!(hub.ask(&specific("a"), "/t/who").await, "a");
    wire.cut();
    until(|| hub.peers.statuses().is_empty()).await;
}

#[tokio::test]
async fn of_several_connections_to_a_peer_the_newest_is_used_that_there_is() {
    let hub = Hub::new();
    let first = hub.dialed_by("a", &node("first", &["t/who"]));
    until(|| hub.peers.client("a").is_some()).await;
    let (number, _) = hub.peers.wait_for("a").await;
    let second = hub.dialed_by("a", &node("second", &["t/who"]));
    hub.peers.superseded("a", number).await;
    assert_eq!(hub.ask(&specific("a"), "t/who").await, "second");
    assert_eq!(hub.peers.statuses().len(), 1);
    second.cut();
    until(|| hub.peers.newest("a").is_some_and(|(newest, _)| newest == number)).await;
    assert_eq!(hub.ask(&specific("a"), "t/who").await, "first");
    first.cut();
    hub.peers.superseded("a", number).await;
    assert!(hub.peers.client("a").is_none());
}

#[tokio::test]
async fn a_connection_that_has_ended_is_not_used_even_if_its_guard_is_there() {
    let (hub, peers) = (Hub::new(), Peers::new());
    let (old, new) = (client_of(&hub.handler, nobody()), client_of(&hub.handler, nobody()));
    let guards = [peers.enter("a".into(), new.clone()), peers.enter("a".into(), old.clone())];
    old.connection().close(alknet_core::CloseCode::DONE, "");
    until(|| old.is_closed()).await;
    let newest = peers.newest("a").unwrap().0;
    assert_eq!(newest, guards[0].number);
    new.connection().close(alknet_core::CloseCode::DONE, "");
    until(|| new.is_closed()).await;
    assert!(peers.client("a").is_none() && peers.statuses().is_empty());
    drop(guards);
    assert!(peers.connected().is_empty(), "nothing is left of it");
}

#[tokio::test]
async fn each_coming_and_going_is_a_change() {
    let (hub, mut changes) = (Hub::new(), None);
    let changes = changes.insert(hub.peers.changes());
    assert!(!changes.has_changed().unwrap());
    let guard = hub.peers.enter("a".into(), client_of(&hub.handler, nobody()));
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    drop(guard);
    assert!(changes.has_changed().unwrap());
}

#[tokio::test]
async fn a_guard_may_outlive_the_peers() {
    let hub = Hub::new();
    let peers = Peers::new();
    let guard = peers.enter("a".into(), client_of(&hub.handler, nobody()));
    drop(peers);
    drop(guard);
}

#[tokio::test]
async fn strangers_are_no_peers() {
    let hub = Hub::new();
    let stranger = Wire::new((&serving(&node("x", &[])), nobody()), (&hub.handler, auth_of("hub", &[])));
    let known = hub.dialed_by("a", &node("a", &[]));
    until(|| hub.peers.client("a").is_some()).await;
    assert_eq!(remote(stranger.client.call("t/x", &()).await).code, ErrorCode::NotFound, "it is served all the same");
    assert_eq!(hub.peers.statuses().len(), 1);
    drop(known);
}

#[tokio::test]
async fn who_is_not_there_is_named() {
    let hub = Hub::new();
    let _wire = hub.dialed_by("a", &node("a", &["t/who"]));
    until(|| hub.peers.client("a").is_some()).await;
    let error = async |peer| {
        let error = hub.peers.call(&peer, "/t/other", &(), CallOptions::new()).await.unwrap_err();
        assert!(matches!(error, ClientError::NotConnected { .. }), "{error}");
        error.to_string()
    };
    assert_eq!(error(specific("b")).await, "the peer \"b\" is not connected");
    for peer in [PeerRef::Any, PeerRef::RoundRobin, PeerRef::LeastLoaded] {
        assert_eq!(error(peer).await, "a peer that serves /t/other is not connected");
    }
    let subscription = hub.peers.subscribe(&PeerRef::Any, "t/other", &(), CallOptions::new()).await;
    assert!(matches!(subscription.err().unwrap(), ClientError::NotConnected { .. }));
}

#[tokio::test]
async fn a_call_goes_to_who_serves_it() {
    let hub = Hub::new();
    let nodes = [node("a", &["t/x"]), node("b", &["t/x", "t/y"]), node("c", &["t/y"])];
    let _wires: Vec<_> = ["a", "b", "c"].iter().zip(&nodes).map(|(id, node)| hub.dialed_by(id, node)).collect();
    until(|| hub.peers.statuses().len() == 3).await;
    assert_eq!(hub.ask(&PeerRef::Any, "t/x").await, "a");
    assert_eq!(hub.ask(&PeerRef::Any, "t/y").await, "b");
    let operations: Vec<_> = hub.peers.statuses().iter().map(|status| status.operations).collect();
    assert_eq!(operations, [5, 6, 5], "the built-in ones are for the hub, too");
    let mut subscription = hub.peers.subscribe(&PeerRef::Any, "t/y", &(), CallOptions::new()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), "b");
}

#[tokio::test]
async fn operations_that_are_called_in_turns_each_go_round() {
    let hub = Hub::new();
    let nodes = [node("a", &["t/x", "t/y"]), node("b", &["t/x", "t/y"]), node("c", &["t/x"])];
    let _wires: Vec<_> = ["a", "b", "c"].iter().zip(&nodes).map(|(id, node)| hub.dialed_by(id, node)).collect();
    until(|| hub.peers.statuses().len() == 3).await;
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        xs.push(hub.ask(&PeerRef::RoundRobin, "t/x").await);
        ys.push(hub.ask(&PeerRef::RoundRobin, "t/y").await);
    }
    assert_eq!(xs, ["a", "b", "c", "a", "b", "c"]);
    assert_eq!(ys, ["a", "b", "a", "b", "a", "b"]);
    assert!(hub.peers.route(&PeerRef::RoundRobin, "t/z").await.is_err());
    assert_eq!(hub.peers.turns.lock().unwrap().len(), 2, "what nobody serves takes no memory");
}

#[tokio::test]
async fn a_call_goes_to_who_has_least_to_do() {
    let hub = Hub::new();
    let hang = |registry: &Arc<Registry>| {
        let silent = |_: OperationContext, _: Value| futures_util::stream::pending();
        registry.add(Bundle::subscription(spec("t/hang", Access::Public), silent)).unwrap();
    };
    let nodes = [node("a", &["t/who"]), node("b", &["t/who"])];
    nodes.iter().for_each(hang);
    let _wires: Vec<_> = ["a", "b"].iter().zip(&nodes).map(|(id, node)| hub.dialed_by(id, node)).collect();
    until(|| hub.peers.statuses().len() == 2).await;
    let mut held = Vec::new();
    for (expected, busy) in [("a", "a"), ("b", "b"), ("a", "a"), ("b", "a"), ("b", "b"), ("b", "b"), ("a", "b")] {
        assert_eq!(hub.ask(&PeerRef::LeastLoaded, "t/who").await, expected, "{} are held", held.len());
        held.push(hub.peers.subscribe(&specific(busy), "t/hang", &(), CallOptions::new()).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_say_what_it_serves_holds_nobody_up_for_long() {
    let hub = Hub::new();
    let mute = Arc::new(Registry::new());
    let hang = async |_: OperationContext, _: Value| std::future::pending().await;
    mute.register(spec("services/list", Access::Public), hang).unwrap();
    let _wires = [hub.dialed_by("a", &mute), hub.dialed_by("b", &node("b", &["t/who"]))];
    until(|| hub.peers.statuses().len() == 2).await;
    let asks = (0..10).map(|_| hub.ask(&PeerRef::Any, "t/who"));
    let answers = tokio::time::timeout(Duration::from_secs(6), futures_util::future::join_all(asks)).await.unwrap();
    assert_eq!(answers, ["b"; 10]);
}

#[tokio::test(start_paused = true)]
async fn operations_that_come_and_go_at_a_peer_are_seen_in_time() {
    let (hub, registry) = (Hub::new(), node("a", &["t/old"]));
    let _wire = hub.dialed_by("a", &registry);
    until(|| hub.peers.client("a").is_some()).await;
    assert!(hub.peers.route(&PeerRef::Any, "t/new").await.is_err());
    registry.register(spec("t/new", Access::Public), async |_: OperationContext, _| Ok(json!(1))).unwrap();
    registry.remove("t/old").unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(hub.peers.route(&PeerRef::Any, "t/new").await.is_ok());
    assert!(hub.peers.route(&PeerRef::Any, "t/old").await.is_err());
}

#[tokio::test]
async fn what_a_peer_says_that_is_no_list_is_no_operation() {
    let hub = Hub::new();
    for (id, said) in
        [("a", json!(5)), ("b", json!({ "services": 5 })), ("c", json!({ "services": [{}, { "name": "t/x" }] }))]
    {
        let registry = Arc::new(Registry::new());
        let answer = move |_: OperationContext, _: Value| std::future::ready(Ok(said.clone()));
        registry.register(spec("services/list", Access::Public), answer).unwrap();
        let _wire = hub.dialed_by(id, &registry);
        until(|| hub.peers.client(id).is_some()).await;
        assert!(hub.peers.route(&PeerRef::Any, "t/x").await.is_err(), "{id}");
    }
}

#[tokio::test]
async fn a_client_hears_that_the_other_end_has_gone() {
    let hub = Hub::new();
    let (io, far) = tokio::io::duplex(1024);
    let (client, serving) = hub.handler.serve(crate::testkit::connection(io), nobody());
    let serving = tokio::spawn(serving);
    // As over TLS: the end of the stream is all that there is to see, and nobody closes the connection.
    drop(far);
    client.closed().await;
    assert!(client.is_closed());
    serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_dialed_may_call_at_once() {
    let (hub, node) = (Hub::new(), node("a", &["t/who"]));
    for n in 0..300 {
        let peers = hub.peers.clone();
        let calling = tokio::spawn(async move { peers.wait_for("a").await.1.call("t/who", &()).await });
        let wire = hub.dialed_by("a", &node);
        assert_eq!(calling.await.unwrap().unwrap(), "a", "connection {n}");
        wire.cut();
        until(|| hub.peers.statuses().is_empty()).await;
    }
}
