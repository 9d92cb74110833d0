//! What every request comes to: the door, and what is behind it.

use std::fmt;
use std::sync::Arc;

use alknet_call::{CallError, CallerInfo, ErrorCode, Registry};
use alknet_core::{AuthContext, Identity, ProtocolHandler, Scope};
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::Body as _;
use tower::ServiceExt as _;

use super::connection::Client;
use super::cors::Cors;
use super::metrics::{self, HttpMetrics, Route};
use super::operation::Operations;
use super::problem;
use super::token::{self, Shown};
use super::websocket::Calls;
use crate::decoy::{Credentials, Decoy};
use crate::{Dashboard, Exporter, HttpConfig};

const HEALTH: &str = "/healthz";
const METRICS: &str = "/metrics";
const DESCRIPTION: &str = "/openapi.json";
const CALL: &str = "/call";

/// Whose valid token a request carries. Each request has it as an [`Extension`](axum::Extension), for routes that are added
/// to the handler's own.
#[derive(Clone)]
#[non_exhaustive]
pub struct Caller {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// Who it is from now on: this resolves the token each time it is asked, and tells of changes.
    pub auth: AuthContext,
    /// The connection that the request came over.
    pub peer: Arc<CallerInfo>,
    /// The other end of that.
    #[cfg_attr(not(feature = "mcp"), expect(dead_code, reason = "only what outlasts requests needs it"))]
    pub(crate) client: Arc<Client>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("identity", &self.identity).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// Whose valid token a request carries, and the connection that it came over.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) identity: Arc<Identity>,
    pub(super) client: Arc<Client>,
    may_be_websocket: bool,
}

impl Visit {
    /// Whoever shows the token of this request, from now on. For what outlasts the request.
    pub(super) fn auth(&self, headers: &HeaderMap) -> AuthContext {
        match token::shown(headers, self.may_be_websocket) {
            Shown::Token(token) => self.client.auth.with_token(token),
            // There is one, or this would be no visit; and the empty one is nobody's.
            _ => self.client.auth.with_token(""),
        }
    }
}

/// Everything that a handler serves.
pub(super) struct Site {
    operations: Arc<Operations>,
    metrics: Arc<HttpMetrics>,
    cors: Option<Cors>,
    calls: Option<Calls>,
    exporter: Option<Exporter>,
    more: Option<Router>,
    decoy: Option<Decoy>,
    dashboard: Option<Dashboard>,
}

impl Site {
    pub(super) fn new(registry: Arc<Registry>, config: HttpConfig) -> Self {
        let (metrics, cors) = (registry.counters::<HttpMetrics>(), Cors::new(&config.cors));
        let operations = Arc::new(Operations::new(registry, config, metrics.clone()));
        Self { operations, metrics, cors, calls: None, exporter: None, more: None, decoy: None, dashboard: None }
    }

    pub(super) fn serve_calls(&mut self, handler: Arc<dyn ProtocolHandler>) {
        self.calls = Some(Calls::new(handler, self.config(), self.metrics.clone()));
    }

    pub(super) fn describe_with(&mut self, exporter: Exporter) {
        self.exporter = Some(exporter);
    }

    pub(super) fn hide_behind(&mut self, decoy: Decoy) {
        // A preflight request comes without a token, and its answer would tell.
        self.cors = None;
        self.decoy = Some(decoy);
    }

    pub(super) fn show(&mut self, dashboard: Dashboard) {
        self.dashboard = Some(dashboard);
    }

    /// A client as the site knows it: by the tokens of the peers, and those of the dashboard's sessions.
    pub(super) fn recognise(&self, auth: AuthContext) -> AuthContext {
        match &self.dashboard {
            Some(dashboard) => auth.with_provider(dashboard.identities()),
            None => auth,
        }
    }

    pub(super) fn decoy(&self) -> Option<&Decoy> {
        self.decoy.as_ref()
    }

