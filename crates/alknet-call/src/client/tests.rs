use super::*;
use crate::testkit::{auth_of, connection, frame, nobody, spec, stranger_beside};
use crate::{Access, CallHandler, ErrorCode, OperationContext, Registry};
use alknet_core::{
    Alpn, AuthContext, BiStream, BoxFuture, CloseCode, ConnectionError, ProtocolHandler, SingleStream, Transport,
};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

static DROPPED: AtomicUsize = AtomicUsize::new(0);

struct CountDrop;

impl Drop for CountDrop {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

fn handler() -> Arc<CallHandler> {
    let registry = Registry::new();
    let sleep = async |_: OperationContext, input: Value| {
        tokio::time::sleep(Duration::from_millis(input.as_u64().unwrap_or(0))).await;
        Ok(input)
    };
    let hang = async |_: OperationContext, _: Value| {
        let _count = CountDrop;
        std::future::pending().await
    };
    let known = async |context: OperationContext, _: Value| Ok(json!(context.identity.map(|who| who.id.to_string())));
    registry.register(spec("t/sleep", Access::Public), sleep).unwrap();
    registry.register(spec("t/hang", Access::Public), hang).unwrap();
    registry.register(spec("t/known", Access::Identified), known).unwrap();
    Arc::new(CallHandler::new(Arc::new(registry), CallLimits::default()))
}

fn client_as(auth: AuthContext) -> CallClient {
    let (near, far) = duplex(1024);
    tokio::spawn(handler().handle(connection(far), auth));
    CallClient::new(connection(near))
}

/// A client whose peer is played by the test.
fn client_alone() -> (CallClient, DuplexStream) {
    let (near, far) = duplex(1024);
    (CallClient::new(connection(near)), far)
}

/// A transport of many streams: each is a pipe to a connection of its own at the server.
struct Pipes(Arc<CallHandler>, Arc<AtomicUsize>);

impl Transport for Pipes {
    fn name(&self) -> &'static str {
        "pipes"
    }

    fn accept_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        Box::pin(std::future::pending())
    }

    fn open_bi(&self) -> BoxFuture<'_, Result<BiStream, ConnectionError>> {
        let (near, far) = duplex(1024);
        let (handler, open) = (self.0.clone(), self.1.clone());
        open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            handler.handle(connection(far), nobody()).await.unwrap();
            open.fetch_sub(1, Ordering::SeqCst);
        });
        Box::pin(async { SingleStream::new("pipe", near).open_bi().await })
    }

    fn close(&self, _: CloseCode, _: &str) {}

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn closed(&self) -> BoxFuture<'_, ConnectionError> {
        Box::pin(std::future::pending())
    }
}

