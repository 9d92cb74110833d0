//! HTTP connections.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use alknet_call::{CallError, CallerInfo, ErrorCode, Registry};
use alknet_core::{Alpn, AuthContext, BiStream, BoxFuture, Connection, ConnectionError, HandlerError, ProtocolHandler};
use axum::Router;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::{JoinError, JoinSet};
use tower::ServiceExt;

use super::{Caller, problem, routes};
use crate::HttpConfig;

const H2: &str = "h2";
const HTTP_1_1: &str = "http/1.1";

/// Serves HTTP on connections of the ALPNs `h2` (RFC 9113) and `http/1.1` (RFC 9112).
pub struct HttpHandler {
    router: Router,
    config: Arc<HttpConfig>,
}

impl HttpHandler {
    /// Serves the operations in `registry`.
    pub fn new(registry: Arc<Registry>, config: HttpConfig) -> Self {
        Self::with_router(registry, config, Router::new())
    }

    /// As [`new`](Self::new), with further routes. Each request of theirs has a [`Caller`] as an extension, and the body
    /// limit and the time limit of `config`. They look to it themselves that strangers learn nothing: axum's routes for
    /// single methods (`get`, `post`, …) tell in an `allow` header that they are there.
    ///
    /// # Panics
    /// When `more` has a fallback, or a route that the handler has (`/healthz`, `/node/info`).
    pub fn with_router(registry: Arc<Registry>, config: HttpConfig, more: Router) -> Self {
        Self { router: routes::router(registry, &config, more), config: Arc::new(config) }
    }

    async fn serve(&self, connection: Connection, auth: AuthContext) -> Result<(), HandlerError> {
        let caller = Caller::new(auth.clone(), CallerInfo::of(&connection, &auth));
        tokio::select! {
            result = self.serve_streams(&connection, &caller) => result,
            reason = connection.closed() => outcome(reason),
        }
    }

    /// Serves streams until there are no more, or none are wanted, and those that there were have ended. Each is an HTTP
    /// connection of its own.
    async fn serve_streams(&self, connection: &Connection, caller: &Caller) -> Result<(), HandlerError> {
        let mut streams = JoinSet::new();
        let is_h2 = connection.alpn().as_bytes() == H2.as_bytes();
        loop {
            tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok(stream) => {
                        let http = Http { router: self.router.clone(), config: self.config.clone(), caller: caller.clone() };
                        streams.spawn(http.serve(stream, is_h2, connection.clone()));
                    }
                    Err(ConnectionError::NoMoreStreams) => break,
                    Err(reason) => return outcome(reason),
                },
                Some(ended) = streams.join_next() => log(caller, ended),
                () = connection.draining() => break,
            }
        }
        while let Some(ended) = streams.join_next().await {
            log(caller, ended);
        }
        Ok(())
    }
}

impl ProtocolHandler for HttpHandler {
    fn alpns(&self) -> Vec<Alpn> {
        [H2, HTTP_1_1].into_iter().flat_map(Alpn::new).collect()
    }

    fn handle(
        self: Arc<Self>,
        connection: Connection,
        auth: AuthContext,
    ) -> BoxFuture<'static, Result<(), HandlerError>> {
        Box::pin(async move { self.serve(connection, auth).await })
    }
}

fn log(caller: &Caller, ended: Result<hyper::Result<()>, JoinError>) {
    let connection = caller.peer.connection;
    match ended {
        Ok(Ok(())) => {}
        // A client that sends garbage or goes away is nothing that the node's operator can do something about.
        Ok(Err(error)) => tracing::debug!(connection, %error, "an HTTP connection broke off"),
        Err(error) => tracing::error!(connection, %error, "serving an HTTP connection failed"),
    }
}

/// What the end of a connection means to the log.
fn outcome(reason: ConnectionError) -> Result<(), HandlerError> {
    if reason.is_orderly() { Ok(()) } else { Err(reason.into()) }
}

/// One HTTP connection.
struct Http {
    router: Router,
    config: Arc<HttpConfig>,
    caller: Caller,
}

impl Http {
    async fn serve(self, stream: BiStream, is_h2: bool, below: Connection) -> hyper::Result<()> {
        let io = TokioIo::new(stream);
        let limit = self.config.request_timeout();
        let config = self.config;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(self.caller.clone());
            answer(self.router.clone(), request, limit)
        });
        // The two kinds of connection have the same methods and no common trait.
        macro_rules! until_drained {
            ($connection:expr) => {{
                let mut connection = std::pin::pin!($connection);
                tokio::select! {
                    result = connection.as_mut() => return result,
                    () = below.draining() => connection.as_mut().graceful_shutdown(),
                }
                connection.await
            }};
        }
        if is_h2 {
            until_drained!(http2(&config).serve_connection(io, service))
        } else {
            until_drained!(http1(&config).serve_connection(io, service))
        }
    }
}

async fn answer(router: Router, request: Request<Incoming>, limit: Duration) -> Result<Response, Infallible> {
    match tokio::time::timeout(limit, router.oneshot(request)).await {
        Ok(answer) => answer,
        Err(_) => {
            let message = format!("the request took longer than {limit:?}");
            Ok(problem::of_call(&CallError::new(ErrorCode::Timeout, message)))
        }
    }
}

fn http1(config: &HttpConfig) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // A client may end its side with the request, as one does that pipes it into a stream, and wait for the answer.
        .half_close(true)
        .header_read_timeout(config.header_timeout())
        .max_headers(config.max_headers as usize)
        .max_header_size(config.max_header_bytes as usize);
    builder
}

fn http2(config: &HttpConfig) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(config.max_header_bytes)
        .max_concurrent_streams(config.max_concurrent_streams);
    builder
}

#[cfg(test)]
mod tests;
