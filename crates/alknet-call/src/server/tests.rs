use super::*;
use crate::testkit::{auth_of, connection, draining_connection, frame, nobody, spec, stranger_beside};
use crate::{Access, CallError, OperationContext, Visibility};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A caller that speaks the protocol by hand.
struct Caller {
    io: DuplexStream,
    served: JoinHandle<Result<(), HandlerError>>,
    drain: CancellationToken,
}

impl Caller {
    fn of(handler: &Arc<CallHandler>, auth: AuthContext) -> Self {
        let (io, far) = duplex(64 * 1024);
        let handler = handler.clone();
        let drain = CancellationToken::new();
        let served = tokio::spawn(handler.handle(draining_connection(far, drain.clone()), auth));
        Self { io, served, drain }
    }

    fn new(auth: AuthContext) -> Self {
        Self::of(&handler(CallLimits::default()), auth)
    }

    async fn send_text(&mut self, text: &str) {
        self.io.write_all(&frame(text)).await.unwrap();
    }

    async fn send(&mut self, kind: &str, id: &str, payload: Value) {
        self.send_text(&json!({ "type": kind, "id": id, "payload": payload }).to_string()).await;
    }

    async fn request(&mut self, id: &str, operation: &str, input: Value) {
        self.send("call.requested", id, json!({ "operationId": operation, "input": input })).await;
    }

    async fn receive(&mut self) -> Value {
        let length = self.io.read_u32().await.unwrap();
        let mut text = vec![0; length as usize];
        self.io.read_exact(&mut text).await.unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The id and the code of the next answer, `OK` if it is no error.
    async fn outcome(&mut self) -> (String, String) {
        let answer = self.receive().await;
        let code = answer["payload"]["code"].as_str().unwrap_or("OK");
        (answer["id"].as_str().unwrap().to_owned(), code.to_owned())
    }

    async fn call(&mut self, operation: &str) -> String {
        self.request("1", operation, Value::Null).await;
        self.outcome().await.1
    }

    async fn call_as(&mut self, token: &str, operation: &str) -> String {
        self.send("call.requested", "1", json!({ "operationId": operation, "auth_token": token })).await;
        self.outcome().await.1
    }

    async fn is_at_end(&mut self) -> bool {
        self.io.read(&mut [0]).await.unwrap() == 0
    }

    /// Whether nothing comes while the server has nothing left to do.
    async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(1), self.io.read_u8()).await.is_err()
    }
}

fn handler(limits: CallLimits) -> Arc<CallHandler> {
    let registry = Registry::new();
    let echo = async |_: OperationContext, input: Value| Ok(input);
    let size = async |_: OperationContext, input: Value| Ok(json!(input.as_str().unwrap().len()));
    let sleep = async |_: OperationContext, input: Value| {
        tokio::time::sleep(Duration::from_millis(input.as_u64().unwrap())).await;
        Ok(input)
    };
    let panics = async |_: OperationContext, _: Value| -> Result<Value, CallError> { panic!("the handler's fault") };
    let who = async |context: OperationContext, _: Value| {
        let id = context.identity.map(|identity| identity.id.to_string());
        Ok(json!({ "id": id, "for": context.forwarded_for, "limit": context.time_limit.as_secs() }))
    };
    registry.register(spec("t/echo", Access::Public), echo).unwrap();
    registry.register(spec("t/size", Access::Public), size).unwrap();
    registry.register(spec("t/sleep", Access::Public), sleep).unwrap();
    registry.register(spec("t/panic", Access::Public), panics).unwrap();
    registry.register(spec("t/who", Access::Public), who).unwrap();
    registry.register(spec("t/known", Access::Identified), echo).unwrap();
    registry.register(spec("t/scoped", Access::Scopes(vec!["t:use".parse().unwrap()])), echo).unwrap();
    registry.register(spec("t/hidden", Access::Public).with_visibility(Visibility::Internal), echo).unwrap();
    Arc::new(CallHandler::new(Arc::new(registry), limits))
}

fn few_calls(max_concurrent_calls: u32) -> CallLimits {
    CallLimits { max_concurrent_calls, ..CallLimits::default() }
}

