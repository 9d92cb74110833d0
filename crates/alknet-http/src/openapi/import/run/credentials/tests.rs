use crate::openapi::import::model::{HttpOperation, Place, Style};
use crate::openapi::import::run::testkit::{Node, operation, service};
use crate::outbound::testkit::{Authority, Mock, Recorded, client, respond};
use alknet_call::ErrorCode;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use http::{Method, Response, Version};
use rustls::version::TLS13;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span;

fn get() -> HttpOperation {
    operation("get", Method::GET, "/get")
}

async fn echo() -> Mock {
    Mock::serve(sent_back).await
}

fn sent_back(request: &Recorded) -> Response<Body> {
    let Recorded { uri, headers, .. } = request;
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    let echo = json!({ "uri": uri.to_string(), "headers": headers }).to_string();
    match uri.path() {
        "/fail" => respond(500, "application/json", echo),
        "/text" => respond(418, "text/plain", format!("{uri} {headers:?}")),
        "/binary" => respond(200, "image/png", [&[0xff], echo.as_bytes()].concat()),
        "/events" => respond(200, "text/event-stream", format!("data: {echo}\n\ndata: {uri} {headers:?}\n\n")),
        _ => respond(200, "application/json", echo),
    }
}

/// Calls an operation with capabilities; gives the request that was sent, or the error.
async fn sent(operation: HttpOperation, capabilities: &[(&str, &str)]) -> Result<Recorded, String> {
    let mock = echo().await;
    let node = Node::new(service(&mock.url, vec![operation]), capabilities).await;
    match node.call("pets/get", json!({})).await {
        Ok(_) => Ok(mock.request()),
        Err(error) => {
            assert!(mock.requests().is_empty());
            assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, false));
            Err(error.message)
        }
    }
}

#[tokio::test]
async fn each_scheme_has_its_place() {
    let sent =
        async |scheme: &str, secret: &str| sent(get().with_schemes(&[scheme]), &[(scheme, secret)]).await.unwrap();
    assert_eq!(sent("bearer", "t0ken").await.header("authorization"), "Bearer t0ken");
    let basic = format!("Basic {}", STANDARD.encode("ada:pass:word"));
    assert_eq!(sent("basic", "ada:pass:word").await.header("authorization"), basic);
    assert_eq!(sent("header", "k&y").await.header("x-key"), "k&y");
    assert_eq!(sent("query", "k&y /").await.query(), "X-Key=k%26y%20%2F");
    assert_eq!(sent("cookie", "k=y").await.header("cookie"), "X-Key=k=y");
}

#[tokio::test]
async fn a_credential_goes_beside_what_the_caller_sends() {
    let mock = echo().await;
    let operation = get()
        .with_parameter("q", Place::Query, Style::Form)
        .with_parameter("c", Place::Cookie, Style::Form)
        .with_parameter("X-Key", Place::Header, Style::Simple)
        .with_schemes(&["query", "cookie", "header"]);
    let node = Node::new(service(&mock.url, vec![operation]), &[("*", "s3cret")]).await;
    node.call("pets/get", json!({ "q": 1, "c": 2, "X-Key": "mine" })).await.unwrap();
    let request = mock.request();
    assert_eq!((request.query(), request.header("cookie")), ("q=1&X-Key=s3cret", "c=2; X-Key=s3cret"));
    assert_eq!(request.headers.get_all("x-key").iter().collect::<Vec<_>>(), ["s3cret"]);
    // An object's fields are names of the caller's choice.
    for key in ["q", "c"] {
        let error = node.call("pets/get", json!({ key: { "X-Key": "mine" } })).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput, "{error}");
        assert!(error.message.contains("the place of the credential"), "{error}");
    }
    assert_eq!(mock.requests().len(), 1);
}

#[tokio::test]
async fn the_first_way_is_taken_for_which_there_is_all() {
    let operation = || get().with_schemes(&["bearer", "header"]).with_schemes(&["query"]);
    let query = async |capabilities: &[(&str, &str)]| {
        sent(operation(), capabilities).await.map(|request| request.query().to_owned())
    };
    assert_eq!(query(&[("bearer", "a"), ("query", "c")]).await.unwrap(), "X-Key=c");
    assert_eq!(query(&[("bearer", "a"), ("header", "b"), ("query", "c")]).await.unwrap(), "");
    let request = sent(operation(), &[("*", "all"), ("header", "own")]).await.unwrap();
    assert_eq!((request.header("authorization"), request.header("x-key")), ("Bearer all", "own"));
    let error = query(&[("bearer", "s3cret")]).await.unwrap_err();
    assert_eq!(
        error,
        "the service wants a credential for the scheme \"bearer\" with \"header\" or \"query\", and there is none: seal one \
         with \"alknet vault encrypt\" and give it to the import"
    );
}

