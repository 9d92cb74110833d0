use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use alknet_core::{AuthContext, Fingerprint, MemoryIdentities, Peer, ProtocolHandler};
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use crate::testkit::{connection, draining_connection, frame, identity, nobody, spec};
use crate::{
    Access, Bundle, CallClient, CallError, CallHandler, CallLimits, CallOptions, ClientError, ErrorCode,
    OperationContext, Registry, Subscription,
};

type Item = Result<Value, CallError>;

/// Counts from 0 without end, and how far it was asked.
fn counter(produced: Arc<AtomicUsize>) -> impl Stream<Item = Item> + Send + 'static {
    stream::unfold(0, move |n| {
        produced.fetch_add(1, Ordering::SeqCst);
        async move { Some((Ok(json!({ "n": n, "fill": "x".repeat(1000) })), n + 1)) }
    })
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct World {
    handler: Arc<CallHandler>,
    produced: Arc<AtomicUsize>,
    dropped: Arc<AtomicBool>,
}

fn world() -> World {
    let registry = Registry::new();
    let (produced, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    registry.register(spec("t/echo", Access::Public), async |_: OperationContext, input: Value| Ok(input)).unwrap();
    let up_to =
        |_: OperationContext, input: Value| stream::iter((0..input.as_u64().unwrap_or(0)).map(|n| Ok(json!(n))));
    let fails = |_: OperationContext, _: Value| {
        stream::iter([Ok(json!(1)), Err(CallError::new(ErrorCode::Unavailable, "gone")), Ok(json!(2))])
    };
    let counted = produced.clone();
    let endless = move |_: OperationContext, _: Value| counter(counted.clone());
    let told = dropped.clone();
    let silent = move |_: OperationContext, _: Value| {
        let held = SetOnDrop(told.clone());
        stream::once(async { Ok(json!("first")) }).chain(stream::pending()).map(move |event| {
            let _ = &held;
            event
        })
    };
    let back = async |context: OperationContext, input: Value| {
        let caller = context.caller().ok_or_else(|| CallError::new(ErrorCode::Unavailable, "no caller"))?;
        caller.call("own/double", &input).await.map_err(ClientError::into_call_error)
    };
    registry.add(Bundle::subscription(spec("t/up-to", Access::Public), up_to)).unwrap();
    registry.add(Bundle::subscription(spec("t/fails", Access::Public), fails)).unwrap();
    registry.add(Bundle::subscription(spec("t/endless", Access::Public), endless)).unwrap();
    registry.add(Bundle::subscription(spec("t/silent", Access::Identified), silent)).unwrap();
    registry.register(spec("t/back", Access::Public), back).unwrap();
    World { handler: Arc::new(CallHandler::new(Arc::new(registry), CallLimits::default())), produced, dropped }
}

impl World {
    fn client_as(&self, auth: AuthContext) -> CallClient {
        let (near, far) = duplex(4096);
        tokio::spawn(self.handler.clone().handle(connection(far), auth));
        CallClient::new(connection(near))
    }

    fn client(&self) -> CallClient {
        self.client_as(nobody())
    }
}

async fn all(mut subscription: Subscription) -> Vec<Value> {
    let mut events = Vec::new();
    while let Some(event) = subscription.next().await {
        events.push(event.unwrap());
    }
    events
}

#[tokio::test]
async fn a_subscription_gives_its_events_in_order_and_ends() {
    let client = world().client();
    let subscription = client.subscribe("t/up-to", &1000).await.unwrap();
    assert_eq!(all(subscription).await, (0..1000).map(Value::from).collect::<Vec<_>>());
    assert!(all(client.subscribe("t/up-to", &0).await.unwrap()).await.is_empty());
    assert_eq!(client.pending(), 0);
}

#[tokio::test]
async fn an_error_is_the_last_event() {
    let mut subscription = world().client().subscribe("t/fails", &()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), 1);
    let error = subscription.next().await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Remote(error) if error.message == "gone"));
    assert!(subscription.next().await.is_none());
}

#[tokio::test]
async fn who_subscribes_to_a_call_gets_its_answer_as_the_one_event() {
    let client = world().client();
    assert_eq!(all(client.subscribe("t/echo", &"hello").await.unwrap()).await, ["hello"]);
}

