//! The callee's side of a connection.

mod answer;
mod service;

use std::sync::Arc;

use alknet_core::{Alpn, AuthContext, BoxFuture, Connection, HandlerError, ProtocolHandler};

use crate::budget::Pool;
use crate::link::Link;
use crate::{ALPN, CallClient, CallLimits, Registry};
pub(crate) use answer::{answer_frames, error_frame, event_frame};
pub(crate) use service::Service;

/// Serves the operations of a [`Registry`] on connections of the ALPN `alknet/call`.
///
/// A caller may open one stream per call, send all on one, or mix. The requests of a stream run at the same time, up to
/// [`CallLimits::max_concurrent_calls`]; beyond that they wait. Each answer is written when it is there, and the caller
/// tells them apart by their ids. When a stream is reset or its connection ends, its calls are dropped; when the caller
/// merely ends its sending side, they go on and are answered.
///
/// The connection carries calls in both directions: a handler reaches its caller's operations by
/// [`OperationContext::caller`](crate::OperationContext::caller), and [`serve`](Self::serve) gives the client of a
/// connection to whoever dials and serves.
pub struct CallHandler {
    registry: Arc<Registry>,
    limits: Arc<CallLimits>,
    strangers: Pool,
    watcher: Option<Arc<dyn ConnectionWatcher>>,
}

/// Hears of the connections that a [`CallHandler`] serves.
pub trait ConnectionWatcher: Send + Sync + 'static {
    /// A connection has come. What this gives is dropped when the connection has ended.
    fn connected(&self, client: CallClient, auth: &AuthContext) -> Box<dyn Send + Sync>;
}

impl CallHandler {
    /// Serves what is in `registry`, now and later.
    pub fn new(registry: Arc<Registry>, limits: CallLimits) -> Self {
        let strangers = Pool::new(limits.stranger_budget_bytes as usize);
        Self { registry, limits: Arc::new(limits), strangers, watcher: None }
    }

    /// Has `watcher` hear of each connection.
    #[must_use]
    pub fn with_watcher(mut self, watcher: Arc<dyn ConnectionWatcher>) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// Serves a connection that this side has dialed, and gives the client of it. The future has to run for either to
    /// work; it ends with the connection, and dropping it ends the calls.
    pub fn serve(
        &self,
        connection: Connection,
        auth: AuthContext,
    ) -> (CallClient, BoxFuture<'static, Result<(), HandlerError>>) {
        let link = self.link(connection, auth);
        let client = CallClient::of(&link);
        (client, Box::pin(async move { Ok(link.run(true).await?) }))
    }

    fn link(&self, connection: Connection, auth: AuthContext) -> Arc<Link> {
        let own = Pool::new(self.limits.max_frame().saturating_mul(2));
        let service = Service::new(self.registry.clone(), &self.limits, &connection, auth, own, &self.strangers);
        Link::new(connection, self.limits.clone(), Some(service))
    }
}

impl ProtocolHandler for CallHandler {
    fn alpns(&self) -> Vec<Alpn> {
        Alpn::new(ALPN).into_iter().collect()
    }

    fn handle(
        self: Arc<Self>,
        connection: Connection,
        auth: AuthContext,
    ) -> BoxFuture<'static, Result<(), HandlerError>> {
        let link = self.link(connection, auth.clone());
        let watched = self.watcher.as_ref().map(|watcher| watcher.connected(CallClient::of(&link), &auth));
        Box::pin(async move {
            let result = link.run(false).await;
            drop(watched);
            Ok(result?)
        })
    }
}

#[cfg(test)]
mod tests;
