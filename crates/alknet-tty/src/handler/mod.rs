//! Serves `alknet/tty`: streams that are terminals.

mod open;
mod pump;
mod stream;

use std::sync::Arc;

use alknet_call::access::{check, check_caller, not_owned};
use alknet_call::{CallError, OperationSpec};
use alknet_core::{
    Alpn, AuthContext, BoxFuture, Connection, ConnectionError, HandlerError, Identity, OwnershipProvider,
    ProtocolHandler,
};
use tokio::select;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::operations::specs;
use crate::{ALPN, KIND, Terminals};

/// How many streams one connection may have at the same time; further ones wait.
const MAX_STREAMS: usize = 128;

/// Serves the protocol `alknet/tty`, as [`wire`](crate::wire) describes it: streams that are terminals. Who may do what is
/// what the operations of the same names would let them: attaching needs what `tty/attach` needs, typing what `tty/write`
/// needs, and spawning what `tty/spawn` and `tty/attach` need. A stream whose caller may no longer have it ends at once,
/// and one whose terminal is revoked within a second.
pub struct TtyHandler {
    terminals: Terminals,
    spawn: OperationSpec,
    attach: OperationSpec,
    write: OperationSpec,
}

impl TtyHandler {
    /// Serves these terminals.
    pub fn new(terminals: Terminals) -> Self {
        Self { terminals, spawn: specs::spawn(), attach: specs::attach(), write: specs::write() }
    }

    async fn serve(self: Arc<Self>, connection: Connection, auth: AuthContext) -> Result<(), HandlerError> {
        // Dropped with whatever ends this, and the streams with it.
        let mut streams = JoinSet::new();
        loop {
            select! {
                stream = connection.accept_bi(), if streams.len() < MAX_STREAMS => match stream {
                    Ok(stream) => drop(streams.spawn(stream::serve(self.clone(), connection.clone(), auth.clone(), stream))),
                    Err(ConnectionError::NoMoreStreams) => break,
                    Err(reason) => return end_of(reason),
                },
                Some(ended) = streams.join_next() => passed_on(ended),
                reason = connection.closed() => return end_of(reason),
                () = connection.draining() => break,
            }
        }
        loop {
            select! {
                ended = streams.join_next() => match ended {
                    Some(ended) => passed_on(ended),
                    None => return Ok(()),
                },
                reason = connection.closed() => return end_of(reason),
            }
        }
    }

    /// Whether `identity` may do this with the terminal. The token is cancelled when that is revoked.
    fn check_owner(
        &self,
        spec: &OperationSpec,
        identity: Option<&Identity>,
        id: &str,
    ) -> Result<CancellationToken, CallError> {
        let store: &dyn OwnershipProvider = self.terminals.store();
        // Taken before the check, so that a revocation that comes just after it is seen.
        let revoked = store.revocation(KIND, id);
        check(spec, identity, Some(id), Some(store))?;
        if revoked.is_cancelled() { Err(not_owned(spec)) } else { Ok(revoked) }
    }

    /// Whether `identity` may spawn a terminal and see it.
    fn check_spawner(&self, identity: Option<&Identity>) -> Result<(), CallError> {
        check_caller(&self.spawn, identity)?;
        check_caller(&self.attach, identity)
    }
}

impl ProtocolHandler for TtyHandler {
    fn alpns(&self) -> Vec<Alpn> {
        Alpn::new(ALPN).into_iter().collect()
    }

    fn handle(
        self: Arc<Self>,
        connection: Connection,
        auth: AuthContext,
    ) -> BoxFuture<'static, Result<(), HandlerError>> {
        Box::pin(self.serve(connection, auth))
    }
}

/// A panic of a stream's is one of the connection's.
fn passed_on(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}

fn end_of(reason: ConnectionError) -> Result<(), HandlerError> {
    if reason.is_orderly() { Ok(()) } else { Err(reason.into()) }
}