#[tokio::test]
async fn who_calls_a_subscription_gets_its_first_event_and_ends_it() {
    let world = world();
    let alice = identities();
    let client = world.client_as(alice.auth());
    assert_eq!(client.call("t/silent", &()).await.unwrap(), "first");
    wait_until(|| world.dropped.load(Ordering::SeqCst)).await;
}

async fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_slows_the_producer_and_nobody_else_on_the_stream() {
    let world = world();
    let client = world.client();
    let mut subscription = client.subscribe("t/endless", &()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1000)).await;
    let produced = world.produced.load(Ordering::SeqCst);
    assert!((200..400).contains(&produced), "a window of 256 KiB is filled with {produced} events");
    assert_eq!(client.call("t/echo", &1).await.unwrap(), 1, "the stream is not blocked");
    for n in 0..2000 {
        assert_eq!(subscription.next().await.unwrap().unwrap()["n"], n);
    }
    let produced = world.produced.load(Ordering::SeqCst);
    assert!(produced < 2400, "{produced} events were produced for 2000 that were read");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_knows_no_credit_is_waited_for_too() {
    let world = world();
    let (mut near, far) = duplex(4096);
    tokio::spawn(world.handler.clone().handle(connection(far), nobody()));
    let request = json!({ "type": "call.requested", "id": "1", "payload": { "operationId": "/t/endless" } });
    near.write_all(&frame(&request.to_string())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let produced = world.produced.load(Ordering::SeqCst);
    assert!(produced < 400, "{produced} events wait for a reader");
    for n in 0..1000 {
        let event = receive(&mut near).await;
        assert_eq!((&event["type"], &event["payload"]["output"]["n"]), (&json!("call.responded"), &json!(n)));
    }
    near.write_all(&frame(r#"{"type":"call.aborted","id":"1"}"#)).await.unwrap();
    let last = loop {
        let message = receive(&mut near).await;
        if message["type"] != "call.responded" {
            break message;
        }
    };
    assert_eq!((&last["type"], &last["payload"]["code"]), (&json!("call.error"), &json!("ABORTED")));
}

async fn receive(io: &mut DuplexStream) -> Value {
    let length = io.read_u32().await.unwrap();
    let mut text = vec![0; length as usize];
    io.read_exact(&mut text).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn a_subscription_that_is_dropped_ends_at_the_callee() {
    let world = world();
    let alice = identities();
    let client = world.client_as(alice.auth());
    let mut subscription = client.subscribe("t/silent", &()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), "first");
    assert_eq!(client.pending(), 1);
    drop(subscription);
    wait_until(|| world.dropped.load(Ordering::SeqCst)).await;
    assert_eq!(client.pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_has_the_time_that_its_caller_says() {
    let alice = identities();
    let client = world().client_as(alice.auth());
    let options = CallOptions::new().timeout(Duration::from_secs(3));
    let mut subscription = client.subscribe_with("t/silent", &(), options).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), "first");
    let error = subscription.next().await.unwrap().unwrap_err();
    let is_late = match &error {
        ClientError::TimedOut { limit } => limit.as_secs() == 3,
        ClientError::Remote(error) => error.code == ErrorCode::Timeout,
        _ => false,
    };
    assert!(is_late, "{error}");
}

#[tokio::test]
async fn both_sides_call_on_one_stream() {
    let world = world();
    let (near, far) = duplex(4096);
    tokio::spawn(world.handler.clone().handle(connection(far), nobody()));
    let own = Registry::new();
    let double = async |_: OperationContext, input: Value| Ok(json!(input.as_u64().unwrap_or(0) * 2));
    own.register(spec("own/double", Access::Public), double).unwrap();
    let dialing = CallHandler::new(Arc::new(own), CallLimits::default());
    let (client, serving) = dialing.serve(connection(near), nobody());
    tokio::spawn(serving);
    for n in 0..100 {
        assert_eq!(client.call("t/back", &n).await.unwrap(), n * 2);
    }
}

#[tokio::test]
async fn who_serves_nothing_answers_that_there_is_nothing() {
    let error = world().client().call("t/back", &1).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Remote(error) if error.code == ErrorCode::NotFound),
        "the caller's own answer"
    );
}

struct Identities(Arc<MemoryIdentities>);

fn identities() -> Identities {
    let identities = Identities(Arc::new(MemoryIdentities::default()));
    identities.set(&[], true);
    identities
}

impl Identities {
    fn set(&self, scopes: &[&str], enabled: bool) {
        let peer = Peer {
            identity: Arc::new(identity("alice", scopes)),
            fingerprints: vec![Fingerprint::Ed25519([7; 32])],
            tokens: vec![alknet_core::TokenHash::of("alk_alice")],
            enabled,
        };
        self.0.set(vec![peer]).unwrap();
    }

    fn auth(&self) -> AuthContext {
        AuthContext::new([Fingerprint::Ed25519([7; 32])], self.0.clone())
    }
}

#[tokio::test]
async fn a_subscription_ends_when_its_caller_may_no_longer_have_it() {
    for by_token in [false, true] {
        let (world, alice) = (world(), identities());
        let auth = if by_token { AuthContext::new([], alice.0.clone()) } else { alice.auth() };
        let client = world.client_as(auth);
        let mut options = CallOptions::new();
        if by_token {
            options = options.auth_token("alk_alice");
        }
        let mut subscription = client.subscribe_with("t/silent", &(), options).await.unwrap();
        assert_eq!(subscription.next().await.unwrap().unwrap(), "first");
        alice.set(&["some:scope"], true);
        assert_eq!(client.call("t/echo", &1).await.unwrap(), 1);
        assert!(!world.dropped.load(Ordering::SeqCst), "a change that takes nothing away ends nothing");
        alice.set(&[], false);
        let error = subscription.next().await.unwrap().unwrap_err();
        assert!(matches!(&error, ClientError::Remote(error) if error.code == ErrorCode::Unauthenticated), "{error}");
        wait_until(|| world.dropped.load(Ordering::SeqCst)).await;
    }
}

#[tokio::test]
async fn draining_ends_subscriptions() {
    let (world, alice, drain) = (world(), identities(), CancellationToken::new());
    let (near, far) = duplex(4096);
    let served = tokio::spawn(world.handler.clone().handle(draining_connection(far, drain.clone()), alice.auth()));
    let client = CallClient::new(connection(near));
    let mut subscription = client.subscribe("t/silent", &()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), "first");
    drain.cancel();
    let error = subscription.next().await.unwrap().unwrap_err();
    assert!(matches!(&error, ClientError::Remote(error) if error.code == ErrorCode::Unavailable), "{error}");
    assert!(served.await.unwrap().is_ok());
}

