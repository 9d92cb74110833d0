//! Operations of another node as operations of this one.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::testkit::{context, identity};
use crate::{CallError, EventStream, OperationAdapter as _, OperationPattern, OperationSpec, Overlay, Provenance};
use futures_util::{StreamExt as _, stream};

/// Two nodes, the nearer of which has imported from the other one.
struct Nodes {
    near: Arc<Registry>,
    handler: Arc<CallHandler>,
    wire: Wire,
    _overlay: Overlay,
    running: Arc<AtomicUsize>,
}

struct Runs(Arc<AtomicUsize>);

impl Runs {
    fn new(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::SeqCst);
        Self(running.clone())
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn far(running: &Arc<AtomicUsize>) -> Arc<Registry> {
    let registry = node("far", &["t/who", "other/who", "a/t/who", "peers/who"]);
    let seen = async |context: OperationContext, input: Value| {
        Ok(json!({
            "identity": context.identity.map(|who| who.id.to_string()),
            "forwarded_for": context.forwarded_for,
            "seconds": context.time_limit.as_secs(),
            "input": input,
        }))
    };
    registry.register(spec("t/seen", Access::Public), seen).unwrap();
    let seen = |context: OperationContext, input: Value| stream::iter([Ok(json!(context.forwarded_for)), Ok(input)]);
    registry.add(Bundle::subscription(spec("t/seen-all", Access::Public), seen)).unwrap();
    let fails = async |_: OperationContext, input: Value| -> Result<Value, CallError> {
        Err(serde_json::from_value(input).unwrap())
    };
    registry.register(spec("t/fails", Access::Public), fails).unwrap();
    let fails = |_: OperationContext, input: Value| {
        stream::iter([Ok(json!("first")), Err(serde_json::from_value(input).unwrap())])
    };
    registry.add(Bundle::subscription(spec("t/fails-later", Access::Public), fails)).unwrap();
    let counted = running.clone();
    let hang = move |_: OperationContext, _: Value| {
        let runs = Runs::new(&counted);
        async move {
            let _runs = runs;
            std::future::pending().await
        }
    };
    registry.register(spec("t/hang", Access::Public), hang).unwrap();
    let counted = running.clone();
    let silent = move |_: OperationContext, _: Value| {
        let runs = Runs::new(&counted);
        stream::once(async { Ok(json!("first")) }).chain(stream::pending()).inspect(move |_| {
            let _ = &runs;
        })
    };
    registry.add(Bundle::subscription(spec("t/silent", Access::Public), silent)).unwrap();
    registry.register(spec("t/for-others", Access::Scopes(vec!["t:x".parse().unwrap()])), hang_for_ever).unwrap();
    registry
}

async fn hang_for_ever(_: OperationContext, _: Value) -> Result<Value, CallError> {
    std::future::pending().await
}

fn patterns(patterns: &[&str]) -> Vec<OperationPattern> {
    patterns.iter().map(|pattern| pattern.parse().unwrap()).collect()
}

async fn nodes() -> Nodes {
    let running = Arc::default();
    let handler = serving(&far(&running));
    let near = Arc::new(Registry::new());
    let near_handler = serving(&near);
    let wire = Wire::new((&near_handler, auth_of("near", &[])), (&handler, auth_of("far", &[])));
    let client = wire.client.clone();
    let adapter = FromCall::new(move || Ok(client.clone()), patterns(&["t/*"]));
    let bundles = adapter.import().await.unwrap().into_iter().map(Bundle::exported).collect();
    let _overlay = near.install(bundles).unwrap();
    Nodes { near, handler: near_handler, wire, _overlay, running }
}

impl Nodes {
    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    async fn call(&self, name: &str, input: Value, context: OperationContext) -> Result<Value, CallError> {
        self.near.invoke(name, input, context).await
    }

