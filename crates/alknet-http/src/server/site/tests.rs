use super::*;
use crate::decoy::DecoyConfig;
use crate::testkit::{auth, exposition, pipe, registry};
use crate::{ApiInfo, CorsConfig};
use axum::Extension;
use axum::routing::any;
use bytes::Bytes;
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Builder;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

fn client() -> Arc<Client> {
    let (auth, below) = (auth(), pipe("h2", CancellationToken::new()).1);
    let peer = Arc::new(CallerInfo::of(&below, &auth));
    Arc::new(Client {
        auth,
        peer,
        below,
        upgraded: TaskTracker::new(),
        gone: CancellationToken::new(),
        listener: Default::default(),
    })
}

fn site() -> Site {
    Site::new(registry(), HttpConfig { max_body_bytes: 100, ..HttpConfig::default() })
}

type Answer = (u16, HeaderMap, Bytes);

async fn send_to(site: &Site, request: Builder, body: impl Into<Body>) -> Answer {
    let (head, body) = site.respond(&client(), request.body(body.into()).unwrap()).await.into_parts();
    (head.status.as_u16(), head.headers, axum::body::to_bytes(body, 100_000).await.unwrap())
}

async fn send(request: Builder, body: impl Into<Body>) -> Answer {
    send_to(&site(), request, body).await
}

fn alice(request: Builder) -> Builder {
    request.header(AUTHORIZATION, "Bearer alk_alice")
}

fn bob(request: Builder) -> Builder {
    request.header(AUTHORIZATION, "Bearer alk_bob")
}

