//! The same over `h2`, with frames by hand (RFC 9113 §4.1).

use super::*;
use crate::testkit::call_frame;
use serde_json::Value;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
}

impl Raw {
    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.io.write_all(&frame).await.unwrap();
    }

    /// The preface, with settings of two and four bytes each (RFC 9113 §3.4, §6.5).
    async fn preface(&mut self, settings: &[(u16, u32)]) {
        self.io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| id.to_be_bytes().into_iter().chain(value.to_be_bytes())).collect();
        self.send(SETTINGS, 0, 0, &payload).await;
    }

    /// The next frame; none when the connection has ended.
    async fn frame(&mut self) -> Option<Frame> {
        let head = self.io.read_u32().await.ok()?;
        let flags = self.io.read_u8().await.ok()?;
        self.io.read_u32().await.ok()?;
        let mut payload = vec![0; (head >> 8) as usize];
        self.io.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head as u8, flags, payload })
    }

    /// The next frame of a kind.
    async fn next(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection has ended");
            if frame.kind == kind {
                return frame;
            }
        }
    }
}

/// A literal of HPACK, whose name is one, too, or stands in the static table (RFC 7541 §6.2.2).
fn literal(name: &[u8], value: &str) -> Vec<u8> {
    [name, &[value.len() as u8], value.as_bytes()].concat()
}

fn named(name: &str, value: &str) -> Vec<u8> {
    literal(&literal(&[0], name), value)
}

const AUTHORITY: &[u8] = &[1];
const METHOD: &[u8] = &[2];
const PATH: &[u8] = &[4];
const GET: &[u8] = &[0x82];
const POST: &[u8] = &[0x83];
const HTTP: &[u8] = &[0x86];
/// Number 23 of the static table.
const AUTHORIZATION: &[u8] = &[0x0f, 8];

fn request(method: &[u8], path: &str, token: &str) -> Vec<u8> {
    let bearer = literal(AUTHORIZATION, &format!("Bearer {token}"));
    [method, HTTP, &literal(PATH, path), &literal(AUTHORITY, "x"), &bearer].concat()
}

#[tokio::test]
async fn h2_is_spoken_where_it_was_negotiated() {
    let mut raw = connect(H2);
    raw.preface(&[]).await;
    let block = [GET, HTTP, &literal(PATH, "/healthz"), &literal(AUTHORITY, "x")].concat();
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &block).await;
    assert_eq!(raw.next(HEADERS).await.payload[0], 0x88, "the static table's :status 200");
    assert_eq!(raw.next(DATA).await.payload, b"ok\n");
}

#[tokio::test]
async fn operations_run_side_by_side() {
    let mut raw = connect(H2);
    raw.preface(&[]).await;
    raw.send(HEADERS, END_HEADERS, 1, &request(POST, "/node/info", "alk_alice")).await;
    raw.send(DATA, END_STREAM, 1, b"\"hang\"").await;
    raw.send(HEADERS, END_STREAM | END_HEADERS, 3, &request(POST, "/a/tty/list", "alk_alice")).await;
    assert_eq!(raw.next(DATA).await.payload, b"[]");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_events_and_ends_with_its_token() {
    let mut raw = connect(H2);
    raw.preface(&[]).await;
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &request(POST, "/demo/quiet", "alk_bob")).await;
    assert_eq!(raw.next(DATA).await.payload, b"data: \"first\"\n\n");
    let started = Instant::now();
    assert_eq!(raw.next(DATA).await.payload, b":\n\n");
    assert_eq!(started.elapsed().as_secs(), 15);
    raw.identities.set(vec![]).unwrap();
    let last = raw.next(DATA).await;
    assert!(last.payload.starts_with(b"event: error\ndata: {") && last.flags & END_STREAM != 0);
    assert_eq!(started.elapsed().as_secs(), 15);
}

#[tokio::test]
async fn an_answer_before_the_end_of_a_short_body_resets_nothing() {
    let mut raw = connect(H2);
    raw.preface(&[]).await;
    raw.send(HEADERS, END_HEADERS, 1, &request(POST, "/node/info", "alk_guess")).await;
    assert!(raw.next(DATA).await.flags & END_STREAM != 0, "the answer does not wait for the body");
    raw.send(DATA, END_STREAM, 1, b"{}").await;
    raw.send(HEADERS, END_STREAM | END_HEADERS, 3, &request(POST, "/a/tty/list", "alk_alice")).await;
    let mut kinds = Vec::new();
    loop {
        let frame = raw.frame().await.expect("the connection goes on");
        kinds.push(frame.kind);
        if frame.kind == DATA {
            assert_eq!(frame.payload, b"[]");
            break;
        }
    }
    assert!(!kinds.contains(&RST_STREAM), "{kinds:?}");
}

/// RFC 9113 §6.5.2.
const INITIAL_WINDOW_SIZE: u16 = 4;

#[tokio::test(start_paused = true)]
async fn a_client_that_holds_a_stream_up_is_cut_off() {
    for window in [0, 100_000] {
        let mut raw = connect(H2);
        raw.preface(&[(INITIAL_WINDOW_SIZE, window)]).await;
        let started = Instant::now();
        raw.send(HEADERS, END_HEADERS, 1, &request(POST, "/demo/endless", "alk_bob")).await;
        raw.send(DATA, END_STREAM, 1, b"\"more\"").await;
        // It reads whatever comes, but never makes room for more.
        let mut seen = 0;
        while let Some(frame) = raw.frame().await {
            seen += if frame.kind == DATA { frame.payload.len() } else { 0 };
        }
        // The connection as a whole has a window of 64 KiB.
        assert!(seen <= window as usize && (window == 0 || seen > 60_000), "{seen} of {window}");
        assert_eq!(started.elapsed().as_secs(), 60);
        assert!(raw.served.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn a_websocket_comes_over_extended_connect() {
    let mut raw = connect(H2);
    raw.preface(&[]).await;
    assert!(raw.next(SETTINGS).await.payload.chunks(6).any(|setting| setting == [0, 8, 0, 0, 0, 1]), "RFC 8441 §3");
    let method = [literal(METHOD, "CONNECT"), named(":protocol", "websocket")].concat();
    let head = [request(&method, "/call", "alk_alice"), named("sec-websocket-version", "13")].concat();
    raw.send(HEADERS, END_HEADERS, 1, &head).await;
    assert_eq!(raw.next(HEADERS).await.payload[0], 0x88);
    // A last frame of binary data, masked with zeros (RFC 6455 §5.2).
    let call = call_frame("/node/info", Value::Null);
    let message = [&[0x82, 0x80 | call.len() as u8, 0, 0, 0, 0], &call[..]].concat();
    raw.send(DATA, 0, 1, &message).await;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("call.responded") {
        seen.extend(raw.next(DATA).await.payload);
    }
    assert!(String::from_utf8_lossy(&seen).contains(r#""caller":"alice""#));
}