#[tokio::test]
async fn subscriptions_are_limited_in_number() {
    let world = world();
    let registry = Registry::new();
    registry.add(Bundle::subscription(spec("t/silent", Access::Public), |_, _| stream::pending())).unwrap();
    let limits = CallLimits { max_subscriptions: 2, ..CallLimits::default() };
    let handler = Arc::new(CallHandler::new(Arc::new(registry), limits));
    let client = World { handler, ..world }.client();
    let _held = [client.subscribe("t/silent", &()).await.unwrap(), client.subscribe("t/silent", &()).await.unwrap()];
    let error = client.subscribe("t/silent", &()).await.unwrap().next().await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Remote(error) if error.code == ErrorCode::ResourceExhausted));
}

#[tokio::test]
async fn nothing_is_left_of_the_calls_of_a_connection_that_is_lost() {
    let (world, alice) = (world(), identities());
    let (near, far) = duplex(4096);
    let far = connection(far);
    let served = tokio::spawn(world.handler.clone().handle(far.clone(), alice.auth()));
    let client = CallClient::new(connection(near));
    let mut subscription = client.subscribe("t/silent", &()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), "first");
    far.close(alknet_core::CloseCode::REVOKED, "");
    drop(far);
    assert!(served.await.unwrap().is_ok());
    assert!(subscription.next().await.unwrap().is_err());
    assert!(client.call("t/echo", &1).await.is_err());
    assert_eq!(client.pending(), 0);
    wait_until(|| world.dropped.load(Ordering::SeqCst)).await;
}
