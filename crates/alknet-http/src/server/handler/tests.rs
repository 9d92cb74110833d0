use super::*;
use crate::testkit::{auth, pipe, registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A client that speaks HTTP by hand.
struct Raw {
    io: DuplexStream,
    served: JoinHandle<Result<(), HandlerError>>,
    drain: CancellationToken,
}

fn connect(alpn: &str) -> Raw {
    let drain = CancellationToken::new();
    let (io, connection) = pipe(alpn, drain.clone());
    let handler = HttpHandler::new(registry(), HttpConfig::default());
    let served = tokio::spawn(Arc::new(handler).handle(connection, auth()));
    Raw { io, served, drain }
}

impl Raw {
    async fn rest(&mut self) -> String {
        let mut text = Vec::new();
        self.io.read_to_end(&mut text).await.unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What comes up to and including `end`.
    async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(self.io.read_u8().await.unwrap().into());
        }
        text
    }
}

fn node_info(input: &str) -> String {
    let length = input.len();
    format!(
        "POST /node/info HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alk_alice\r\ncontent-length: {length}\r\n\r\n{input}"
    )
}

#[tokio::test]
async fn requests_follow_each_other_on_one_connection() {
    let mut raw = connect(HTTP_1_1);
    raw.io.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(raw.until("\r\n\r\nok\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    raw.io.write_all(node_info("[5]").as_bytes()).await.unwrap();
    assert!(raw.until("}").await.contains(r#""caller":"alice""#));
    raw.io.shutdown().await.unwrap();
    assert_eq!(raw.rest().await, "");
    assert!(raw.served.await.unwrap().is_ok());
}

#[tokio::test]
async fn closed_doors_are_alike_to_the_byte() {
    let answer = async |request: &str| {
        let mut raw = connect(HTTP_1_1);
        raw.io.write_all(format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let answer = raw.rest().await;
        // The time is no part of what is compared.
        answer.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
    };
    let nothing = answer("GET /nothing HTTP/1.1").await;
    assert!(nothing.starts_with("HTTP/1.1 404 Not Found\n"), "{nothing}");
    assert_eq!(answer("POST /node/info HTTP/1.1\r\ncontent-length: 0").await, nothing);
    assert_eq!(answer("POST /node/info HTTP/1.1\r\nauthorization: Bearer alk_x").await, nothing);
    assert_eq!(answer("DELETE /healthz HTTP/1.1").await, nothing);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_time() {
    let mut raw = connect(HTTP_1_1);
    let started = Instant::now();
    raw.io.write_all(b"GET /healthz HTTP/1.1\r\nho").await.unwrap();
    raw.rest().await;
    assert_eq!(started.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_request_has_its_time_even_if_its_body_dribbles() {
    for request in [node_info(r#""hang""#), node_info("12").trim_end_matches('2').to_owned()] {
        let mut raw = connect(HTTP_1_1);
        let started = Instant::now();
        raw.io.write_all(request.as_bytes()).await.unwrap();
        let answer = raw.until("}").await;
        assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains(r#""code":"TIMEOUT""#), "{answer}");
        assert_eq!(started.elapsed().as_secs(), 60);
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let mut raw = connect(HTTP_1_1);
    let head = format!("GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    raw.io.write_all(head.as_bytes()).await.unwrap();
    assert!(raw.rest().await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test(start_paused = true)]
async fn draining_lets_the_request_finish_and_then_ends_the_connection() {
    let mut raw = connect(HTTP_1_1);
    raw.io.write_all(node_info(r#""slow""#).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    raw.drain.cancel();
    let mut answer = Vec::new();
    raw.io.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n\"slow\""), "{answer}");
    assert!(raw.served.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn draining_ends_an_idle_connection_at_once() {
    for alpn in [HTTP_1_1, H2] {
        let mut raw = connect(alpn);
        if alpn == H2 {
            raw.io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        } else {
            raw.io.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            raw.until("ok\n").await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let started = Instant::now();
        raw.drain.cancel();
        if alpn == H2 {
            // A client that is told to go away (RFC 9113 §6.8) and has no requests open goes.
            raw.io.shutdown().await.unwrap();
        }
        raw.rest().await;
        assert!(raw.served.await.unwrap().is_ok());
        assert_eq!(started.elapsed().as_secs(), 0);
    }
}

#[tokio::test]
async fn h2_is_spoken_where_it_was_negotiated() {
    let mut raw = connect(H2);
    // The preface and empty settings (RFC 9113 §3.4), then a GET of /healthz: headers by their index in the static table,
    // the path as a literal (RFC 7541 §6.2.2).
    raw.io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let block = b"\x82\x87\x04\x08/healthz\x01\x01x";
    raw.io.write_all(&[0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]).await.unwrap();
    raw.io.write_all(block).await.unwrap();
    loop {
        // RFC 9113 §4.1: 24 bits of length, then the type; flags and the stream's number do not matter here.
        let head = raw.io.read_u32().await.unwrap();
        let (length, kind) = (head >> 8, head & 0xff);
        raw.io.read_exact(&mut [0; 5]).await.unwrap();
        let mut payload = vec![0; length as usize];
        raw.io.read_exact(&mut payload).await.unwrap();
        match kind {
            0 => return assert_eq!(payload, b"ok\n"),
            1 => assert_eq!(payload[0], 0x88, "the static table's :status 200"),
            _ => {}
        }
    }
}
