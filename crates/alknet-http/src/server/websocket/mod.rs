//! `/call`: the call protocol in a WebSocket.

mod stream;

use std::sync::Arc;
use std::time::Duration;

use alknet_call::{ALPN, CallError, ErrorCode};
use alknet_core::{Alpn, AuthContext, Connection, ProtocolHandler, SingleStream};
use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, StatusCode, Version};
use hyper::ext::Protocol;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::metrics::HttpMetrics;
use super::problem;
use super::site::Visit;
use super::token::{CALL_PROTOCOL, subprotocols};
use crate::HttpConfig;
use stream::{Ending, MessageStream};

/// How much is gathered before it goes to the connection, if nobody flushes.
const WRITE_BUFFER: usize = 16 * 1024;

/// What serves the call protocol, and the limits on WebSockets.
pub(super) struct Calls {
    handler: Arc<dyn ProtocolHandler>,
    /// Room for WebSockets.
    room: Arc<Semaphore>,
    max_websockets: u32,
    max_message: usize,
    ping: Duration,
    metrics: Arc<HttpMetrics>,
}

impl Calls {
    pub(super) fn new(handler: Arc<dyn ProtocolHandler>, config: &HttpConfig, metrics: Arc<HttpMetrics>) -> Self {
        Self {
            handler,
            room: Arc::new(Semaphore::new(config.max_websockets as usize)),
            max_websockets: config.max_websockets,
            max_message: config.max_message_bytes as usize,
            ping: config.ping(),
            metrics,
        }
    }

    /// Answers the handshake (RFC 6455 §4.2, RFC 8441 §5), and serves what comes of it.
    pub(super) async fn upgrade(&self, visit: &Visit, request: Request<Body>) -> Response {
        let (mut head, _) = request.into_parts();
        let auth = visit.auth(&head.headers);
        let offers_calls = subprotocols(&head.headers).any(|protocol| protocol == CALL_PROTOCOL);
        let other_protocol = head.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() != "websocket");
        let upgrade = match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
            Ok(upgrade) if !other_protocol => upgrade,
            Ok(_) => return upgrade_required(head.version),
            Err(rejection) => return refuse(rejection.into_response().status(), head.version),
        };
        let Ok(room) = self.room.clone().try_acquire_owned() else {
            let message = format!("this node serves at most {} WebSockets", self.max_websockets);
            return problem::of_call(&CallError::new(ErrorCode::ResourceExhausted, message));
        };
        let mut upgrade =
            upgrade.max_message_size(self.max_message).max_frame_size(self.max_message).write_buffer_size(WRITE_BUFFER);
        if offers_calls {
            upgrade.set_selected_protocol(HeaderValue::from_static(CALL_PROTOCOL));
        }
        let held = (room, self.metrics.websocket(), visit.client.upgraded.token());
        let calls = Socket {
            handler: self.handler.clone(),
            below: visit.client.below.clone(),
            auth,
            gone: visit.client.gone.clone(),
            ping: self.ping,
        };
        upgrade.on_upgrade(move |socket| async move {
            calls.serve(socket).await;
            drop(held);
        })
    }
}

fn refuse(status: StatusCode, version: Version) -> Response {
    match status {
        StatusCode::METHOD_NOT_ALLOWED if version <= Version::HTTP_11 => problem::wrong_method("GET"),
        _ => upgrade_required(version),
    }
}

fn upgrade_required(version: Version) -> Response {
    let error = CallError::invalid_input("this is a WebSocket: open it as RFC 6455 or RFC 8441 says, in version 13");
    let mut response = problem::with_status(StatusCode::UPGRADE_REQUIRED, &error);
    let headers = response.headers_mut();
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if version <= Version::HTTP_11 {
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    response
}

/// A WebSocket that is about to be opened.
struct Socket {
    handler: Arc<dyn ProtocolHandler>,
    /// What carries the HTTP connection.
    below: Connection,
    /// Whose token opened it, from now on.
    auth: AuthContext,
    /// The HTTP connection is gone.
    gone: CancellationToken,
    ping: Duration,
}

impl Socket {
    /// Serves it until one side ends it, or its token is no longer known.
    async fn serve(self, socket: WebSocket) {
        // The protocol's own name is always one.
        let Ok(alpn) = Alpn::new(ALPN) else { return };
        let ending = Ending::new(self.below.clone());
        let stream = MessageStream::new(socket, ending.clone(), self.ping);
        let connection = self.below.within(SingleStream::new("websocket", stream), alpn);
        tokio::select! {
            result = self.handler.handle(connection.clone(), self.auth.clone()) => {
                if let Err(error) = result {
                    tracing::debug!(connection = connection.id(), %error, "a WebSocket broke off");
                }
            }
            () = ending.reached() => {}
            () = revoked(&self.auth) => ending.end(close_code::POLICY),
            () = self.gone.cancelled() => {}
        }
        connection.finish().await;
    }
}

/// Resolves when a token is nobody's any more.
async fn revoked(auth: &AuthContext) {
    let mut changes = auth.changes();
    while auth.identity().is_some() {
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests;