    /// Whether what a request shows opens the door. A token among subprotocols counts as it would on the way in, so that
    /// the decoy lets nobody pass who would be turned away there.
    pub(super) fn knows(&self, auth: &AuthContext, shown: &Credentials<'_>) -> bool {
        let is_link = |dashboard: &Dashboard| shown.path.is_some_and(|path| dashboard.has_link(path));
        if self.dashboard.as_ref().is_some_and(is_link) {
            return true;
        }
        let mut headers = HeaderMap::new();
        let fields = shown.authorization.into_iter().map(|value| (AUTHORIZATION, value));
        let protocols = shown.web_socket_protocols.iter().map(|value| (SEC_WEBSOCKET_PROTOCOL, value.as_slice()));
        for (name, value) in fields.chain(protocols) {
            headers.extend(HeaderValue::from_bytes(value).map(|value| (name, value)));
        }
        match token::shown(&headers, self.has_calls()) {
            Shown::Token(token) => auth.resolve_token(token).is_some(),
            _ => false,
        }
    }

    pub(super) fn add_routes(&mut self, more: Router) {
        let operations = self.operations.clone();
        let fallback = async move |request: Request<Body>| match request.extensions().get::<Visit>().cloned() {
            Some(visit) => operations.answer(&visit, request).await,
            None => problem::of_call(&CallError::internal("a request came to an operation from nobody")),
        };
        let limit = DefaultBodyLimit::max(self.config().max_body_bytes as usize);
        self.more = Some(more.layer(limit).fallback(fallback));
    }

    pub(super) fn config(&self) -> &HttpConfig {
        self.operations.config()
    }

    pub(super) fn has_calls(&self) -> bool {
        self.calls.is_some()
    }

    /// Answers a request, in the time that it may take.
    pub(super) async fn respond(&self, client: &Arc<Client>, request: Request<Body>) -> Response {
        let _running = self.metrics.request();
        let (limit, is_head) = (self.config().request_timeout(), request.method() == Method::HEAD);
        let response = match tokio::time::timeout(limit, self.share(client, request)).await {
            Ok(response) => response,
            Err(_) => {
                let message = format!("the request took longer than {limit:?}");
                problem::of_call(&CallError::new(ErrorCode::Timeout, message))
            }
        };
        let route = response.extensions().get().copied().unwrap_or(Route::Other);
        self.metrics.answered(route, response.status());
        if is_head { headless(response) } else { response }
    }

    /// Lets pages of other sites read the answer, if the configuration lets them.
    async fn share(&self, client: &Arc<Client>, request: Request<Body>) -> Response {
        match &self.cors {
            Some(cors) if request.headers().contains_key(ORIGIN) => {
                cors.around(request, |request| self.enter(client, request)).await
            }
            _ => self.enter(client, request).await,
        }
    }

    /// The door. Nothing of a request but its head is looked at before its token is found to be good.
    async fn enter(&self, client: &Arc<Client>, request: Request<Body>) -> Response {
        if self.decoy.is_none() && is_health_check(&request) {
            return of(Route::Health, healthy());
        }
        if let Some(page) = self.dashboard.as_ref().and_then(|dashboard| dashboard.answer(&request)) {
            return of(Route::Dashboard, page);
        }
        let may_be_websocket = self.has_calls() && request.uri().path() == CALL;
        let shown = token::shown(request.headers(), may_be_websocket);
        let known = match shown {
            Shown::Token(token) => client.auth.resolve_token(token),
            _ => None,
        };
        let Some(identity) = known else {
            let response = match &self.decoy {
                Some(decoy) => {
                    let (head, _) = request.into_parts();
                    decoy.answer(&Request::from_parts(head, ()), client.front()).await
                }
                None => unauthenticated(&shown),
            };
            return of(Route::Unauthenticated, response);
        };
        let marker = self.exporter.as_ref().map(|exporter| exporter.marker(&identity));
        let mut response = self.route(Visit { identity, client: client.clone(), may_be_websocket }, request).await;
        protect(response.headers_mut());
        response.headers_mut().extend(marker.map(|marker| (Exporter::HEADER, marker)));
        response
    }

