//! Cross-origin resource sharing, for the origins that the configuration names.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::event_id::LAST_EVENT_ID;
use super::operation::REQUEST_ID;
use crate::{CorsConfig, Origin};

/// How long a browser may go without asking again.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// What clients of `/mcp` send.
const MCP: [HeaderName; 4] = [
    MCP_SESSION_ID,
    HeaderName::from_static("mcp-protocol-version"),
    HeaderName::from_static("mcp-method"),
    HeaderName::from_static("mcp-name"),
];
const MCP_SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

pub(crate) struct Cors {
    layer: CorsLayer,
    origins: Vec<HeaderValue>,
    any: bool,
}

impl Cors {
    /// None if no origin is allowed.
    pub(crate) fn new(config: &CorsConfig) -> Option<Self> {
        if config.origins.is_empty() {
            return None;
        }
        let any = config.origins.iter().any(Origin::is_any);
        // An origin is ASCII, so it is a header's value.
        let values = config.origins.iter().flat_map(|origin| HeaderValue::from_str(origin.as_str()));
        let origins: Vec<_> = values.filter(|_| !any).collect();
        let allowed = if any { AllowOrigin::any() } else { AllowOrigin::list(origins.clone()) };
        let headers = [ACCEPT, AUTHORIZATION, CONTENT_TYPE, LAST_EVENT_ID, REQUEST_ID];
        let layer = CorsLayer::new()
            .allow_origin(allowed)
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
            .allow_headers(headers.into_iter().chain(MCP).collect::<Vec<_>>())
            .expose_headers([REQUEST_ID, MCP_SESSION_ID])
            .max_age(MAX_AGE);
        Some(Self { layer, origins, any })
    }

    /// Answers a preflight request, and has `answer` answer all others, adding who may read it.
    pub(super) async fn around<F: Future<Output = Response>>(
        &self,
        request: Request<Body>,
        mut answer: impl FnMut(Request<Body>) -> F,
    ) -> Response {
        let service = service_fn(|request| {
            let answer = answer(request);
            async { Ok::<_, std::convert::Infallible>(answer.await) }
        });
        let Ok(response) = self.layer.layer(service).oneshot(request).await;
        response
    }

    /// Whether a page that sends a request may, if only these may.
    #[cfg(feature = "mcp")]
    pub(crate) fn permit(cors: Option<&Self>, headers: &HeaderMap) -> bool {
        cors.map_or(!headers.contains_key(ORIGIN), |cors| cors.permits(headers))
    }

    /// Whether a page that opens a WebSocket may. Clients that are no browsers send no origin.
    pub(super) fn permits(&self, headers: &HeaderMap) -> bool {
        self.any || headers.get_all(ORIGIN).iter().all(|origin| self.origins.contains(origin))
    }
}
