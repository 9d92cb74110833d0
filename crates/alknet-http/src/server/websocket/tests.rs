use crate::testkit::{Raw, call_frame, connect, connect_with};
use crate::{CorsConfig, HttpConfig};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, frame::coding::CloseCode};

const BEARER: &str = "authorization: Bearer alk_alice\r\n";
const BROWSER: &str = "sec-websocket-protocol: alknet.call, alknet.bearer.alk_alice\r\n";

/// Sends a handshake with these fields, and gives the head of the answer.
async fn handshake(raw: &mut Raw, fields: &str) -> String {
    let head = format!(
        "GET /call HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
    );
    raw.io.write_all(head.as_bytes()).await.unwrap();
    raw.until("\r\n\r\n").await
}

/// An open WebSocket, and what is left of the connection under it.
struct Open {
    socket: WebSocketStream<DuplexStream>,
    raw: Raw,
}

impl Open {
    async fn on(mut raw: Raw) -> Self {
        let head = handshake(&mut raw, BEARER).await;
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        let io = std::mem::replace(&mut raw.io, tokio::io::duplex(1).0);
        Self { socket: WebSocketStream::from_raw_socket(io, Role::Client, None).await, raw }
    }

    async fn new() -> Self {
        Self::on(connect("http/1.1")).await
    }

