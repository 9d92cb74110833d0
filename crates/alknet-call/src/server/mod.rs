//! The callee's side of a connection.

mod call;
mod session;
mod stream;

use std::sync::Arc;

use alknet_core::{Alpn, AuthContext, BoxFuture, Connection, ConnectionError, HandlerError, ProtocolHandler};
use tokio::task::{JoinError, JoinSet};

use crate::budget::Pool;
use crate::{ALPN, CallLimits, Registry};
use session::Session;

/// Serves the operations of a [`Registry`] on connections of the ALPN `alknet/call`.
///
/// A caller may open one stream per call, send all on one, or mix. The requests of a stream run at the same time, up to
/// [`CallLimits::max_concurrent_calls`]; beyond that nothing is read from it. Each answer is written when it is there, and
/// the caller tells them apart by their ids. When a stream is reset or its connection ends, its calls are dropped; when the
/// caller merely ends its sending side, they go on and are answered.
pub struct CallHandler {
    registry: Arc<Registry>,
    limits: Arc<CallLimits>,
    strangers: Pool,
}

impl CallHandler {
    /// Serves what is in `registry`, now and later.
    pub fn new(registry: Arc<Registry>, limits: CallLimits) -> Self {
        let strangers = Pool::new(limits.stranger_budget_bytes as usize);
        Self { registry, limits: Arc::new(limits), strangers }
    }

    async fn serve(&self, connection: Connection, auth: AuthContext) -> Result<(), HandlerError> {
        let own = Pool::new(self.limits.max_frame().saturating_mul(2));
        let session = Session::new(self.registry.clone(), self.limits.clone(), connection, auth, own, &self.strangers);
        let session = Arc::new(session);
        tokio::select! {
            result = serve_streams(&session) => result,
            reason = session.connection.closed() => outcome(reason),
        }
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
        Box::pin(async move { self.serve(connection, auth).await })
    }
}

/// Serves streams until there are no more, or none are wanted, and those that there were have ended.
async fn serve_streams(session: &Arc<Session>) -> Result<(), HandlerError> {
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            stream = session.connection.accept_bi() => match stream {
                Ok(stream) => drop(streams.spawn(stream::serve(session.clone(), stream))),
                Err(ConnectionError::NoMoreStreams) => break,
                Err(reason) => return outcome(reason),
            },
            Some(ended) = streams.join_next() => log_panic(session, ended),
            () = session.connection.draining() => break,
        }
    }
    while let Some(ended) = streams.join_next().await {
        log_panic(session, ended);
    }
    Ok(())
}

fn log_panic(session: &Session, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(alpn = ALPN, connection = session.peer.connection, %error, "serving a stream failed");
    }
}

/// What the end of a connection means to the log.
fn outcome(reason: ConnectionError) -> Result<(), HandlerError> {
    if reason.is_orderly() { Ok(()) } else { Err(reason.into()) }
}

#[cfg(test)]
mod tests;