    async fn route(&self, visit: Visit, mut request: Request<Body>) -> Response {
        match (request.uri().path(), &self.calls, &self.exporter, &self.more) {
            (HEALTH, ..) if is_health_check(&request) => of(Route::Health, healthy()),
            (HEALTH, ..) => of(Route::Health, problem::wrong_method("GET, HEAD")),
            (METRICS, ..) => of(Route::Metrics, self.metrics(&visit.identity, request.method())),
            (DESCRIPTION, _, Some(exporter), _) => {
                let response = match *request.method() {
                    Method::GET | Method::HEAD => exporter.respond(&visit.identity, request.headers()),
                    _ => problem::wrong_method("GET, HEAD"),
                };
                of(Route::Description, response)
            }
            (CALL, Some(calls), ..) => {
                let response = match self.cors.as_ref().is_none_or(|cors| cors.permits(request.headers())) {
                    true => calls.upgrade(&visit, request).await,
                    false => problem::of_call(&CallError::new(
                        ErrorCode::Forbidden,
                        "the origin is none that this node's configuration allows",
                    )),
                };
                of(Route::WebSocket, response)
            }
            (.., Some(more)) => {
                let auth = visit.auth(request.headers());
                let caller = Caller {
                    identity: visit.identity.clone(),
                    auth,
                    peer: visit.client.peer.clone(),
                    client: visit.client.clone(),
                };
                request.extensions_mut().insert(caller);
                request.extensions_mut().insert(visit);
                let Ok(response) = more.clone().oneshot(request).await;
                response
            }
            (.., None) => self.operations.answer(&visit, request).await,
        }
    }

    fn metrics(&self, identity: &Identity, method: &Method) -> Response {
        let scope = Scope::metrics_read();
        if !identity.has_scope(&scope) {
            let message = format!("{METRICS} needs the scope {scope}");
            return problem::of_call(&CallError::new(ErrorCode::Forbidden, message));
        }
        match *method {
            Method::GET | Method::HEAD => {
                let text = metrics::render(&self.operations.registry().metrics());
                ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
            }
            _ => problem::wrong_method("GET, HEAD"),
        }
    }
}

fn is_health_check(request: &Request<Body>) -> bool {
    request.uri().path() == HEALTH && matches!(*request.method(), Method::GET | Method::HEAD)
}

fn healthy() -> Response {
    "ok\n".into_response()
}

/// The answer to whoever has no valid token. It depends on nothing but the token.
fn unauthenticated(shown: &Shown<'_>) -> Response {
    let (challenge, message) = match shown {
        // RFC 6750 §3.1: only who has tried is told that it went wrong.
        Shown::Token(_) => (r#"Bearer error="invalid_token""#, "the bearer token is not known to this node"),
        _ => ("Bearer", "send a bearer token that this node knows"),
    };
    let mut response = problem::of_call(&CallError::new(ErrorCode::Unauthenticated, message));
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    protect(response.headers_mut());
    response
}

/// Notes what a request was for.
pub(crate) fn of(route: Route, mut response: Response) -> Response {
    response.extensions_mut().insert(route);
    response
}

/// What is said to a bearer is for nobody else, and is what it says that it is.
fn protect(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(const { HeaderValue::from_static("no-store") });
}

/// The answer to HEAD: what GET would be answered with, without its body (RFC 9110 §9.3.2).
fn headless(mut response: Response) -> Response {
    let body = std::mem::take(response.body_mut());
    // A body that is gone already has told its length, and some answers have none to tell.
    if let Some(length) = body.size_hint().exact().filter(|length| *length > 0) {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    response
}

#[cfg(test)]
mod tests;
