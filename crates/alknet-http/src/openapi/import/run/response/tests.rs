use super::*;

fn answer(content_type: &str, body: impl AsRef<[u8]>) -> Answer {
    let content_type = (!content_type.is_empty()).then(|| content_type.parse().unwrap());
    Answer { content_type, coding: None, body: Bytes::copy_from_slice(body.as_ref()) }
}

fn read(content_type: &str, body: impl AsRef<[u8]>) -> Value {
    answer(content_type, body).value(&Scrub::default()).unwrap()
}

#[test]
fn an_answer_is_read_by_its_media_type() {
    for (content_type, body, expected) in [
        ("application/json", &b"{\"a\":1}"[..], json!({ "a": 1 })),
        ("application/vnd.api+json; charset=utf-8", b"[1]", json!([1])),
        ("text/json", b"1", json!(1)),
        ("text/plain", b"1", json!("1")),
        ("text/html; charset=UTF-8", "é".as_bytes(), json!("é")),
        ("text/plain; charset=ISO-8859-1", b"\xe9", json!("é")),
        ("application/atom+xml", b"<a/>", json!("<a/>")),
        ("application/x-ndjson", b"1\n2", json!("1\n2")),
        ("text/plain", b"\xff", json!({ "content_type": "text/plain", "data": "/w==" })),
        ("text/plain; charset=utf-16", b"ab", json!({ "content_type": "text/plain; charset=utf-16", "data": "YWI=" })),
        ("image/png", b"ab", json!({ "content_type": "image/png", "data": "YWI=" })),
        ("", b"{\"a\":1}", json!({ "a": 1 })),
        ("", b"plain", json!("plain")),
        ("not a type", b"\xff", json!({ "content_type": "application/octet-stream", "data": "/w==" })),
        ("application/json", b"", json!(null)),
    ] {
        assert_eq!(read(content_type, body), expected, "{content_type} {body:?}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let error = answer("application/json", "{").value(&Scrub::default()).unwrap_err();
    assert!(error.message.contains("says that it is JSON, and is not: EOF"), "{error}");
    assert!(!error.retryable);
    let mut coded = answer("application/json", "{}");
    coded.coding = Some(HeaderValue::from_static("gzip"));
    assert!(coded.value(&Scrub::default()).unwrap_err().message.contains("coded as \"gzip\""));
}

#[test]
fn an_event_is_its_data() {
    let read = |kind: &str, data: &str| {
        event(Event { kind: kind.into(), data: data.into(), ..Event::default() }, &Scrub::default())
    };
    assert_eq!(read("", "{\"a\":1}"), Some(json!({ "a": 1 })));
    assert_eq!(read("message", "hello"), Some(json!("hello")));
    assert_eq!(read("added", "{\"type\":\"added\"}"), Some(json!({ "type": "added" })));
    assert_eq!(read("added", "{\"type\":\"x\"}"), Some(json!({ "event": "added", "data": { "type": "x" } })));
    assert_eq!(read("added", "x"), Some(json!({ "event": "added", "data": "x" })));
    assert_eq!(read("", "[DONE]"), None);
}

fn refuse(status: u16, headers: &[(&'static str, &str)], body: &str) -> CallError {
    let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
    let status = StatusCode::from_u16(status).unwrap();
    let body = Bytes::copy_from_slice(body.as_bytes());
    Refusal { status, headers: headers.collect(), body }.error(&Scrub::default())
}

#[test]
fn each_status_has_its_code() {
    for (status, code, retryable) in [
        (400, "INVALID_INPUT", false),
        (422, "INVALID_INPUT", false),
        (408, "TIMEOUT", true),
        (504, "TIMEOUT", true),
        (429, "RESOURCE_EXHAUSTED", true),
        (502, "UNAVAILABLE", true),
        (503, "UNAVAILABLE", true),
        (302, "HTTP_302", false),
        (401, "HTTP_401", false),
        (404, "HTTP_404", false),
        (500, "HTTP_500", false),
    ] {
        let error = refuse(status, &[], "");
        assert_eq!((error.wire_code(), error.retryable), (code, retryable));
        assert_eq!(error.details, Some(json!({ "status": status })));
    }
}

#[test]
fn an_error_tells_what_the_service_says() {
    let error = refuse(404, &[], "{\"error\":{\"message\":\"no such pet\",\"code\":7}}");
    assert_eq!(error.message, "the service answered 404 Not Found: no such pet");
    let body = json!({ "error": { "message": "no such pet", "code": 7 } });
    assert_eq!(error.details, Some(json!({ "status": 404, "body": body })));
    let error = refuse(429, &[("retry-after", "120")], "slow down");
    assert_eq!(error.details, Some(json!({ "status": 429, "retry_after_seconds": 120, "body": "slow down" })));
    let error = refuse(302, &[("location", "https://b.example/")], "");
    assert_eq!(error.details, Some(json!({ "status": 302, "location": "https://b.example/" })));
    let long = refuse(500, &[], &format!("{{\"title\":\"{}\"}}", "é".repeat(1000)));
    assert!(long.message.ends_with(&format!(": {}", "é".repeat(MAX_SAID))));
}