#[tokio::test]
async fn a_request_is_answered_with_its_id_and_nothing_more() {
    let mut caller = Caller::new(nobody());
    caller.request("q", "/t/echo", json!({ "a": 1 })).await;
    let expected = json!({ "type": "call.responded", "id": "q", "payload": { "output": { "a": 1 } } });
    assert_eq!(caller.receive().await, expected);
    caller.io.shutdown().await.unwrap();
    assert!(caller.is_at_end().await);
    assert!(caller.served.await.unwrap().is_ok());
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let mut stranger = Caller::new(nobody());
    assert_eq!(stranger.call("/no/such").await, "NOT_FOUND");
    assert_eq!(stranger.call("/t/hidden").await, "NOT_FOUND");
    assert_eq!(stranger.call("t/echo").await, "INVALID_INPUT");
    assert_eq!(stranger.call("/t/known").await, "UNAUTHENTICATED");
    let mut alice = Caller::new(auth_of("alice", &[]));
    assert_eq!(alice.call("/t/known").await, "OK");
    assert_eq!(alice.call("/t/scoped").await, "FORBIDDEN");
    assert_eq!(Caller::new(auth_of("alice", &["t:use"])).call("/t/scoped").await, "OK");
}

#[tokio::test]
async fn a_token_is_asked_before_the_connection_and_a_wrong_one_counts_for_nothing() {
    let mut stranger = Caller::new(stranger_beside("alice", &["t:use"]));
    assert_eq!(stranger.call_as("alk_alice", "/t/scoped").await, "OK");
    assert_eq!(stranger.call("/t/scoped").await, "UNAUTHENTICATED", "a token is for its own request");
    let mut alice = Caller::new(auth_of("alice", &["t:use"]));
    assert_eq!(alice.call_as("alk_guess", "/t/scoped").await, "UNAUTHENTICATED", "no fallback to the key");
    assert_eq!(alice.call_as("alk_guess", "/t/echo").await, "UNAUTHENTICATED", "not even for what is public");
    assert_eq!(alice.call("/t/scoped").await, "OK");
}

#[tokio::test]
async fn the_end_user_is_handed_on_and_gives_no_authority() {
    let mut caller = Caller::new(nobody());
    let payload =
        |operation| json!({ "operationId": operation, "forwarded_for": { "id": "alice" }, "timeout_ms": 9e5 as u64 });
    caller.send("call.requested", "1", payload("/t/who")).await;
    let output = caller.receive().await["payload"]["output"].clone();
    assert_eq!(output, json!({ "id": null, "for": { "id": "alice" }, "limit": 300 }));
    caller.send("call.requested", "2", payload("/t/known")).await;
    assert_eq!(caller.outcome().await.1, "UNAUTHENTICATED");
}