async fn answer(peer: &mut DuplexStream, text: &str) {
    let length = peer.read_u32().await.unwrap();
    peer.read_exact(&mut vec![0; length as usize]).await.unwrap();
    peer.write_all(&frame(text)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn clones_share_a_single_stream_and_get_their_own_answers() {
    let client = client_as(nobody());
    let calls: Vec<_> = (0..100u64)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.call("t/sleep", &(1000 - n * 7)).await.unwrap() == 1000 - n * 7 })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_share_a_few_streams_where_there_are_many() {
    let open = Arc::new(AtomicUsize::new(0));
    let transport = Pipes(handler(), open.clone());
    let client = CallClient::new(Connection::new(transport, Alpn::new("alknet/call").unwrap()));
    for n in 0..3u64 {
        assert_eq!(client.call("t/sleep", &n).await.unwrap(), n);
    }
    assert_eq!(open.load(Ordering::SeqCst), 1, "one after the other they need one");
    let calls: Vec<_> = (0..50u64)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.call("t/sleep", &(1000 + n)).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(open.load(Ordering::SeqCst), 4);
    drop(client);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(open.load(Ordering::SeqCst), 0, "nothing is left behind");
}

#[tokio::test]
async fn the_callee_s_errors_come_through() {
    let client = client_as(nobody());
    let error = client.call("/no/such", &()).await.unwrap_err();
    assert!(matches!(error, ClientError::Remote(error) if error.code == ErrorCode::NotFound));
    assert_eq!(client_as(auth_of("alice", &[])).call("t/known", &()).await.unwrap(), "alice");
}

#[tokio::test]
async fn a_token_goes_with_its_call() {
    let client = client_as(stranger_beside("alice", &[]));
    let options = CallOptions::new().auth_token("alk_alice");
    assert_eq!(client.call_with("t/known", &(), options).await.unwrap(), "alice");
    let error = client.call_with("t/known", &(), CallOptions::new().auth_token("alk_x")).await.unwrap_err();
    assert!(matches!(error, ClientError::Remote(error) if error.code == ErrorCode::Unauthenticated));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_dropped_at_the_callee() {
    let client = client_as(nobody());
    let before = DROPPED.load(Ordering::SeqCst);
    let given_up = tokio::time::timeout(Duration::from_millis(20), client.call("t/hang", &())).await;
    assert!(given_up.is_err());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(DROPPED.load(Ordering::SeqCst), before + 1);
    assert!(client.call("t/sleep", &1).await.is_ok(), "the stream is still good");
}

#[tokio::test(start_paused = true)]
async fn silence_has_an_end() {
    let (client, mut peer) = client_alone();
    let options = CallOptions::new().timeout(Duration::from_secs(3));
    let error = client.call_with("a/b", &(), options).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { limit } if limit.as_secs() == 3));
    let mut sent = Vec::new();
    drop(client);
    peer.read_to_end(&mut sent).await.unwrap();
    let sent = String::from_utf8_lossy(&sent).into_owned();
    assert!(sent.contains(r#""timeout_ms":3000"#) && sent.contains("call.aborted"), "{sent}");
}

#[tokio::test]
async fn a_lost_peer_fails_the_calls_that_run_and_those_that_come() {
    let (client, peer) = client_alone();
    let running = tokio::spawn({
        let client = client.clone();
        async move { client.call("a/b", &()).await }
    });
    tokio::task::yield_now().await;
    drop(peer);
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Unanswered | ClientError::Connection(_)), "{error}");
    assert!(client.call("a/b", &()).await.is_err());
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_is_told_from_one_that_is_gone() {
    for text in ["{", r#"{"type":"call.responded","id":"1","payload":{}}"#] {
        let (client, mut peer) = client_alone();
        let input = ();
        let (error, ()) = tokio::join!(client.call("a/b", &input), answer(&mut peer, text));
        assert!(matches!(error, Err(ClientError::PeerMisbehaved(_))), "{error:?}");
    }
    let (client, mut peer) = client_alone();
    let input = ();
    let (error, _) = tokio::join!(client.call("a/b", &input), peer.write_u32(u32::MAX));
    assert!(matches!(error, Err(ClientError::PeerMisbehaved(_))), "{error:?}");
}

#[tokio::test]
async fn an_error_without_an_id_is_for_all() {
    let (client, mut peer) = client_alone();
    let text = r#"{"type":"call.error","id":"","payload":{"code":"INVALID_INPUT","message":"too long"}}"#;
    let input = ();
    let (error, ()) = tokio::join!(client.call("a/b", &input), answer(&mut peer, text));
    assert!(matches!(error, Err(ClientError::Remote(error)) if error.message == "too long"));
}

#[tokio::test]
async fn what_the_callee_says_unasked_is_passed_over() {
    let (client, mut peer) = client_alone();
    let unasked = [
        r#"{"type":"call.responded","id":"99","payload":{"output":1}}"#,
        r#"{"type":"call.requested","id":"1","payload":{"operationId":"/a/b"}}"#,
        r#"{"type":"call.responded","id":"1","payload":{"output":2}}"#,
    ];
    let exchange = async {
        // An answer counts only once there is a request that it answers.
        let length = peer.read_u32().await.unwrap();
        peer.read_exact(&mut vec![0; length as usize]).await.unwrap();
        for text in unasked {
            peer.write_all(&frame(text)).await.unwrap();
        }
    };
    let input = ();
    let call = client.call("a/b", &input);
    let (output, ()) = tokio::join!(call, exchange);
    assert_eq!(output.unwrap(), 2);
}

#[tokio::test]
async fn a_request_that_is_too_long_is_not_sent() {
    let (near, _far) = duplex(1024);
    let limits = CallLimits { max_frame_bytes: 4096, ..CallLimits::default() };
    let client = CallClient::with_limits(connection(near), limits);
    let error = client.call("a/b", &"x".repeat(5000)).await.unwrap_err();
    assert_eq!(error.to_string(), "the request cannot be sent: the message is longer than a frame may be (4096 bytes)");
}
