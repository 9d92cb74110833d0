//! What is where.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alknet_call::{CallError, CallerInfo, ErrorCode, OperationContext, Registry};
use alknet_core::{AuthContext, Identity};
use axum::extract::{DefaultBodyLimit, FromRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;

use super::problem;
use crate::HttpConfig;

/// Who is at the other end of the connection that a request came over. Each request has it as an
/// [`Extension`](axum::Extension), for routes that are added to the handler's own.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// What TLS knows of it, and the means to resolve a token.
    pub auth: AuthContext,
    /// The connection.
    pub peer: Arc<CallerInfo>,
}

impl Caller {
    pub(crate) fn new(auth: AuthContext, peer: CallerInfo) -> Self {
        Self { auth, peer: Arc::new(peer) }
    }

    /// Whose bearer token (RFC 6750 §2.1) the request carries; nobody's if it has none or a wrong one, or several.
    fn bearer(&self, headers: &HeaderMap) -> Option<Arc<Identity>> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let (field, None) = (fields.next()?, fields.next()) else { return None };
        let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| self.auth.resolve_token(token.trim()))?
    }
}

/// The routes of the handler, and `more` beside them.
///
/// Each route takes every method and looks at it itself: axum would tell in an `allow` header which ones there are.
pub(crate) fn router(registry: Arc<Registry>, config: &HttpConfig, more: Router) -> Router {
    let state = Operations {
        registry,
        time_limit: config.request_timeout(),
        max_body: config.max_body_bytes,
        next_id: Arc::new(AtomicU64::new(1)),
    };
    Router::new()
        .route("/healthz", any(healthz))
        .route("/node/info", any(node_info))
        .with_state(state)
        .merge(more)
        .layer(DefaultBodyLimit::max(config.max_body_bytes as usize))
        .fallback(async || not_found())
}

#[derive(Clone)]
struct Operations {
    registry: Arc<Registry>,
    time_limit: Duration,
    max_body: u32,
    /// HTTP has no ids for requests, so they are counted.
    next_id: Arc<AtomicU64>,
}

async fn healthz(method: Method) -> Response {
    match method {
        Method::GET | Method::HEAD => "ok\n".into_response(),
        _ => not_found(),
    }
}

async fn node_info(
    State(operations): State<Operations>,
    Extension(caller): Extension<Caller>,
    request: axum::extract::Request,
) -> Response {
    operations.post("node/info", &caller, request).await
}

impl Operations {
    /// `POST` to an operation. Nothing of the request but its head is looked at before its token is found to be good.
    async fn post(&self, name: &str, caller: &Caller, request: axum::extract::Request) -> Response {
        let identity = match request.method() {
            &Method::POST => caller.bearer(request.headers()),
            _ => None,
        };
        let Some(identity) = identity else { return not_found() };
        let input = match self.input(request).await {
            Ok(input) => input,
            Err(refusal) => return refusal,
        };
        let id = format!("http-{}", self.next_id.fetch_add(1, Ordering::Relaxed));
        let context = OperationContext::new(id, Some(identity.clone()), caller.peer.clone(), self.time_limit);
        let result = self.registry.invoke(name, input, context).await;
        let outcome = result.as_ref().map_or_else(|error| error.code.as_str(), |_| "OK");
        tracing::debug!(connection = caller.peer.connection, peer = &*identity.id, operation = name, outcome, "call");
        match result {
            Ok(output) => Json(output).into_response(),
            Err(error) => problem::of_call(&error),
        }
    }

    /// The body as JSON; none is `null`.
    async fn input(&self, request: Request<axum::body::Body>) -> Result<Value, Response> {
        let body = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let message = format!("the body is longer than the limit of {} bytes", self.max_body);
                let mut error = CallError::new(ErrorCode::ResourceExhausted, message);
                error.retryable = false;
                problem::with_status(StatusCode::PAYLOAD_TOO_LARGE, &error)
            }
            _ => problem::of_call(&CallError::invalid_input("the body broke off")),
        })?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| {
            problem::of_call(&CallError::invalid_input(format!("the body cannot be read as JSON: {error}")))
        })
    }
}

