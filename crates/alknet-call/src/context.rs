//! What a handler knows of the call it runs.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use alknet_core::{AuthContext, Connection, Fingerprint, Identity};
use serde_json::Value;

use crate::composition::Composition;
use crate::link::Link;
use crate::{CallClient, Capabilities};

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

    /// For calls that come over no connection, but from within this process. Their connection has the number 0.
    pub fn in_process() -> Arc<Self> {
        static IN_PROCESS: LazyLock<Arc<CallerInfo>> = LazyLock::new(|| {
            Arc::new(CallerInfo { fingerprint: None, transport: "process", remote: None, connection: 0 })
        });
        IN_PROCESS.clone()
    }
}

/// One call, as its handler sees it. A call that is given up (aborted, out of time, its connection gone) is a dropped
/// future, so there is nothing in here to ask whether it still goes on.
///
/// A handler calls other operations with [`call`](Self::call) and its like.
#[derive(Clone)]
#[non_exhaustive]
pub struct OperationContext {
    /// Who calls. Authorization has been done with it; a handler needs it for what is the caller's own.
    pub identity: Option<Arc<Identity>>,
    /// What `identity` was resolved from, to be resolved again by what outlasts the call. None for calls from within this
    /// process.
    pub auth: Option<AuthContext>,
    /// The caller's id for this call. It means something only together with the connection.
    pub request_id: Arc<str>,
    /// The id of the call whose handler makes this one, if a handler does.
    pub parent_id: Option<Arc<str>>,
    /// The connection that the call came over.
    pub peer: Arc<CallerInfo>,
    /// For whom the caller says that it calls. For audit and context; no authority follows from it.
    pub forwarded_for: Option<Value>,
    /// How long the call may take from its start.
    pub time_limit: Duration,
    /// The secrets that the handler was registered with.
    pub capabilities: Capabilities,
    pub(crate) composition: Composition,
    pub(crate) link: Weak<Link>,
}

impl OperationContext {
    /// A call by `identity` that may take `time_limit`.
    pub fn new(
        request_id: impl Into<Arc<str>>,
        identity: Option<Arc<Identity>>,
        peer: Arc<CallerInfo>,
        time_limit: Duration,
    ) -> Self {
        Self {
            identity,
            auth: None,
            request_id: request_id.into(),
            parent_id: None,
            peer,
            forwarded_for: None,
            time_limit,
            capabilities: Capabilities::default(),
            composition: Composition::default(),
            link: Weak::new(),
        }
    }
}

impl OperationContext {
    /// Calls the caller's own operations, over the connection that the call came on. None if it came on none.
    pub fn caller(&self) -> Option<CallClient> {
        self.link.upgrade().map(|link| CallClient::of(&link))
    }
}

/// Without the secrets.
impl fmt::Debug for OperationContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationContext")
            .field("identity", &self.identity)
            .field("request_id", &self.request_id)
            .field("parent_id", &self.parent_id)
            .field("peer", &self.peer)
            .field("forwarded_for", &self.forwarded_for)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}