#[tokio::test(start_paused = true)]
async fn answers_come_as_they_are_ready() {
    let mut caller = Caller::new(nobody());
    caller.request("slow", "/t/sleep", json!(500)).await;
    caller.request("fast", "/t/sleep", json!(10)).await;
    assert_eq!(caller.outcome().await.0, "fast");
    assert_eq!(caller.outcome().await.0, "slow");
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_stream_is_still_answered() {
    let mut caller = Caller::new(nobody());
    caller.request("1", "/t/sleep", json!(500)).await;
    caller.io.shutdown().await.unwrap();
    assert_eq!(caller.outcome().await.1, "OK");
    assert!(caller.is_at_end().await);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_time() {
    let mut caller = Caller::new(nobody());
    let started = Instant::now();
    caller.request("1", "/t/sleep", json!(1_000_000)).await;
    assert_eq!(caller.outcome().await.1, "TIMEOUT");
    assert_eq!(started.elapsed().as_secs(), 30);
    let payload = json!({ "operationId": "/t/sleep", "input": 1_000_000, "timeout_ms": 2000 });
    caller.send("call.requested", "2", payload).await;
    assert_eq!(caller.outcome().await.1, "TIMEOUT");
    assert_eq!(started.elapsed().as_secs(), 32);
}

#[tokio::test]
async fn a_panic_is_one_failed_call() {
    let mut caller = Caller::new(nobody());
    caller.request("1", "/t/panic", Value::Null).await;
    let answer = caller.receive().await;
    assert_eq!(answer["payload"]["code"], "INTERNAL");
    assert!(!answer.to_string().contains("fault"), "what went wrong is not the caller's to know");
    assert_eq!(caller.call("/t/echo").await, "OK");
}

/// Reports when it is dropped.
struct Tell(mpsc::UnboundedSender<&'static str>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.send("dropped").unwrap();
    }
}

fn hanging() -> (Arc<CallHandler>, mpsc::UnboundedReceiver<&'static str>) {
    let (events, received) = mpsc::unbounded_channel();
    let handler = handler(CallLimits::default());
    let hang = move |_: OperationContext, _: Value| {
        let events = events.clone();
        async move {
            events.send("started").unwrap();
            let _tell = Tell(events);
            std::future::pending().await
        }
    };
    handler.registry.register(spec("t/hang", Access::Public), hang).unwrap();
    (handler, received)
}

#[tokio::test]
async fn an_abort_drops_the_call_and_frees_its_id() {
    let (handler, mut events) = hanging();
    let mut caller = Caller::of(&handler, nobody());
    caller.request("1", "/t/hang", Value::Null).await;
    assert_eq!(events.recv().await, Some("started"));
    caller.send("call.aborted", "1", Value::Null).await;
    assert_eq!(events.recv().await, Some("dropped"));
    assert_eq!(caller.outcome().await, ("1".into(), "ABORTED".into()));
    caller.request("1", "/t/echo", Value::Null).await;
    assert_eq!(caller.outcome().await, ("1".into(), "OK".into()));
    caller.send("call.aborted", "1", Value::Null).await;
    assert_eq!(caller.call("/t/echo").await, "OK", "an abort of what is answered is passed over");
}

#[tokio::test]
async fn the_calls_of_a_lost_connection_are_dropped() {
    let (handler, mut events) = hanging();
    let (mut near, far) = duplex(1024);
    let connection = connection(far);
    let served = tokio::spawn(handler.handle(connection.clone(), nobody()));
    let request = json!({ "type": "call.requested", "id": "1", "payload": { "operationId": "/t/hang" } });
    near.write_all(&frame(&request.to_string())).await.unwrap();
    assert_eq!(events.recv().await, Some("started"));
    connection.close(alknet_core::CloseCode::REVOKED, "");
    assert_eq!(events.recv().await, Some("dropped"));
    assert!(served.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_id_names_one_running_call() {
    let mut caller = Caller::new(nobody());
    caller.request("1", "/t/sleep", json!(500)).await;
    caller.request("1", "/t/echo", Value::Null).await;
    assert_eq!(caller.outcome().await.1, "INVALID_INPUT");
    assert_eq!(caller.outcome().await.1, "OK", "the first one goes on");
}

#[tokio::test]
async fn what_is_no_message_is_answered_and_the_stream_goes_on() {
    let mut caller = Caller::new(nobody());
    for (text, id) in [
        ("{", ""),
        ("", ""),
        ("\u{0}", ""),
        (r#"{"type":"call.requested","id":"5"}"#, "5"),
        (r#"{"type":"call.requested","id":"5","payload":{"operationId":{}}}"#, "5"),
        (r#"{"type":"call.unheard-of","id":"6"}"#, "6"),
    ] {
        caller.send_text(text).await;
        assert_eq!(caller.outcome().await, (id.into(), "INVALID_INPUT".into()), "{text}");
    }
    caller.send("call.error", "7", json!({ "code": "INTERNAL" })).await;
    caller.send("call.responded", "8", json!({ "output": 1 })).await;
    assert_eq!(caller.call("/t/echo").await, "OK", "answers to no call are not answered in turn");
}

#[tokio::test]
async fn the_unknown_type_is_named() {
    let mut caller = Caller::new(nobody());
    caller.send("call.unheard-of", "6", Value::Null).await;
    let message = caller.receive().await["payload"]["message"].to_string();
    assert!(message.contains("call.unheard-of"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_long_ends_the_stream_with_an_error() {
    let limits = CallLimits { max_frame_bytes: 5000, ..CallLimits::default() };
    let mut caller = Caller::of(&handler(limits), nobody());
    caller.request("1", "/t/sleep", json!(500)).await;
    caller.io.write_u32(5001).await.unwrap();
    let answer = caller.receive().await;
    assert_eq!((&answer["id"], &answer["payload"]["code"]), (&json!(""), &json!("INVALID_INPUT")));
    assert_eq!(answer["payload"]["message"], "a frame of 5001 bytes is longer than the limit of 5000");
    assert!(caller.is_at_end().await, "and the calls on it are gone");
    caller.io.write_all(&[0; 5001]).await.unwrap();
    assert!(caller.served.await.unwrap().is_ok(), "what was under way is taken for a moment");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_dribbles_in_ends_the_stream() {
    let mut caller = Caller::new(nobody());
    tokio::time::sleep(Duration::from_secs(1000)).await;
    caller.io.write_all(&[0, 0]).await.unwrap();
    let started = Instant::now();
    assert_eq!(caller.outcome().await.1, "INVALID_INPUT");
    assert_eq!(started.elapsed().as_secs(), 30);
    assert!(caller.is_at_end().await);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_limit_requests_wait() {
    let handler = handler(few_calls(2));
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let count = async |_: OperationContext, _: Value| {
        let running = RUNNING.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        Ok(json!(running))
    };
    handler.registry.register(spec("t/count", Access::Public), count).unwrap();
    let mut caller = Caller::of(&handler, nobody());
    for id in 0..10 {
        caller.request(&id.to_string(), "/t/count", Value::Null).await;
    }
    for _ in 0..10 {
        let running = caller.receive().await["payload"]["output"].as_u64().unwrap();
        assert!(running <= 2, "{running} calls at once");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_and_does_not_read_is_not_read() {
    let mut caller = Caller::of(&handler(few_calls(2)), nobody());
    let flood = async {
        for _ in 0..100_000 {
            caller.send_text("{").await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), flood).await.is_err(), "the server took it all");
}

#[tokio::test(start_paused = true)]
async fn an_abort_gets_through_when_all_slots_are_taken() {
    let mut caller = Caller::of(&handler(few_calls(1)), nobody());
    caller.request("1", "/t/sleep", json!(20_000)).await;
    caller.send("call.aborted", "1", Value::Null).await;
    assert_eq!(caller.outcome().await.1, "ABORTED");
    assert_eq!(caller.call("/t/echo").await, "OK");
}

#[tokio::test(start_paused = true)]
async fn draining_finishes_what_runs_and_takes_nothing_new() {
    let mut caller = Caller::new(nobody());
    caller.request("1", "/t/sleep", json!(500)).await;
    assert!(caller.is_silent().await);
    caller.drain.cancel();
    tokio::task::yield_now().await;
    caller.request("2", "/t/echo", Value::Null).await;
    let refused = caller.receive().await;
    assert_eq!((&refused["id"], &refused["payload"]["code"]), (&json!("2"), &json!("UNAVAILABLE")));
    assert_eq!(refused["payload"]["retryable"], true);
    assert_eq!(caller.outcome().await, ("1".into(), "OK".into()));
    assert!(caller.is_at_end().await);
    assert!(caller.served.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn draining_ends_an_idle_connection() {
    let mut caller = Caller::new(nobody());
    assert_eq!(caller.call("/t/echo").await, "OK");
    caller.drain.cancel();
    assert!(caller.is_at_end().await);
    assert!(caller.served.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn strangers_share_a_budget_that_known_peers_do_not_touch() {
    let limits = CallLimits { stranger_budget_bytes: 300_000, ..CallLimits::default() };
    let handler = handler(limits);
    let (mut first, mut second) = (Caller::of(&handler, nobody()), Caller::of(&handler, nobody()));
    let mut alice = Caller::of(&handler, auth_of("alice", &[]));
    // Announced, and so held, until it is seen that it does not come.
    first.io.write_all(&200_000u32.to_be_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;

    alice.request("1", "/t/size", json!("x".repeat(200_000))).await;
    assert_eq!(alice.outcome().await.1, "OK");
    let started = Instant::now();
    second.request("1", "/t/size", json!("x".repeat(200_000))).await;
    assert_eq!(second.outcome().await.1, "OK");
    assert_eq!(started.elapsed().as_secs(), 10, "it waits for the end of the first one's time");
    assert_eq!(first.outcome().await.1, "INVALID_INPUT");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_no_budget_has_room_for_is_refused() {
    let limits = CallLimits { stranger_budget_bytes: 100_000, ..CallLimits::default() };
    let mut caller = Caller::of(&handler(limits), nobody());
    caller.io.write_all(&100_001u32.to_be_bytes()).await.unwrap();
    assert_eq!(caller.outcome().await.1, "RESOURCE_EXHAUSTED");
    assert!(caller.is_at_end().await);
}