    fn subscribe(&self, name: &str, input: Value, context: OperationContext) -> EventStream {
        self.near.subscribe(name, input, context).unwrap()
    }
}

fn alice() -> OperationContext {
    context(Some(identity("alice", &[])))
}

async fn imported(operations: &[&str]) -> Vec<Bundle> {
    let handler = serving(&far(&Arc::default()));
    let near = serving(&Arc::new(Registry::new()));
    let wire = Wire::new((&near, auth_of("near", &[])), (&handler, auth_of("far", &[])));
    let client = wire.client.clone();
    FromCall::new(move || Ok(client.clone()), patterns(operations)).import().await.unwrap()
}

fn names(bundles: &[Bundle]) -> Vec<String> {
    bundles.iter().map(|bundle| bundle.spec().name.to_string()).collect()
}

#[tokio::test]
async fn what_patterns_name_is_imported_as_it_is_described() {
    assert_eq!(names(&imported(&["t/who", "*/who"]).await), ["other/who", "t/who"]);
    assert_eq!(names(&imported(&["t/s*"]).await), ["t/seen", "t/seen-all", "t/silent"]);
    assert!(imported(&["x/*"]).await.is_empty() && imported(&[]).await.is_empty());
    let bundle = imported(&["t/silent"]).await.remove(0);
    assert_eq!((bundle.provenance(), bundle.spec().kind), (Provenance::FromCall, crate::OperationKind::Subscription));
    let registry = Registry::new();
    registry.add(bundle).unwrap();
    let error = registry.invoke("t/silent", Value::Null, alice()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "what is imported is internal");
}

#[tokio::test]
async fn what_every_node_has_and_what_this_one_may_not_call_is_not_imported() {
    let all = names(&imported(&["**"]).await);
    assert!(all.contains(&"a/t/who".to_owned()) && all.contains(&"other/who".to_owned()));
    assert!(!all.contains(&"t/for-others".to_owned()), "it is not shown to this node");
    let is_built_in = |name: &String| {
        ["services/", "node/", "resources/", "metrics/", "config/", "peers/"].iter().any(|it| name.starts_with(it))
    };
    assert!(!all.iter().any(is_built_in), "{all:?}");
    assert!(imported(&["services/*", "node/info", "resources/**"]).await.is_empty());
}

#[tokio::test]
async fn a_peer_that_describes_nothing_is_told_from_one_that_is_away() {
    let registry = Arc::new(Registry::new());
    registry.register(spec("services/schema", Access::Public), async |_: OperationContext, _| Ok(json!({}))).unwrap();
    let client = client_of(&serving(&registry), nobody());
    let error = FromCall::new(move || Ok(client.clone()), patterns(&["**"])).specs().await.unwrap_err();
    assert!(matches!(error, crate::AdapterError::Misunderstood(_)), "{error}");
    let away = || Err(ClientError::NotConnected { peer: "the peer \"a\"".into() });
    let error = FromCall::new(away, patterns(&["**"])).specs().await.unwrap_err();
    assert!(matches!(error, crate::AdapterError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn a_description_that_is_not_understood_takes_none_of_the_others_away() {
    let registry = Arc::new(Registry::new());
    let good = OperationSpec::new("t/good".parse().unwrap()).to_json();
    let described = json!({ "operations": [{ "name": "/t/bad", "kind": "dance" }, 5, good, { "name": "No" }] });
    let answer = move |_: OperationContext, _: Value| std::future::ready(Ok(described.clone()));
    registry.register(spec("services/schema", Access::Public), answer).unwrap();
    let client = client_of(&serving(&registry), nobody());
    let specs = FromCall::new(move || Ok(client.clone()), patterns(&["**"])).specs().await.unwrap();
    assert_eq!(specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["t/good"]);
}

#[tokio::test]
async fn the_peer_sees_this_node_as_the_caller_and_the_end_user_beside_it() {
    let nodes = nodes().await;
    let seen = nodes.call("t/seen", json!([1]), alice()).await.unwrap();
    let expected = json!({ "identity": "near", "forwarded_for": { "id": "alice" }, "seconds": 30, "input": [1] });
    assert_eq!(seen, expected);
    let mut claiming = alice();
    claiming.forwarded_for = Some(json!({ "id": "carol" }));
    assert_eq!(nodes.call("t/seen", json!([1]), claiming).await.unwrap(), expected, "she may not speak for others");
    let mut nested = context(Some(identity("alice", &["call:forward"])));
    nested.forwarded_for = Some(json!({ "id": "carol", "forwarded_for": { "id": "dave" } }));
    let whom = json!({ "id": "alice", "forwarded_for": { "id": "carol", "forwarded_for": { "id": "dave" } } });
    assert_eq!(nodes.call("t/seen", json!(1), nested.clone()).await.unwrap()["forwarded_for"], whom);
    let events: Vec<_> = nodes.subscribe("t/seen-all", json!("in"), nested).map(Result::unwrap).collect().await;
    assert_eq!(events, [whom, json!("in")]);
}

#[tokio::test]
async fn a_stranger_is_forwarded_as_nobody() {
    let registry = Arc::new(Registry::new());
    registry
        .register(spec("t/seen", Access::Public), async |context: OperationContext, _| Ok(json!(context.forwarded_for)))
        .unwrap();
    let client = client_of(&serving(&registry), nobody());
    let spec = spec("t/seen", Access::Public);
    let forward = FromCall::new(move || Ok(client.clone()), vec![]).forward(&spec);
    assert_eq!(forward.run(context(None), Value::Null).await.unwrap(), json!({ "id": null }));
}

#[tokio::test]
async fn what_is_said_of_the_end_user_has_a_limit() {
    let nodes = nodes().await;
    let mut long = context(Some(identity("alice", &["call:forward"])));
    long.forwarded_for = Some(json!("x".repeat(2048)));
    let error = nodes.call("t/seen", Value::Null, long.clone()).await.unwrap_err();
    assert_eq!((error.code, &*error.message), (ErrorCode::InvalidInput, "forwarded_for has more than 2048 bytes"));
    let error = nodes.subscribe("t/seen-all", Value::Null, long.clone()).next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
    long.forwarded_for = Some(json!("x".repeat(2000)));
    assert!(nodes.call("t/seen", Value::Null, long).await.is_ok());
}

#[tokio::test]
async fn the_peers_errors_pass_as_they_are() {
    let nodes = nodes().await;
    for error in [
        json!({ "code": "BUSY", "message": "later", "retryable": true, "details": { "after": 5 } }),
        json!({ "code": "FORBIDDEN", "message": "not yours", "retryable": false }),
        json!({ "code": "INTERNAL", "message": "internal error", "retryable": false }),
    ] {
        let called = nodes.call("t/fails", error.clone(), alice()).await.unwrap_err();
        assert_eq!(json!(called), error);
        let events: Vec<_> = nodes.subscribe("t/fails-later", error.clone(), alice()).collect().await;
        assert_eq!((events.len(), events[0].as_ref().unwrap()), (2, &json!("first")));
        assert_eq!(json!(events[1].clone().unwrap_err()), error);
    }
}

#[tokio::test]
async fn a_peer_that_is_lost_is_unavailable_for_the_time_being() {
    let nodes = nodes().await;
    let mut events = nodes.subscribe("t/silent", Value::Null, alice());
    assert_eq!(events.next().await.unwrap().unwrap(), "first");
    let (near, call) = (nodes.near.clone(), alice());
    let call = tokio::spawn(async move { near.invoke("t/hang", Value::Null, call).await });
    until(|| nodes.running() == 2).await;
    nodes.wire.cut();
    let errors = [
        call.await.unwrap().unwrap_err(),
        events.next().await.unwrap().unwrap_err(),
        nodes.call("t/who", Value::Null, alice()).await.unwrap_err(),
        nodes.subscribe("t/silent", Value::Null, alice()).next().await.unwrap().unwrap_err(),
    ];
    for error in errors {
        assert_eq!((error.code.clone(), error.retryable), (ErrorCode::Unavailable, true), "{error}");
    }
    assert!(events.next().await.is_none());
    until(|| nodes.running() == 0).await;
}

#[tokio::test]
async fn what_is_given_up_here_is_given_up_there() {
    let nodes = nodes().await;
    let call = tokio::spawn({
        let (near, alice) = (nodes.near.clone(), alice());
        async move { near.invoke("t/hang", Value::Null, alice).await }
    });
    let mut events = nodes.subscribe("t/silent", Value::Null, alice());
    assert_eq!(events.next().await.unwrap().unwrap(), "first");
    until(|| nodes.running() == 2).await;
    call.abort();
    until(|| nodes.running() == 1).await;
    drop(events);
    until(|| nodes.running() == 0).await;
    assert_eq!(nodes.wire.client.pending(), 0);
}

#[tokio::test]
async fn an_end_users_abort_goes_through_two_nodes() {
    let nodes = nodes().await;
    let own = serving(&Arc::new(Registry::new()));
    let wire = Wire::new((&own, auth_of("alice", &[])), (&nodes.handler, auth_of("near", &[])));
    let user = wire.client.clone();
    let call = tokio::spawn({
        let user = user.clone();
        async move { user.call("t/hang", &()).await }
    });
    let mut subscription = user.subscribe("t/silent", &()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), "first");
    until(|| nodes.running() == 2).await;
    call.abort();
    until(|| nodes.running() == 1).await;
    drop(subscription);
    until(|| nodes.running() == 0).await;
    let _held = [user.subscribe("t/silent", &()).await.unwrap(), user.subscribe("t/silent", &()).await.unwrap()];
    until(|| nodes.running() == 2).await;
    wire.cut();
    until(|| nodes.running() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_that_the_end_user_gives_is_the_time_at_the_peer() {
    let nodes = nodes().await;
    let user = client_of(&nodes.handler, auth_of("alice", &[]));
    let options = || CallOptions::new().timeout(Duration::from_secs(7));
    assert_eq!(user.call_with("t/seen", &(), options()).await.unwrap()["seconds"], 7);
    let error = user.call_with("t/hang", &(), options()).await.unwrap_err();
    let is_late = matches!(&error, ClientError::TimedOut { .. })
        || matches!(&error, ClientError::Remote(error) if error.code == ErrorCode::Timeout);
    assert!(is_late, "{error}");
    until(|| nodes.running() == 0).await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_peers_producer() {
    let produced = Arc::new(AtomicUsize::new(0));
    let registry = Arc::new(Registry::new());
    let counted = produced.clone();
    let endless = move |_: OperationContext, _: Value| {
        let counted = counted.clone();
        stream::repeat_with(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(json!("x".repeat(1000)))
        })
    };
    registry.add(Bundle::subscription(spec("t/endless", Access::Public), endless)).unwrap();
    let client = client_of(&serving(&registry), nobody());
    let endless = spec("t/endless", Access::Public).with_kind(crate::OperationKind::Subscription);
    let forward = FromCall::new(move || Ok(client.clone()), vec![]).forward(&endless);
    let near = Arc::new(Registry::new());
    near.add(Bundle::subscription(endless, forward)).unwrap();
    let user = client_of(&serving(&near), nobody());
    let mut events = user.subscribe("t/endless", &()).await.unwrap();
    events.next().await.unwrap().unwrap();
    // A window is 256 KiB, there are two of them, and what is under way in the pipes.
    let settled = async {
        loop {
            let before = produced.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            if produced.load(Ordering::SeqCst) == before {
                return before;
            }
        }
    };
    let settled = settled.await;
    assert!((200..1200).contains(&settled), "{settled} events wait for a reader");
}