    async fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.socket.send(Message::binary(bytes.into())).await.unwrap();
    }

    /// The next frame of the call protocol.
    async fn frame(&mut self) -> Value {
        let mut bytes = Vec::new();
        loop {
            if let Some(length) = bytes.first_chunk().map(|length| u32::from_be_bytes(*length) as usize)
                && bytes.len() >= 4 + length
            {
                assert_eq!(bytes.len(), 4 + length, "one answer to one call");
                return serde_json::from_slice(&bytes[4..]).unwrap();
            }
            match self.socket.next().await.unwrap().unwrap() {
                Message::Binary(more) => bytes.extend(more),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code that the other side closes with.
    async fn close_code(&mut self) -> u16 {
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Close(frame) => return frame.unwrap().code.into(),
                Message::Ping(_) | Message::Binary(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn calls_are_made_wherever_messages_end() {
    let mut open = Open::new().await;
    let frame = call_frame("/node/info", json!([1]));
    for part in frame.chunks(7) {
        open.send(part).await;
    }
    open.send(Vec::new()).await;
    let answer = open.frame().await;
    assert_eq!(answer["payload"]["output"], json!({ "caller": "alice", "input": [1] }));
    let two = [frame.clone(), frame].concat();
    open.send(two).await;
    let Message::Binary(bytes) = open.socket.next().await.unwrap().unwrap() else { panic!() };
    assert!(bytes.len() > 10);
}

#[tokio::test]
async fn long_answers_arrive() {
    let mut open = Open::new().await;
    let long = "x".repeat(300_000);
    open.send(call_frame("/node/info", json!(long))).await;
    assert_eq!(open.frame().await["payload"]["output"]["input"], long);
}

#[tokio::test]
async fn a_browser_shows_its_token_as_a_subprotocol() {
    let mut raw = connect("http/1.1");
    let head = handshake(&mut raw, BROWSER).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nsec-websocket-protocol: alknet.call\r\n"), "{head}");
    assert!(!head.contains("alk_alice"));
}

#[tokio::test]
async fn what_is_no_handshake_is_told_how_to_make_one() {
    let answer = async |fields: &str, head: &str| {
        let mut raw = connect("http/1.1");
        raw.io.write_all(format!("{head}\r\nhost: x\r\n{fields}connection: close\r\n\r\n").as_bytes()).await.unwrap();
        raw.rest().await
    };
    let plain = answer(BEARER, "GET /call HTTP/1.1").await;
    assert!(plain.starts_with("HTTP/1.1 426 ") && plain.contains("\r\nupgrade: websocket\r\n"), "{plain}");
    assert!(
        plain.contains("\r\nsec-websocket-version: 13\r\n") && plain.contains("application/problem+json"),
        "{plain}"
    );
    let post = answer(BEARER, "POST /call HTTP/1.1").await;
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("\r\nallow: GET\r\n"), "{post}");
    let stranger = answer("", "GET /call HTTP/1.1").await;
    assert!(stranger.starts_with("HTTP/1.1 401 "), "{stranger}");
    let mut raw = connect("http/1.1");
    assert!(handshake(&mut raw, "").await.starts_with("HTTP/1.1 401 "));
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_if_some_are_named() {
    let origins = vec!["https://console.example".to_owned().try_into().unwrap()];
    let config = HttpConfig { cors: CorsConfig { origins }, ..HttpConfig::default() };
    let status = async |config: &HttpConfig, fields: String| {
        let mut raw = connect_with("http/1.1", config.clone());
        handshake(&mut raw, &fields).await[9..12].to_owned()
    };
    let evil = format!("{BROWSER}origin: https://evil.example\r\n");
    assert_eq!(status(&config, format!("{BROWSER}origin: https://console.example\r\n")).await, "101");
    assert_eq!(status(&config, BEARER.to_owned()).await, "101");
    assert_eq!(status(&config, evil.clone()).await, "403");
    assert_eq!(status(&HttpConfig::default(), evil).await, "101");
}

#[tokio::test]
async fn what_cannot_be_bytes_of_calls_ends_it_with_a_code() {
    let mut open = Open::new().await;
    open.socket.send(Message::text("{}")).await.unwrap();
    assert_eq!(open.close_code().await, u16::from(CloseCode::Unsupported));
    let config = HttpConfig { max_message_bytes: 2000, ..HttpConfig::default() };
    let mut open = Open::on(connect_with("http/1.1", config)).await;
    open.send(vec![0; 2001]).await;
    assert_eq!(open.close_code().await, u16::from(CloseCode::Size));
    assert!(open.raw.served.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_websocket_ends_with_its_token_and_with_its_node() {
    for (end, code) in [
        ((|raw: &Raw| raw.identities.set(vec![]).unwrap()) as fn(&Raw), CloseCode::Policy),
        (|raw: &Raw| raw.drain.cancel(), CloseCode::Away),
    ] {
        let mut open = Open::new().await;
        open.send(call_frame("/resources/none", json!(null))).await;
        assert_eq!(open.frame().await["payload"]["code"], "NOT_FOUND");
        let started = Instant::now();
        end(&open.raw);
        assert_eq!(open.close_code().await, u16::from(code));
        assert!(started.elapsed() < Duration::from_secs(1));
        assert!(open.raw.served.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_bearer_is_changes_with_the_next_call() {
    let mut raw = connect("http/1.1");
    handshake(&mut raw, "authorization: Bearer alk_bob\r\n").await;
    let io = std::mem::replace(&mut raw.io, tokio::io::duplex(1).0);
    let mut open = Open { socket: WebSocketStream::from_raw_socket(io, Role::Client, None).await, raw };
    open.send(call_frame("/demo/scoped", json!(null))).await;
    assert_eq!(open.frame().await["payload"]["output"], "done");
    crate::testkit::demote_bob(&open.raw.identities);
    open.send(call_frame("/demo/scoped", json!(null))).await;
    assert_eq!(open.frame().await["payload"]["code"], "FORBIDDEN");
}

#[tokio::test(start_paused = true)]
async fn a_close_or_a_lost_connection_ends_everything() {
    let mut open = Open::new().await;
    open.send(call_frame("/node/info", json!("hang"))).await;
    open.socket.close(None).await.unwrap();
    assert_eq!(open.close_code_or_end().await, None);
    assert!(open.raw.served.await.unwrap().is_ok());
    let open = Open::new().await;
    drop(open.socket);
    assert!(open.raw.served.await.unwrap().is_ok());
}

impl Open {
    /// The code of a close that is no answer to our own.
    async fn close_code_or_end(&mut self) -> Option<u16> {
        match self.socket.next().await {
            None => None,
            Some(Ok(Message::Close(frame))) => frame.map(|frame| frame.code.into()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_pinged_and_one_that_does_not_answer_is_gone() {
    let mut open = Open::new().await;
    let started = Instant::now();
    for round in 1..5 {
        // The library answers with the next read.
        assert!(matches!(open.socket.next().await.unwrap().unwrap(), Message::Ping(_)));
        assert_eq!(started.elapsed().as_secs(), 30 * round);
    }
    open.socket.flush().await.unwrap();
    let served = open.raw.served;
    // It reads no more, so it answers no more.
    assert!(served.await.unwrap().is_ok());
    assert_eq!(started.elapsed().as_secs(), 30 * 6);
}

#[tokio::test]
async fn websockets_are_limited_and_their_end_makes_room() {
    let config = HttpConfig { max_websockets: 1, ..HttpConfig::default() };
    let registry = crate::testkit::registry();
    let calls = std::sync::Arc::new(alknet_call::CallHandler::new(registry.clone(), Default::default()));
    let handler = std::sync::Arc::new(crate::HttpHandler::builder(registry, config).calls(calls).build());
    let open = async || {
        let drain = tokio_util::sync::CancellationToken::new();
        let (io, connection) = crate::testkit::pipe("http/1.1", drain.clone());
        let served =
            tokio::spawn(alknet_core::ProtocolHandler::handle(handler.clone(), connection, crate::testkit::auth()));
        let mut raw = Raw { io, served, drain, identities: crate::testkit::identities() };
        (handshake(&mut raw, BEARER).await[9..12].to_owned(), raw)
    };
    let (status, first) = open().await;
    assert_eq!(status, "101");
    assert_eq!(open().await.0, "429");
    drop(first.io);
    first.served.await.unwrap().unwrap();
    assert_eq!(open().await.0, "101");
}