fn json_of(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// The status and the code of a problem document.
fn problem_of(answer: &Answer) -> (u16, String) {
    let (status, headers, body) = answer;
    assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
    let document = json_of(body);
    assert_eq!(document["status"], *status);
    (*status, document["code"].as_str().unwrap().to_owned())
}

async fn refused(request: Builder, body: impl Into<Body>) -> (u16, String) {
    problem_of(&send(request, body).await)
}

#[tokio::test]
async fn health_needs_nothing() {
    for request in [Request::get(HEALTH), alice(Request::get(HEALTH))] {
        let (status, headers, body) = send(request, "").await;
        assert_eq!((status, &*body), (200, &b"ok\n"[..]));
        assert_eq!(headers[CONTENT_TYPE], "text/plain; charset=utf-8");
    }
    let (status, headers, body) = send(Request::head(HEALTH), "").await;
    assert_eq!((status, &*body, &headers[CONTENT_LENGTH]), (200, &b""[..], &HeaderValue::from(3)));
}

#[tokio::test]
async fn whoever_has_no_token_gets_one_answer_for_everything() {
    let expected = send(Request::get("/nothing/here"), "").await;
    assert_eq!(problem_of(&expected), (401, "UNAUTHENTICATED".to_owned()));
    assert_eq!(expected.1[WWW_AUTHENTICATE], "Bearer");
    for request in [
        Request::post("/node/info"),
        Request::post("/node/info").header(AUTHORIZATION, "Basic alk_alice"),
        Request::post("/node/info").header(AUTHORIZATION, "alk_alice"),
        alice(alice(Request::post("/node/info"))),
        // Public operations are for bearers, too.
        Request::post("/a/tty/list"),
        Request::get("/node/info"),
        Request::options("/node/info"),
        Request::get("/metrics"),
        Request::get("/openapi.json"),
        Request::get("/call").header("sec-websocket-protocol", "alknet.bearer.alk_alice"),
        Request::post(HEALTH),
        Request::options(HEALTH),
        Request::get("/"),
    ] {
        let shown = format!("{request:?}");
        assert_eq!(send(request, "x".repeat(200)).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn whoever_has_a_wrong_token_is_told_so_and_nothing_else() {
    let wrong = |request: Builder| request.header(AUTHORIZATION, "Bearer alk_guess");
    let expected = send(wrong(Request::get("/nothing/here")), "").await;
    assert_eq!(problem_of(&expected), (401, "UNAUTHENTICATED".to_owned()));
    assert_eq!(expected.1[WWW_AUTHENTICATE], r#"Bearer error="invalid_token""#);
    assert!(!String::from_utf8_lossy(&expected.2).contains("alk_guess"));
    for request in [Request::post("/node/info"), Request::get("/metrics"), Request::delete(HEALTH)] {
        assert_eq!(send(wrong(request), "{").await, expected);
    }
}

#[tokio::test]
async fn a_token_opens_every_operation_that_its_bearer_may_call() {
    for authorization in ["Bearer alk_alice", "bearer  alk_alice"] {
        let (status, headers, body) = send(Request::post("/node/info").header(AUTHORIZATION, authorization), "").await;
        assert_eq!((status, &headers[CONTENT_TYPE]), (200, &HeaderValue::from_static("application/json")));
        assert_eq!([&headers[X_CONTENT_TYPE_OPTIONS], &headers[CACHE_CONTROL]], ["nosniff", "no-store"]);
        assert_eq!(json_of(&body), json!({ "caller": "alice", "input": null }));
    }
    let json = alice(Request::post("/node/info")).header(CONTENT_TYPE, "application/json");
    assert_eq!(json_of(&send(json, "[1]").await.2)["input"], json!([1]));
    assert_eq!(json_of(&send(alice(Request::post("/a/tty/list?x=1")), "").await.2), json!([]));
    assert_eq!(json_of(&send(bob(Request::post("/demo/scoped")), "").await.2), "done");
    assert_eq!(refused(alice(Request::post("/demo/scoped")), "").await, (403, "FORBIDDEN".to_owned()));
}

#[tokio::test]
async fn a_bearer_is_told_what_is_wrong() {
    let info = || alice(Request::post("/node/info"));
    for (request, body, expected) in [
        (info(), "{", (400, "INVALID_INPUT")),
        (info(), &*"x".repeat(101), (413, "RESOURCE_EXHAUSTED")),
        (info(), r#""fail""#, (503, "UNAVAILABLE")),
        (info(), r#""busy""#, (422, "BUSY")),
        (info().header(CONTENT_TYPE, "text/plain"), "{}", (415, "INVALID_INPUT")),
        (alice(Request::post("/nothing/here")), "", (404, "NOT_FOUND")),
        (alice(Request::get("/")), "", (404, "NOT_FOUND")),
        (alice(Request::post("/node/info/")), "", (404, "NOT_FOUND")),
        (alice(Request::post("/node%2Finfo")), "", (404, "NOT_FOUND")),
        (alice(Request::get("/nothing/here")), "", (404, "NOT_FOUND")),
        (alice(Request::get("/openapi.json")), "", (404, "NOT_FOUND")),
        (alice(Request::get("/call")), "", (404, "NOT_FOUND")),
        // Who may not call it learns no more of it by another method.
        (alice(Request::get("/demo/scoped")), "", (403, "FORBIDDEN")),
        (bob(Request::post("/demo/quiet").header("accept", "application/json")), "", (406, "INVALID_INPUT")),
        (bob(Request::post("/demo/count")), "{}", (400, "INVALID_INPUT")),
    ] {
        let shown = format!("{request:?} {body}");
        assert_eq!(refused(request, body.to_owned()).await, (expected.0, expected.1.to_owned()), "{shown}");
    }
    // A client that says a type for no body means nothing by it.
    let empty = info().header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(send(empty, "").await.0, 200);
}

#[tokio::test]
async fn a_path_says_which_methods_it_takes() {
    for (request, allowed) in [
        (Request::get("/node/info"), "POST, OPTIONS"),
        (Request::head("/node/info"), "POST, OPTIONS"),
        (Request::delete("/a/tty/list"), "POST, OPTIONS"),
        (Request::post(HEALTH), "GET, HEAD"),
    ] {
        let (status, headers, _) = send(alice(request), "").await;
        assert_eq!((status, &headers["allow"]), (405, &HeaderValue::from_static(allowed)));
    }
    let (status, headers, body) = send(alice(Request::options("/node/info")), "").await;
    assert_eq!((status, &headers["allow"], body.len()), (204, &HeaderValue::from_static("POST, OPTIONS"), 0));
}

#[tokio::test]
async fn a_request_has_an_id_and_keeps_its_own() {
    let site = site();
    let request = |id: Option<&str>| {
        let request = alice(Request::post("/node/info"));
        id.into_iter().fold(request, |request, id| request.header("x-request-id", id))
    };
    let long = "x".repeat(129);
    for (given, kept) in
        [(Some("r-17/b"), true), (None, false), (Some(""), false), (Some("a b"), false), (Some(&long), false)]
    {
        let (_, headers, body) = send_to(&site, request(given), r#""request""#).await;
        let id = headers["x-request-id"].to_str().unwrap();
        assert_eq!(json_of(&body), id, "the handler knows it");
        assert_eq!(kept, Some(id) == given);
        assert_eq!(!kept, id.starts_with("http-"));
    }
    let (_, headers, _) = send_to(&site, alice(Request::post("/nothing/here")).header("x-request-id", "r"), "").await;
    assert_eq!(headers["x-request-id"], "r", "an error has it, too");
}

#[tokio::test]
async fn a_call_can_be_answered_as_an_event() {
    let (status, headers, body) =
        send(bob(Request::post("/demo/scoped").header("accept", "text/event-stream")), "").await;
    assert_eq!((status, &headers[CONTENT_TYPE]), (200, &HeaderValue::from_static("text/event-stream")));
    assert_eq!(body, "data: \"done\"\n\nevent: end\ndata: {}\n\n");
    // What fails before there is anything to follow is a problem like others.
    let failing = alice(Request::post("/node/info").header("accept", "text/event-stream"));
    assert_eq!(refused(failing, r#""fail""#).await, (503, "UNAVAILABLE".to_owned()));
}

#[tokio::test]
async fn a_subscription_goes_on_behind_the_last_event() {
    let count = || bob(Request::post("/demo/count").header("accept", "text/event-stream"));
    let (status, _, body) = send(count(), r#"{"to":2}"#).await;
    let expected =
        "id: 1\ndata: {\"next\":1,\"number\":0}\n\nid: 2\ndata: {\"next\":2,\"number\":1}\n\nevent: end\ndata: {}\n\n";
    assert_eq!((status, &*body), (200, expected.as_bytes()));

    let (_, _, body) = send(count().header("last-event-id", "2"), r#"{"to":3,"from":0}"#).await;
    assert_eq!(body, "id: 3\ndata: {\"next\":3,\"number\":2}\n\nevent: end\ndata: {}\n\n");
    for (id, input) in [("x", r#"{"to":3}"#), ("\"2\"", r#"{"to":3}"#), ("2", "[]")] {
        assert_eq!(
            refused(count().header("last-event-id", id), input).await,
            (400, "INVALID_INPUT".to_owned()),
            "{id}"
        );
    }
}

#[tokio::test]
async fn an_error_comes_as_a_status_or_as_the_last_event() {
    let count = || bob(Request::post("/demo/count"));
    assert_eq!(refused(count(), r#"{"from":13,"to":20}"#).await, (503, "UNAVAILABLE".to_owned()));
    let (status, _, body) = send(count(), r#"{"from":12,"to":20}"#).await;
    let text = std::str::from_utf8(&body).unwrap();
    let (first, last) = text.split_once("\n\n").unwrap();
    assert_eq!((status, first), (200, "id: 13\ndata: {\"next\":13,\"number\":12}"));
    let document = last.strip_prefix("event: error\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    let document: Value = serde_json::from_str(document).unwrap();
    assert_eq!((&document["status"], &document["code"]), (&json!(503), &json!("UNAVAILABLE")));
}

#[tokio::test]
async fn subscriptions_are_limited_and_their_end_makes_room() {
    let site = Site::new(registry(), HttpConfig { max_event_streams: 1, ..HttpConfig::default() });
    let quiet = || bob(Request::post("/demo/quiet")).body(Body::empty()).unwrap();
    let client = client();
    let first = site.respond(&client, quiet()).await;
    assert_eq!(first.status(), 200);
    let refused = site.respond(&client, quiet()).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json");
    drop(first);
    assert_eq!(site.respond(&client, quiet()).await.status(), 200);
}

#[tokio::test]
async fn metrics_are_for_who_may_read_them() {
    let site = site();
    assert_eq!(problem_of(&send_to(&site, alice(Request::get(METRICS)), "").await), (403, "FORBIDDEN".to_owned()));
    send_to(&site, bob(Request::post("/demo/scoped")), "").await;
    send_to(&site, bob(Request::post("/demo/count")), r#"{"to":0}"#).await;
    send_to(&site, Request::get("/x"), "").await;
    let (status, headers, body) = send_to(&site, bob(Request::get(METRICS)), "").await;
    assert_eq!(
        (status, &headers[CONTENT_TYPE]),
        (200, &HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"))
    );
    let samples = exposition(std::str::from_utf8(&body).unwrap());
    let value = |name: &str| samples.iter().find(|(sample, _)| sample == name).unwrap().1;
    assert_eq!(value(r#"alknet_runs_ended_total{kind="call",code="OK"}"#), 1);
    assert_eq!(value(r#"alknet_http_requests_total{route="operation",class="2xx"}"#), 1);
    assert_eq!(value(r#"alknet_http_requests_total{route="events",class="2xx"}"#), 1);
    assert_eq!(value(r#"alknet_http_requests_total{route="unauthenticated",class="4xx"}"#), 1);
    assert_eq!(value(r#"alknet_http_requests_total{route="metrics",class="4xx"}"#), 1);
    assert_eq!(value("alknet_http_requests_running"), 1, "this one");
    assert_eq!(send_to(&site, bob(Request::post(METRICS)), "").await.0, 405);
    let (status, headers, head) = send_to(&site, bob(Request::head(METRICS)), "").await;
    assert!(status == 200 && head.is_empty() && headers.contains_key(CONTENT_LENGTH));
}

#[tokio::test]
async fn a_description_is_asked_with_the_bearer() {
    let mut site = site();
    site.describe_with(Exporter::new(site.operations.registry().clone(), &ApiInfo::new("tested")));
    let (status, headers, body) = send_to(&site, alice(Request::get(DESCRIPTION)), "").await;
    assert_eq!((status, &json_of(&body)["info"]["title"]), (200, &json!("tested")));
    let (tag, marker) = (headers["etag"].clone(), headers[Exporter::HEADER].clone());
    assert_eq!(send_to(&site, alice(Request::get(DESCRIPTION).header("if-none-match", tag)), "").await.0, 304);
    let (_, headers, _) = send_to(&site, alice(Request::post("/node/info")), "").await;
    assert_eq!(headers[Exporter::HEADER], marker, "every answer tells which description is current");
    assert!(!send_to(&site, Request::post("/node/info"), "").await.1.contains_key(Exporter::HEADER));
    assert_eq!(problem_of(&send_to(&site, alice(Request::post(DESCRIPTION)), "").await).0, 405);
    assert_eq!(send_to(&site, Request::get(DESCRIPTION), "").await.0, 401);
}

#[tokio::test]
async fn behind_a_decoy_nothing_of_the_node_is_seen_without_a_token() {
    let mut site = site();
    site.describe_with(Exporter::new(site.operations.registry().clone(), &ApiInfo::new("tested")));
    site.hide_behind(Decoy::new(&DecoyConfig::nginx()).unwrap());
    let guess = |request: Builder| request.header("authorization", "Bearer alk_guess");
    for request in [
        Request::get(HEALTH),
        Request::get("/nothing"),
        guess(Request::get(DESCRIPTION)),
        Request::get(METRICS),
        Request::post("/node/info"),
        guess(Request::post("/node/info")),
    ] {
        let request = request.header("host", "x");
        let shown = format!("{request:?}");
        let (status, headers, body) = send_to(&site, request, "").await;
        assert_eq!((status, &headers["server"]), (404, &HeaderValue::from_static("nginx/1.22.1")), "{shown}");
        assert!(body.ends_with(b"<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"), "{shown}");
        assert!(!headers.contains_key(Exporter::HEADER) && !headers.contains_key("x-content-type-options"), "{shown}");
    }
    assert_eq!(send_to(&site, alice(Request::get(HEALTH)), "").await.2, "ok\n");
    assert_eq!(send_to(&site, alice(Request::post("/node/info")), "").await.0, 200);
}

#[tokio::test]
async fn more_routes_stand_behind_the_door() {
    let mut site = site();
    let whose = |Extension(caller): Extension<Caller>| async move {
        assert_eq!(caller.auth.identity().as_ref(), Some(&caller.identity));
        caller.identity.id.to_string()
    };
    let cached = || async { ([(CACHE_CONTROL, "max-age=60")], Bytes::from("x")) };
    let echoed = |body: Bytes| async move { body };
    site.add_routes(Router::new().route("/more", any(whose)).route("/old", any(cached)).route("/echo", any(echoed)));
    let (status, headers, body) = send_to(&site, alice(Request::get("/more")), "").await;
    assert_eq!((status, &*body, &headers[CACHE_CONTROL]), (200, &b"alice"[..], &HeaderValue::from_static("no-store")));
    assert_eq!(send_to(&site, alice(Request::get("/old")), "").await.1[CACHE_CONTROL], "max-age=60");
    assert_eq!(send_to(&site, alice(Request::post("/echo")), "x".repeat(101)).await.0, 413);
    assert_eq!(send_to(&site, Request::get("/more"), "").await.0, 401);
    assert_eq!(send_to(&site, alice(Request::post("/node/info")), "").await.0, 200, "operations are behind them");
    assert_eq!(problem_of(&send_to(&site, alice(Request::get("/nothing")), "").await).0, 404);
}

fn with_cors(origins: &[&str]) -> Site {
    let origins = origins.iter().map(|origin| (*origin).to_owned().try_into().unwrap()).collect();
    Site::new(registry(), HttpConfig { cors: CorsConfig { origins }, ..HttpConfig::default() })
}

fn preflight(origin: &str) -> Builder {
    let request = Request::options("/node/info").header(ORIGIN, origin);
    request.header("access-control-request-method", "POST").header("access-control-request-headers", "authorization")
}

const ALLOWED: &str = "access-control-allow-origin";

#[tokio::test]
async fn pages_of_other_sites_are_let_in_by_the_configuration_alone() {
    let here = "https://console.example";
    let plain = send(preflight(here), "").await;
    assert_eq!(plain, send(Request::get("/"), "").await, "without it, a preflight is a request like others");

    let site = with_cors(&[here, "http://localhost:8080"]);
    let (status, headers, _) = send_to(&site, preflight(here), "").await;
    assert_eq!((status, &headers[ALLOWED]), (200, &HeaderValue::from_static(here)));
    assert!(headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    assert!(!send_to(&site, preflight("https://evil.example"), "").await.1.contains_key(ALLOWED));

    let info = || alice(Request::post("/node/info"));
    let (status, headers, _) = send_to(&site, info().header(ORIGIN, here), "").await;
    assert_eq!((status, &headers[ALLOWED]), (200, &HeaderValue::from_static(here)));
    assert!(headers["access-control-expose-headers"].to_str().unwrap().contains("x-request-id"));
    assert!(!send_to(&site, info().header(ORIGIN, "https://evil.example"), "").await.1.contains_key(ALLOWED));
    assert!(!send_to(&site, info(), "").await.1.contains_key(ALLOWED));
    // A preflight opens nothing.
    let (status, headers, _) = send_to(&site, Request::post("/node/info").header(ORIGIN, here), "").await;
    assert_eq!((status, &headers[ALLOWED]), (401, &HeaderValue::from_static(here)));

    let (_, headers, _) = send_to(&with_cors(&["*"]), preflight("https://any.example"), "").await;
    assert_eq!(headers[ALLOWED], "*");
}
