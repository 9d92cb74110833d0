//! The handler of HTTP connections.

use std::sync::Arc;

use alknet_call::{CallerInfo, Registry};
use alknet_core::{Alpn, AuthContext, BoxFuture, Connection, ConnectionError, HandlerError, ProtocolHandler};
use axum::Router;
use tokio::task::{JoinError, JoinSet};

use super::connection::{Http, front};
use super::io::Io;
use super::site::Site;
use crate::decoy::Decoy;
use crate::{Dashboard, Exporter, HttpConfig};

const H2: &str = "h2";
const HTTP_1_1: &str = "http/1.1";

/// Serves HTTP on connections of the ALPNs `h2` (RFC 9113) and `http/1.1` (RFC 9112).
///
/// - `GET /healthz` is for anybody. On every other path and method, whoever shows no valid bearer token (RFC 6750) gets one
///   and the same 401, whether something is there or not.
/// - `POST /service/op` with a JSON body is that operation, for every operation that the bearer may call. The answer is the
///   output, or a problem document (RFC 9457) with the code of the error. Errors that the operation has declared are 422.
///   A subscription is answered with server-sent events; so is a call if the client asks for `text/event-stream` alone.
/// - `GET /metrics` has what is counted, for Prometheus; the bearer needs the scope `metrics:read`.
/// - `/call` is a WebSocket that carries the call protocol, if the handler was [given](HttpHandlerBuilder::calls) it.
///
/// Answers to bearers have `x-content-type-options: nosniff` and `cache-control: no-store`. Those of operations have an
/// `x-request-id`: the one that the request has if it is made of 1 to 128 visible characters, else a new one.
///
/// # Events
/// An output is an event with the output as its `data`. The last event is of the type `end`, or of the type `error` with a
/// problem document as its data. Where the operation [says](alknet_call::Resumes) how to go on, events have an `id`: a
/// client that was cut off sends the same request again with the last id as `last-event-id`, and misses nothing.
pub struct HttpHandler {
    site: Arc<Site>,
}

/// Makes an [`HttpHandler`] with more than the operations.
pub struct HttpHandlerBuilder {
    site: Site,
    more: Option<Router>,
}

impl HttpHandler {
    /// Serves the operations in `registry`.
    pub fn new(registry: Arc<Registry>, config: HttpConfig) -> Self {
        Self::builder(registry, config).build()
    }

    /// Serves the operations in `registry`, and what the builder is told.
    pub fn builder(registry: Arc<Registry>, config: HttpConfig) -> HttpHandlerBuilder {
        HttpHandlerBuilder { site: Site::new(registry, config), more: None }
    }

    async fn serve(&self, connection: Connection, auth: AuthContext) -> Result<(), HandlerError> {
        tokio::select! {
            result = self.serve_streams(&connection, &auth) => result,
            reason = connection.closed() => outcome(reason),
        }
    }

    /// Serves streams until there are no more, or none are wanted, and those that there were have ended. Each is an HTTP
    /// connection of its own.
    async fn serve_streams(&self, connection: &Connection, auth: &AuthContext) -> Result<(), HandlerError> {
        let mut streams = JoinSet::new();
        let auth = self.site.recognise(auth.clone());
        let peer = Arc::new(CallerInfo::of(connection, &auth));
        let is_h2 = connection.alpn().as_bytes() == H2.as_bytes();
        loop {
            tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok(stream) => {
                        let http = Http::new(self.site.clone(), connection.clone(), auth.clone(), peer.clone());
                        streams.spawn(http.serve(stream, is_h2));
                    }
                    Err(ConnectionError::NoMoreStreams) => break,
                    Err(reason) => return outcome(reason),
                },
                Some(ended) = streams.join_next() => log(connection, ended),
                () = connection.draining() => break,
            }
        }
        while let Some(ended) = streams.join_next().await {
            log(connection, ended);
        }
        Ok(())
    }
}

impl HttpHandlerBuilder {
    /// Serves `handler` at `/call`, a WebSocket (RFC 6455, over `h2` RFC 8441) for clients that have nothing else. Its binary
    /// messages are the bytes of `alknet/call`, cut anywhere. A client shows its token in `authorization`, or, from a
    /// browser, among the subprotocols: `alknet.call, alknet.bearer.TOKEN`.
    #[must_use]
    pub fn calls(mut self, handler: Arc<dyn ProtocolHandler>) -> Self {
        self.site.serve_calls(handler);
        self
    }

    /// Adds routes, for requests with a valid token: each has a [`Caller`](super::Caller) as an extension, and the limits of
    /// the configuration on its body and its time. `/healthz`, `/metrics`, `/openapi.json` and `/call` stay what they are;
    /// all others come before the operations, which take the place of a fallback. What the routes answer with is theirs, down
    /// to the errors.
    ///
    /// # Panics
    /// When two routers have one route, or both have a fallback.
    #[must_use]
    pub fn nest(mut self, router: Router) -> Self {
        self.more = Some(match self.more {
            Some(more) => more.merge(router),
            None => router,
        });
        self
    }

    /// Answers `GET /openapi.json` with what the bearer may call, and marks every answer to a bearer with the version of
    /// that: [`Exporter::HEADER`].
    #[must_use]
    pub fn describe(mut self, exporter: Exporter) -> Self {
        self.site.describe_with(exporter);
        self
    }

    /// Shows `decoy` to whoever has no valid token, on every path; `/healthz` is for bearers then, and CORS is off. Clients
    /// that speak no TLS to the port are told so as the decoy's server would.
    #[must_use]
    pub fn decoy(mut self, decoy: Decoy) -> Self {
        self.site.hide_behind(decoy);
        self
    }

    /// Opens `dashboard` to whoever comes by one of its links, and knows the sessions that come of it.
    #[must_use]
    pub fn dashboard(mut self, dashboard: Dashboard) -> Self {
        self.site.show(dashboard);
        self
    }

    /// The handler.
    pub fn build(mut self) -> HttpHandler {
        if let Some(more) = self.more {
            self.site.add_routes(more);
        }
        HttpHandler { site: Arc::new(self.site) }
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

    fn answers_plaintext(&self) -> bool {
        self.site.decoy().is_some()
    }

    fn handle_plaintext(self: Arc<Self>, client: Connection) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if let (Some(decoy), Ok(stream)) = (self.site.decoy(), client.accept_bi().await) {
                let io = Io::new(stream, self.site.config().write_timeout());
                // Whoever breaks off has been told, or does not want to be.
                let _ = decoy.serve_plain_on_tls(io, front(&client)).await;
            }
        })
    }
}

fn log(connection: &Connection, ended: Result<hyper::Result<()>, JoinError>) {
    let connection = connection.id();
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

#[cfg(test)]
mod tests;
