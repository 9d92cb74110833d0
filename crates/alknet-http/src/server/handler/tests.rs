use super::*;
use crate::decoy::DecoyConfig;
use crate::testkit::{Raw, connect, connect_as, connect_to, forget_bob};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

mod h2;

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
    assert!(nothing.starts_with("HTTP/1.1 401 Unauthorized\n"), "{nothing}");
    assert_eq!(answer("POST /node/info HTTP/1.1\r\ncontent-length: 0").await, nothing);
    assert_eq!(answer("DELETE /healthz HTTP/1.1").await, nothing);
    let wrong = answer("GET /nothing HTTP/1.1\r\nauthorization: Bearer alk_x").await;
    assert_eq!(answer("POST /node/info HTTP/1.1\r\nauthorization: Bearer alk_x").await, wrong);
}

#[tokio::test]
async fn a_decoy_hands_the_connection_over_once_there_is_a_token() {
    let decoy = Decoy::new(&DecoyConfig::nginx()).unwrap();
    let mut raw = connect_to(HTTP_1_1, HttpConfig::default(), |handler| handler.decoy(decoy));
    raw.io.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let answer = raw.until("</html>\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\nDate: "), "{answer}");
    raw.io.write_all(node_info("[5]").as_bytes()).await.unwrap();
    assert!(raw.until("}").await.contains(r#""caller":"alice""#), "nothing of the request is lost");
    raw.io.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(raw.rest().await.ends_with("</html>\n"), "the next one without a token sees the site again");
    assert!(raw.served.await.unwrap().is_ok());

    // Over a WebSocket, the token is where a browser can put it.
    let decoy = Decoy::new(&DecoyConfig::nginx()).unwrap();
    let mut raw = connect_to(HTTP_1_1, HttpConfig::default(), |handler| handler.decoy(decoy));
    let upgrade = "GET /call HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: alknet.call, alknet.bearer.";
    raw.io.write_all(format!("{upgrade}alk_guess\r\n\r\n").as_bytes()).await.unwrap();
    assert!(raw.until("</html>\r\n").await.starts_with("HTTP/1.1 404 Not Found\r\nServer: nginx"));
    raw.io.write_all(format!("{upgrade}alk_alice\r\n\r\n").as_bytes()).await.unwrap();
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
}

/// A connection to a node with a dashboard, and a link to that for bob.
async fn connect_to_dashboard(
    alpn: &str,
    more: impl FnOnce(HttpHandlerBuilder) -> HttpHandlerBuilder,
) -> (Raw, String) {
    let identities = crate::testkit::identities();
    let dashboard = Dashboard::new(identities.clone());
    let bundle = dashboard.bundle();
    let scoped = alknet_core::Identity {
        id: "bob".into(),
        scopes: vec![alknet_core::Scope::dashboard_use()],
        resources: Default::default(),
    };
    let registry = Registry::new();
    registry.add(bundle).unwrap();
    let caller = Some(Arc::new(scoped));
    let mut context = alknet_call::OperationContext::new("1", caller, CallerInfo::in_process(), Duration::from_secs(9));
    context.auth = Some(AuthContext::new([], identities.clone()).with_token("alk_bob"));
    let link = registry.invoke("dashboard/open", serde_json::Value::Null, context).await.unwrap();
    let raw = connect_as(alpn, HttpConfig::default(), identities, |handler| more(handler.dashboard(dashboard)));
    (raw, link["path"].as_str().unwrap().to_owned())
}

fn plain_get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// An answer with a body of a known length, without the line of the date.
async fn answer(raw: &mut Raw) -> (String, String) {
    let head = raw.until("\r\n\r\n").await;
    let length =
        |line: &str| line.to_lowercase().strip_prefix("content-length: ").and_then(|length| length.parse().ok());
    let mut body = vec![0; head.lines().find_map(length).unwrap()];
    raw.io.read_exact(&mut body).await.unwrap();
    let head = head.lines().filter(|line| !line.to_lowercase().starts_with("date: ")).collect::<Vec<_>>().join("\n");
    (head, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn a_dashboard_is_there_for_its_link_alone() {
    for has_decoy in [false, true] {
        let hidden = |handler: HttpHandlerBuilder| match has_decoy {
            true => handler.decoy(Decoy::new(&DecoyConfig::nginx()).unwrap()),
            false => handler,
        };
        let (mut raw, link) = connect_to_dashboard(HTTP_1_1, hidden).await;
        let mut ask = async |path: &str| {
            raw.io.write_all(&plain_get(path)).await.unwrap();
            answer(&mut raw).await
        };
        let nothing = ask("/nothing").await;
        let wrong = format!("{}x", link.get(..link.len() - 1).unwrap());
        for path in ["/dashboard", "/dashboard/", &wrong] {
            assert_eq!(ask(path).await, nothing, "{path}, decoy: {has_decoy}");
        }
        let (head, page) = ask(&link).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\n") && page.starts_with("<!doctype html>"), "{head}");
        let (head, body) = ask(&link).await;
        assert_eq!((head.lines().next(), &body), (nothing.0.lines().next(), &nothing.1), "it is used up");

        let session = page.split_once("name=\"session\" content=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
        let info = format!(
            "POST /node/info HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {session}\r\ncontent-length: 0\r\n\r\n"
        );
        raw.io.write_all(info.as_bytes()).await.unwrap();
        assert!(answer(&mut raw).await.1.contains(r#""caller":"bob""#));
        forget_bob(&raw.identities);
        raw.io.write_all(info.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut raw).await.0.lines().next(), nothing.0.lines().next(), "it ends with bob's token");
    }
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_told_only_behind_a_decoy() {
    let handler = |decoy: bool| {
        let builder = HttpHandler::builder(crate::testkit::registry(), HttpConfig::default());
        let nginx = || Decoy::new(&DecoyConfig::nginx()).unwrap();
        Arc::new(if decoy { builder.decoy(nginx()) } else { builder }.build())
    };
    assert!(!handler(false).answers_plaintext() && handler(true).answers_plaintext());
    let (mut io, connection) = crate::testkit::pipe(HTTP_1_1, Default::default());
    tokio::spawn(handler(true).handle_plaintext(connection));
    io.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    io.shutdown().await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("<center>The plain HTTP request was sent to HTTPS port</center>"), "{answer}");
}

#[tokio::test]
async fn a_body_that_is_not_wanted_is_not_asked_for() {
    let answer = async |fields: &str| {
        let mut raw = connect(HTTP_1_1);
        let head = format!("POST /node/info HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{fields}\r\n");
        raw.io.write_all(head.as_bytes()).await.unwrap();
        let answer = raw.until("\r\n\r\n").await;
        answer.lines().next().unwrap().to_owned()
    };
    assert_eq!(answer("content-length: 9\r\n").await, "HTTP/1.1 401 Unauthorized");
    let bearer = "authorization: Bearer alk_alice\r\n";
    let too_long = format!("{bearer}content-length: 2000000\r\n");
    assert_eq!(answer(&too_long).await, "HTTP/1.1 413 Payload Too Large");
    let other = format!("{bearer}content-type: text/plain\r\ncontent-length: 9\r\n");
    assert_eq!(answer(&other).await, "HTTP/1.1 415 Unsupported Media Type");
    assert_eq!(answer(&format!("{bearer}content-length: 9\r\n")).await, "HTTP/1.1 100 Continue");
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

fn followed(name: &str, input: &str) -> String {
    let length = input.len();
    format!(
        "POST /{name} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer alk_bob\r\naccept: text/event-stream\r\n\
        content-length: {length}\r\n\r\n{input}"
    )
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_in_order_with_its_token_and_when_the_node_drains() {
    for end in [|raw: &Raw| raw.identities.set(vec![]).unwrap(), |raw: &Raw| raw.drain.cancel()] {
        let mut raw = connect(HTTP_1_1);
        raw.io.write_all(followed("demo/quiet", "").as_bytes()).await.unwrap();
        assert!(raw.until("data: \"first\"\n\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
        let started = Instant::now();
        end(&raw);
        // The last chunk says that the body is whole.
        assert!(raw.until("\r\n0\r\n\r\n").await.contains("event: error\ndata: {"));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_frees_its_subscription() {
    let mut raw = connect(HTTP_1_1);
    raw.io.write_all(followed("demo/quiet", "").as_bytes()).await.unwrap();
    raw.until("data: \"first\"\n\n").await;
    let started = Instant::now();
    drop(raw.io);
    let _ = raw.served.await.unwrap();
    assert!(started.elapsed() <= Duration::from_secs(15), "the next heartbeat finds it out");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off() {
    let mut raw = connect(HTTP_1_1);
    let started = Instant::now();
    raw.io.write_all(followed("demo/endless", "\"more\"").as_bytes()).await.unwrap();
    raw.until("data: \"more\"\n\n").await;
    let _ = raw.served.await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 60);
    assert!(raw.io.write_all(b"x").await.is_err());
}
