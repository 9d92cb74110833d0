//! From the end of a handshake to the end of a connection: the handler, and what may end it from outside.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use super::Shared;
use super::admission::Permit;
use crate::{Alpn, AuthContext, BoxFuture, CloseCode, Connection, Fingerprint, HandlerError, Transport};

/// A connection whose handshake is done.
pub(crate) struct Established {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) alpn: Alpn,
    pub(crate) remote: SocketAddr,
    pub(crate) fingerprints: Vec<Fingerprint>,
    pub(crate) permit: Permit,
}

/// How serving a connection ended.
enum End {
    Returned(Result<(), HandlerError>),
    Panicked(String),
    Idle,
    Stopped,
}

pub(crate) async fn serve(shared: &Shared, established: Established) {
    let Established { transport, alpn, remote, fingerprints, mut permit } = established;
    permit.handshake_done();
    let handler = shared.registry.handler(alpn.as_bytes());
    let auth = AuthContext::new(fingerprints, shared.identities.clone());
    let id = shared.live.next_id();
    let connection = Connection::with_context(transport, alpn, id, Some(remote), shared.draining.clone());
    let log = Log { connection: &connection, auth: &auth, remote };
    let Some(handler) = handler else {
        // It was removed between the handshake and now.
        log.refused();
        return connection.close(CloseCode::NO_HANDLER, "no handler serves this ALPN any more");
    };

    let registered = shared.live.enter(&connection, &auth);
    log.opened();
    let serving = AssertUnwindSafe(handler.handle(connection.clone(), auth.clone())).catch_unwind();
    let end = tokio::select! {
        result = serving => match result {
            Ok(result) => End::Returned(result),
            Err(panic) => End::Panicked(panic_message(panic)),
        },
        () = idle(connection.clone(), auth.clone(), shared.limits.idle_timeout()) => End::Idle,
        () = registered.stop.cancelled() => End::Stopped,
    };
    log.ended(&end);
    match end {
        End::Returned(Ok(())) => connection.finish().await,
        End::Returned(Err(_)) | End::Panicked(_) => connection.close(CloseCode::HANDLER_FAILED, "the handler failed"),
        End::Idle => connection.close(CloseCode::IDLE, "nothing moved for too long"),
        End::Stopped => {}
    }
}

/// Resolves when a connection without an identity has been idle for `limit`, on transports that do not see to that
/// themselves. A known peer's connection may be silent for as long as the peer is there.
fn idle(connection: Connection, auth: AuthContext, limit: Duration) -> BoxFuture<'static, ()> {
    if connection.idle_for().is_none() {
        return Box::pin(std::future::pending());
    }
    Box::pin(async move {
        loop {
            let left = limit.saturating_sub(connection.idle_for().unwrap_or_default());
            if left.is_zero() && auth.identity().is_none() {
                return;
            }
            tokio::time::sleep(if left.is_zero() { limit } else { left }).await;
        }
    })
}

fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

struct Log<'a> {
    connection: &'a Connection,
    auth: &'a AuthContext,
    remote: SocketAddr,
}

/// The fields that every line about a connection has. journald shows them as ALPN=, PEER= and CONNECTION=.
macro_rules! line {
    ($level:ident, $log:expr, $($message:tt)+) => {
        tracing::$level!(
            alpn = %$log.connection.alpn(),
            connection = $log.connection.id(),
            peer = %$log.auth.label(),
            remote = %$log.remote,
            transport = $log.connection.transport_name(),
            $($message)+
        )
    };
}

impl Log<'_> {
    fn opened(&self) {
        line!(debug, self, "connection opened");
    }

    fn refused(&self) {
        line!(info, self, "connection refused: its handler was removed during the handshake");
    }

    fn ended(&self, end: &End) {
        match end {
            End::Returned(Ok(())) => line!(debug, self, "connection ended"),
            // The peer going away is its good right, and any stranger's.
            End::Returned(Err(HandlerError::Connection(error))) => line!(debug, self, "connection ended: {error}"),
            End::Returned(Err(error)) => line!(warn, self, "handler failed: {}", Causes(error)),
            End::Panicked(message) => line!(error, self, "handler panicked: {message}"),
            End::Idle => line!(debug, self, "connection ended: idle for too long"),
            End::Stopped => line!(debug, self, "connection ended: its handler did not stop by itself"),
        }
    }
}

struct Causes<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Makes the task of one connection. The handshake is behind a pointer so that its memory is free again when it is done:
/// within the task it would be there for as long as the connection.
pub(crate) fn spawn(shared: &Arc<Shared>, handshake: BoxFuture<'static, Option<Established>>) {
    let shared = shared.clone();
    let tracker = shared.tasks.clone();
    tracker.spawn(async move {
        if let Some(established) = handshake.await {
            serve(&shared, established).await;
        }
    });
}
