//! `/mcp`: the operations of a node as tools, for clients of the Model Context Protocol over streamable HTTP.
//!
//! Each request comes through the door of the site, so it has a valid token. Then [`McpServer`] looks at its origin, and
//! has rmcp read it and speak the protocol, in both of its generations: up to 2025-11-25 with [`session`]s, which a
//! [`visitor`] keeps apart by bearer; from 2026-07-28 on each request stands for itself. What messages ask for is
//! answered by a [`desk`]: out of the [`catalogue`] which tools there are, by a [`call`] what one of them does.

mod answer;
mod audit;
mod bearer;
mod call;
mod catalogue;
mod desk;
mod metrics;
mod name;
mod result;
mod session;
mod shape;
mod visitor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alknet_call::{CallError, ErrorCode, Registry};
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request, StatusCode};
use rmcp::transport::streamable_http_server::{SessionId, StreamableHttpServerConfig, StreamableHttpService};

use bearer::Bearer;
use catalogue::Catalogue;
use desk::Desk;
use session::Sessions;
use visitor::Visitor;

pub use session::McpSessions;

use crate::server::problem;
use crate::server::{Cors, Route, of};
use crate::{Caller, HttpConfig, McpConfig};

const PATH: &str = "/mcp";
const SESSION_ID: &str = "mcp-session-id";

/// Offers the operations of a registry as tools, to each bearer those that it may call.
///
/// A call is checked and run as one over `POST /service/op` is, and is given up when its client is gone, cancels it, or may
/// no longer make it.
pub struct McpServer {
    shared: Arc<Shared>,
    cors: Option<Cors>,
    transport: StreamableHttpServerConfig,
    http: HttpConfig,
}

/// What all sessions and requests have in common.
struct Shared {
    registry: Arc<Registry>,
    catalogue: Catalogue,
    sessions: Arc<Sessions>,
    config: Arc<McpConfig>,
    title: String,
    requests: AtomicU64,
}

impl Shared {
    fn next_request(&self) -> Arc<str> {
        format!("mcp-{}", self.requests.fetch_add(1, Ordering::Relaxed)).into()
    }
}

impl McpServer {
    /// Offers the operations of `registry`, under a title for people.
    pub fn new(registry: Arc<Registry>, title: impl Into<String>, config: &HttpConfig, sessions: &McpSessions) -> Self {
        let sessions = sessions.shared();
        let transport = StreamableHttpServerConfig::default()
            // Its clock is not the one of the rest.
            .with_sse_keep_alive(None)
            .with_sse_retry(None)
            // One answer to one message is no stream, where the protocol lets the server choose.
            .with_json_response(true)
            .with_cancellation_token(sessions.end.child_token())
            .with_max_request_body_bytes(config.max_body_bytes as usize)
            .with_allowed_hosts(config.mcp.hosts.iter().map(|host| host.as_str()));
        metrics::tell(&registry, &sessions);
        let shared = Arc::new(Shared {
            catalogue: Catalogue::new(registry.clone()),
            registry,
            sessions,
            config: Arc::new(config.mcp.clone()),
            title: title.into(),
            requests: AtomicU64::new(1),
        });
        // With a decoy, CORS is off.
        let cors = config.decoy.is_none().then(|| Cors::new(&config.cors)).flatten();
        Self { shared, cors, transport, http: config.clone() }
    }

    /// The route, for [`HttpHandlerBuilder::nest`](crate::HttpHandlerBuilder::nest).
    pub fn router(self) -> Router {
        Router::new().route(PATH, axum::routing::any(answer)).with_state(Arc::new(self))
    }

    async fn respond(&self, caller: Caller, mut request: Request<Body>) -> Response {
        let Caller { identity, auth, peer, client } = caller;
        // Whoever is no browser sends no origin. A page of another site has no business here, whoever gave it the token.
        if !Cors::permit(self.cors.as_ref(), request.headers()) {
            let message = "the origin is none that this node's configuration allows: name it in [http.cors] origins";
            return problem::of_call(&CallError::new(ErrorCode::Forbidden, message));
        }
        // From here on others log requests.
        request.headers_mut().remove(AUTHORIZATION);
        request.extensions_mut().clear();
        let bearer = Bearer { auth: auth.clone(), peer, below: client.below.clone() };
        request.extensions_mut().insert(bearer);
        let session = session_of(request.headers()).and_then(|id| self.shared.sessions.of(&identity, &id));
        let visitor = Visitor::new(self.shared.sessions.clone(), self.shared.config.clone(), identity, auth);
        let visitor = Arc::new(visitor);
        let (shared, at_desk) = (self.shared.clone(), visitor.clone());
        let desk = move || Ok(Desk::new(shared.clone(), at_desk.clone()));
        let service = StreamableHttpService::new(desk, visitor.clone(), self.transport.clone());
        let (is_stream, ends) = (request.method() == Method::GET, request.method() == Method::DELETE);
        let answer = Box::pin(async move { service.handle(request).await.map(Body::new) });
        let over = Box::pin(async move {
            let gone = async {
                match &session {
                    Some(session) => session.gone().await,
                    None => std::future::pending().await,
                }
            };
            // Calls end by themselves when the node shuts down.
            let draining =
                async { if is_stream { client.below.draining().await } else { std::future::pending().await } };
            tokio::select! { () = gone => {}, () = draining => {}, () = client.hung_up() => {} }
        });
        let mut response = answer::in_time(answer, self.http.patience(), self.http.heartbeat(), over).await;
        if ends && response.status() == StatusCode::ACCEPTED {
            // It has been done, and is not merely accepted: there are clients that complain.
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        match visitor.refusal() {
            Some(error) => problem::of_call(error),
            None => response,
        }
    }
}

fn session_of(headers: &HeaderMap) -> Option<SessionId> {
    headers.get(SESSION_ID)?.to_str().ok().map(Into::into)
}

async fn answer(
    State(server): State<Arc<McpServer>>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Response {
    of(Route::Mcp, server.respond(caller, request).await)
}

#[cfg(test)]
mod tests;