#[tokio::test]
async fn who_needs_no_credential_gets_one_only_if_it_takes_one() {
    let bare = |request: Recorded| request.header("authorization").is_empty();
    assert!(bare(sent(get(), &[("*", "s3cret")]).await.unwrap()));
    let optional = || get().with_schemes(&[]).with_schemes(&["bearer"]);
    assert!(bare(sent(optional(), &[]).await.unwrap()));
    assert!(!bare(sent(optional(), &[("bearer", "s3cret")]).await.unwrap()));
    // A description without any scheme says nothing of who may call.
    let mock = echo().await;
    let mut described = service(&mock.url, vec![get()]);
    described.schemes.clear();
    Node::new(described.clone(), &[]).await.call("pets/get", json!({})).await.unwrap();
    Node::new(described, &[("*", "s3cret")]).await.call("pets/get", json!({})).await.unwrap();
    let sent: Vec<_> = mock.requests().iter().map(|request| request.header("authorization").to_owned()).collect();
    assert_eq!(sent, ["", "Bearer s3cret"]);
}

#[tokio::test]
async fn no_credential_goes_where_others_can_read_it() {
    let far = "http://pets.example:1/".parse().unwrap();
    let node = Node::new(service(&far, vec![get().with_schemes(&["bearer"])]), &[("bearer", "s3cret")]).await;
    let error = node.call("pets/get", json!({})).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, false));
    assert_eq!(error.message, "http://pets.example:1 is not called over https, so no credential is sent there");
}

#[tokio::test]
async fn a_credential_that_cannot_be_sent_is_not_shown() {
    for scheme in ["bearer", "header", "cookie"] {
        let error = sent(get().with_schemes(&[scheme]), &[(scheme, "s3cret\n")]).await.unwrap_err();
        assert!(error.contains(scheme) && error.contains("such as a line feed at its end"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn no_redirect_takes_a_credential_elsewhere() {
    let thief = echo().await;
    let to = thief.url.join("/get").unwrap().to_string();
    let mock = Mock::serve(move |_| {
        let mut response = respond(307, "text/plain", "");
        response.headers_mut().insert("location", to.parse().unwrap());
        response
    })
    .await;
    let operation = get().with_schemes(&["bearer", "header", "query", "cookie"]);
    let node = Node::new(service(&mock.url, vec![operation]), &[("*", "s3cret")]).await;
    assert_eq!(node.call("pets/get", json!({})).await.unwrap_err().wire_code(), "HTTP_307");
    assert!(thief.requests().is_empty());
}

/// Takes everything that is traced, at every level.
#[derive(Clone, Default)]
struct Traces(Arc<Mutex<String>>);

impl Visit for Traces {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Traces {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        span.record(&mut self.clone());
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_credential_comes_back_in_nothing() {
    let traces = Traces::default();
    let _guard = tracing::subscriber::set_default(traces.clone());
    let authority = Authority::new();
    let plain = (echo().await, client(), Version::HTTP_11);
    let tls = Mock::serve_tls(authority.server(false, &TLS13), sent_back).await;
    let mut answers = Vec::new();
    for (mock, client, version) in [plain, (tls, authority.client(true, false), Version::HTTP_2)] {
        for scheme in ["bearer", "basic", "header", "query", "cookie"] {
            let named = |name: &str| operation(name, Method::GET, &format!("/{name}")).with_schemes(&[scheme]);
            let mut operations = ["get", "fail", "text", "binary"].map(named).to_vec();
            operations.push(named("events").with_events(None));
            let secret = if scheme == "basic" { "ada:s3cret/1" } else { "s3cret/1" };
            let node = Node::with_client(service(&mock.url, operations), &[(scheme, secret)], client.clone()).await;
            for name in ["pets/get", "pets/fail", "pets/text"] {
                answers.push(format!("{:?}", node.call(name, json!({})).await));
            }
            let binary = node.call("pets/binary", json!({})).await.unwrap();
            let bytes = STANDARD.decode(binary["data"].as_str().unwrap()).unwrap();
            answers.push(String::from_utf8_lossy(&bytes).into_owned());
            let events: Vec<_> = node.subscribe("pets/events", json!({})).collect().await;
            answers.push(format!("{events:?}"));
        }
        assert_eq!(mock.requests().len(), 5 * 5);
        assert!(mock.requests().iter().all(|request| request.version == version));
    }
    // The service did send it back.
    assert!(answers.iter().all(|answer| answer.contains("***")), "{answers:#?}");
    let traces = traces.0.lock().unwrap();
    assert!(traces.contains("a service answered"), "{traces}");
    for secret in ["s3cret", &STANDARD.encode("ada:s3cret/1"), &STANDARD.encode("s3cret/1")] {
        assert!(!answers.iter().any(|answer| answer.contains(secret)), "{answers:#?}");
        assert!(!traces.contains(secret), "{traces}");
    }
}