/// The one answer to everything that is not there for this client.
fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{registry, stranger};
    use axum::body::Body;
    use http::header::CONTENT_TYPE;
    use serde_json::json;
    use tower::ServiceExt;

    async fn send(request: http::request::Builder, body: impl Into<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let config = HttpConfig { max_body_bytes: 100, ..HttpConfig::default() };
        let more = Router::new().route("/more", any(async || "more"));
        let request = request.extension(stranger()).body(body.into()).unwrap();
        let response = router(registry(), &config, more).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, head.headers, axum::body::to_bytes(body, 10_000).await.unwrap())
    }

    fn info() -> http::request::Builder {
        Request::post("/node/info").header(AUTHORIZATION, "Bearer alk_alice")
    }

    async fn code(request: http::request::Builder, body: impl Into<Body>) -> (u16, Value) {
        let (status, headers, body) = send(request, body).await;
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        (status.as_u16(), serde_json::from_slice::<Value>(&body).unwrap()["code"].clone())
    }

    #[tokio::test]
    async fn health_needs_nothing() {
        let (status, headers, body) = send(Request::get("/healthz"), "").await;
        assert_eq!((status.as_u16(), &*body), (200, &b"ok\n"[..]));
        assert_eq!(headers[CONTENT_TYPE], "text/plain; charset=utf-8");
        let (status, headers, body) = send(Request::head("/healthz"), "").await;
        assert_eq!((status.as_u16(), &*body, &headers["content-length"]), (200, &b""[..], &"3".parse().unwrap()));
    }

    #[tokio::test]
    async fn a_token_opens_the_operation() {
        for authorization in ["Bearer alk_alice", "bearer  alk_alice"] {
            let (status, headers, body) =
                send(Request::post("/node/info").header(AUTHORIZATION, authorization), "").await;
            assert_eq!((status.as_u16(), &headers[CONTENT_TYPE]), (200, &"application/json".parse().unwrap()));
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), json!({ "caller": "alice", "input": null }));
        }
        assert!(send(info(), "[1]").await.2.ends_with(br#""input":[1]}"#));
    }

    #[tokio::test]
    async fn all_that_is_closed_looks_the_same() {
        let expected = send(Request::get("/nothing/here"), "").await;
        assert_eq!((expected.0.as_u16(), &*expected.2), (404, &b"not found\n"[..]));
        let two_tokens = info().header(AUTHORIZATION, "Bearer alk_alice");
        for request in [
            Request::post("/node/info"),
            Request::post("/node/info").header(AUTHORIZATION, "Bearer alk_guess"),
            Request::post("/node/info").header(AUTHORIZATION, "Basic alk_alice"),
            Request::post("/node/info").header(AUTHORIZATION, "alk_alice"),
            two_tokens,
            Request::get("/node/info").header(AUTHORIZATION, "Bearer alk_alice"),
            Request::options("/node/info"),
            Request::post("/healthz"),
            Request::options("/healthz"),
            Request::post("/node/info/"),
            Request::post("/node%2Finfo"),
            Request::get("/"),
        ] {
            let shown = format!("{request:?}");
            assert_eq!(send(request, "x".repeat(200)).await, expected, "{shown}");
        }
    }

    #[tokio::test]
    async fn a_known_client_is_told_what_is_wrong() {
        assert_eq!(code(info(), "{").await, (400, json!("INVALID_INPUT")));
        assert_eq!(code(info(), "x".repeat(101)).await, (413, json!("RESOURCE_EXHAUSTED")));
        assert_eq!(code(info(), r#""fail""#).await, (503, json!("UNAVAILABLE")));
    }

    #[tokio::test]
    async fn more_routes_stand_beside() {
        assert_eq!(send(Request::get("/more"), "").await.2, "more");
    }
}
