//! What a handler knows of the call it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alknet_core::{AuthContext, Connection, Fingerprint, Identity};
use serde_json::Value;

/// The connection that a call came over.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallerInfo {
    /// The key that the caller proved to hold, known or not.
    pub fingerprint: Option<Fingerprint>,
    /// The transport's name, for people: `quic`, `tls`, …
    pub transport: &'static str,
    /// Where the caller is, if the transport knows.
    pub remote: Option<SocketAddr>,
    /// The number of the connection in this process's log.
    pub connection: u64,
}

impl CallerInfo {
    /// What is known of the other end of `connection`.
    pub fn of(connection: &Connection, auth: &AuthContext) -> Self {
        Self {
            fingerprint: auth.fingerprint().copied(),
            transport: connection.transport_name(),
            remote: connection.remote_address(),
            connection: connection.id(),
        }
    }
}

/// One call, as its handler sees it. A call that is given up (aborted, out of time, its connection gone) is a dropped
/// future, so there is nothing in here to ask whether it still goes on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OperationContext {
    /// Who calls. Authorization has been done with it; a handler needs it for what is the caller's own.
    pub identity: Option<Arc<Identity>>,
    /// The caller's id for this call. It means something only together with the connection.
    pub request_id: String,
    /// The connection that the call came over.
    pub peer: Arc<CallerInfo>,
    /// For whom the caller says that it calls. For audit and context; no authority follows from it.
    pub forwarded_for: Option<Value>,
    /// How long the call may take from its start.
    pub time_limit: Duration,
}

impl OperationContext {
    /// A call by `identity` that may take `time_limit`.
    pub fn new(
        request_id: impl Into<String>,
        identity: Option<Arc<Identity>>,
        peer: Arc<CallerInfo>,
        time_limit: Duration,
    ) -> Self {
        Self { identity, request_id: request_id.into(), peer, forwarded_for: None, time_limit }
    }
}
