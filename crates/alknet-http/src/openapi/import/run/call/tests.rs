use super::*;
use crate::openapi::import::model::{Place, Style};
use crate::openapi::import::run::testkit::{Node, operation, service};
use crate::outbound::testkit::{Mock, Recorded, respond};
use crate::{HttpClient, OutboundConfig};
use alknet_call::{ErrorCode, EventStream};
use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Response};
use serde_json::json;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// A node with a `get`, a `post`, and an operation with events.
async fn node(mock: &Mock, config: OutboundConfig) -> Node {
    let operations = vec![
        operation("get", Method::GET, "/{id}").with_parameter("id", Place::Path, Style::Simple),
        operation("post", Method::POST, "/post").with_json(),
        operation("watch", Method::POST, "/watch").with_json().with_events(Some("stream")),
    ];
    Node::with_client(service(&mock.url, operations), &[], HttpClient::new(&config).unwrap()).await
}

fn with_header(mut response: Response<Body>, name: &'static str, value: &str) -> Response<Body> {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

/// A body of what is sent through the channel.
fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let chunks = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Bytes>| {
        receiver.recv().await.map(|chunk| (Ok::<_, Infallible>(chunk), receiver))
    });
    (sender, Body::from_stream(chunks))
}

/// A server that answers once with what comes through a channel.
async fn streaming() -> (Mock, mpsc::Sender<Bytes>) {
    let (sender, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let mock = Mock::serve(move |_| {
        let body = body.lock().unwrap().take().unwrap_or_default();
        respond(200, "text/event-stream; charset=utf-8", body)
    });
    (mock.await, sender)
}

async fn all(events: EventStream) -> Vec<Result<Value, CallError>> {
    events.collect().await
}

#[tokio::test]
async fn an_answer_has_a_limit_whether_or_not_it_says_its_length() {
    let mock = Mock::serve(|request: &Recorded| {
        let body = "x".repeat(1025);
        match request.path() {
            "/said" => respond(200, "text/plain", body),
            "/unsaid" => {
                let chunks = [Ok::<_, Infallible>(body[..1000].to_owned()), Ok(body[1000..].to_owned())];
                respond(200, "text/plain", Body::from_stream(stream::iter(chunks)))
            }
            _ => respond(200, "text/plain", body[1..].to_owned()),
        }
    })
    .await;
    let node = node(&mock, OutboundConfig { max_response_bytes: 1024, ..OutboundConfig::default() }).await;
    for id in ["said", "unsaid"] {
        let error = node.call("pets/get", json!({ "id": id })).await.unwrap_err();
        assert_eq!((error.code, error.retryable), (ErrorCode::ResourceExhausted, false));
        assert!(error.message.ends_with("is longer than 1024 bytes"), "{}", error.message);
    }
    assert_eq!(node.call("pets/get", json!({ "id": "just" })).await.unwrap(), json!("x".repeat(1024)));
}

#[tokio::test]
async fn no_service_keeps_a_call_longer_than_its_limit() {
    let (_sender, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    // The head comes at once, and the body never.
    let mock = Mock::serve(move |_| respond(200, "text/plain", body.lock().unwrap().take().unwrap())).await;
    let node = node(&mock, OutboundConfig { timeout_seconds: 1, ..OutboundConfig::default() }).await;
    let error = node.call("pets/get", json!({ "id": 1 })).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.ends_with("did not answer within 1s"), "{}", error.message);
}

#[tokio::test]
async fn a_service_that_asks_for_patience_is_asked_again() {
    let times = AtomicUsize::new(0);
    let mock = Mock::serve(move |_| match times.fetch_add(1, Ordering::Relaxed) {
        0 => with_header(respond(503, "text/plain", "wait"), "retry-after", "0"),
        1 => respond(200, "application/json", "[1]"),
        _ => with_header(respond(429, "text/plain", "no"), "retry-after", "3600"),
    })
    .await;
    let node = node(&mock, OutboundConfig::default()).await;
    let post = || node.call("pets/post", json!({ "body": { "a": 1 } }));
    assert_eq!(post().await.unwrap(), json!([1]));
    let bodies: Vec<_> = mock.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, ["{\"a\":1}", "{\"a\":1}"]);
    // Longer than there is time: the error says it.
    let error = post().await.unwrap_err();
    assert_eq!((error.code, error.retryable), (ErrorCode::ResourceExhausted, true));
    assert_eq!(error.details.unwrap()["retry_after_seconds"], 3600);
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_sent_once() {
    let mock = Mock::serve(|_| respond(502, "text/plain", "")).await;
    let node = node(&mock, OutboundConfig { max_retries: 1, ..OutboundConfig::default() }).await;
    let error = node.call("pets/post", json!({ "body": 1 })).await.unwrap_err();
    assert_eq!((error.code, mock.requests().len()), (ErrorCode::Unavailable, 1));
    node.call("pets/get", json!({ "id": 1 })).await.unwrap_err();
    assert_eq!(mock.requests().len(), 3);
}

#[tokio::test]
async fn an_error_is_what_the_service_says() {
    let mock = Mock::serve(|_| respond(404, "application/problem+json", r#"{"detail":"no pet 7"}"#)).await;
    let node = node(&mock, OutboundConfig::default()).await;
    let error = node.call("pets/get", json!({ "id": 7 })).await.unwrap_err();
    assert_eq!(error.to_string(), "HTTP_404: the service answered 404 Not Found: no pet 7");
    assert_eq!(error.details, Some(json!({ "status": 404, "body": { "detail": "no pet 7" } })));
}

#[tokio::test]
async fn a_long_error_is_cut_and_none_is_waited_for() {
    let (_sender, body) = channel();
    let body = std::sync::Mutex::new(Some(body));
    let mock = Mock::serve(move |request| match request.path() {
        "/long" => respond(500, "text/plain", "x".repeat(1024 * 1024)),
        _ => respond(500, "text/plain", body.lock().unwrap().take().unwrap()),
    })
    .await;
    let node = node(&mock, OutboundConfig { timeout_seconds: 1, ..OutboundConfig::default() }).await;
    let error = node.call("pets/get", json!({ "id": "long" })).await.unwrap_err();
    assert_eq!(error.details.unwrap()["body"].as_str().unwrap().len(), 64 * 1024);
    assert_eq!(node.call("pets/get", json!({ "id": "never" })).await.unwrap_err().code, ErrorCode::Timeout);
}

#[tokio::test]
async fn events_are_outputs_until_the_end() {
    let events = "data: {\"n\":1}\n\nevent: added\ndata: two\n\ndata: [DONE]\n\ndata: not any more\n\n";
    let mock = Mock::serve(move |_| respond(200, "text/event-stream", events)).await;
    let node = node(&mock, OutboundConfig::default()).await;
    let outputs = all(node.subscribe("pets/watch", json!({ "body": { "q": 1 } }))).await;
    assert_eq!(outputs, [Ok(json!({ "n": 1 })), Ok(json!({ "event": "added", "data": "two" }))]);
    assert_eq!(mock.request().body, "{\"q\":1,\"stream\":true}");
    assert_eq!(mock.request().header("accept"), "text/event-stream");
}

#[tokio::test]
async fn a_service_can_answer_a_subscription_once_or_not_at_all() {
    let mock = Mock::serve(|request| match &request.body[..] {
        b"{\"stream\":true}" => respond(200, "application/json", "[1]"),
        _ => respond(403, "text/plain", "no"),
    })
    .await;
    let node = node(&mock, OutboundConfig::default()).await;
    assert_eq!(all(node.subscribe("pets/watch", json!({ "body": {} }))).await, [Ok(json!([1]))]);
    let [Err(error)] = &all(node.subscribe("pets/watch", json!({ "body": [] }))).await[..] else { panic!("no error") };
    assert_eq!(error.wire_code(), "HTTP_403");
}

#[tokio::test]
async fn an_event_comes_when_it_is_sent_and_whoever_leaves_closes_the_connection() {
    let (mock, sender) = streaming().await;
    let node = node(&mock, OutboundConfig::default()).await;
    let mut events = node.subscribe("pets/watch", json!({ "body": {} }));
    sender.send("data: 1\n\ndata: ".into()).await.unwrap();
    assert_eq!(events.next().await, Some(Ok(json!(1))));
    sender.send("2\n\n".into()).await.unwrap();
    assert_eq!(events.next().await, Some(Ok(json!(2))));
    drop(events);
    sender.closed().await;
}

#[tokio::test]
async fn a_service_that_is_silent_or_talks_too_much_is_given_up() {
    let (mock, sender) = streaming().await;
    let config = OutboundConfig { idle_timeout_seconds: 1, max_response_bytes: 16 * 1024, ..OutboundConfig::default() };
    let silent = node(&mock, config.clone()).await;
    let mut events = silent.subscribe("pets/watch", json!({ "body": {} }));
    sender.send("data: 1\n\n".into()).await.unwrap();
    assert_eq!(events.next().await, Some(Ok(json!(1))));
    assert_eq!(events.next().await.unwrap().unwrap_err().code, ErrorCode::Timeout);
    assert_eq!(events.next().await, None);

    let (mock, sender) = streaming().await;
    let loud = node(&mock, config).await;
    let mut events = loud.subscribe("pets/watch", json!({ "body": {} }));
    sender.send(format!("data: {}", "x".repeat(2000)).into()).await.unwrap();
    let error = events.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::ResourceExhausted);
    assert!(error.message.ends_with("is longer than 1024 bytes"), "{}", error.message);
    sender.closed().await;
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_no_connection() {
    let (mock, sender) = streaming().await;
    let node = node(&mock, OutboundConfig::default()).await;
    let error = node.call_within(Duration::from_millis(100), "pets/get", json!({ "id": 1 })).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    sender.closed().await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_service() {
    const EVENT: usize = 256 * 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let mock = Mock::serve(move |_| {
        let counter = counter.clone();
        let event = Bytes::from(format!("data: {}\n\n", "x".repeat(EVENT)));
        let events = stream::repeat_with(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(event.clone())
        });
        respond(200, "text/event-stream", Body::from_stream(events))
    })
    .await;
    let node = node(&mock, OutboundConfig::default()).await;
    let mut events = node.subscribe("pets/watch", json!({ "body": {} }));
    assert_eq!(events.next().await, Some(Ok(json!("x".repeat(EVENT)))));
    // Nobody reads, and everybody else may run: more than the sockets hold is not sent.
    for _ in 0..20_000 {
        tokio::task::yield_now().await;
    }
    let held = sent.load(Ordering::Relaxed) * EVENT;
    assert!(held < 64 * 1024 * 1024, "{held} bytes wait somewhere");
    assert_eq!(events.next().await, Some(Ok(json!("x".repeat(EVENT)))));
}
