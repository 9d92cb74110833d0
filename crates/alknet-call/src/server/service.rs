//! What a peer may call on a connection, and who it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alknet_core::{AuthContext, Connection, Identity};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::budget::{Budget, Permit, Pool};
use crate::link::Link;
use crate::registry::{Grant, Started};
use crate::wire::{AuthToken, RawJson, Request, quoted};
use crate::{ALPN, CallError, CallLimits, CallerInfo, ErrorCode, OperationContext, OperationKind, Registry};

/// What a connection's peer may call.
pub(crate) struct Service {
    pub(crate) budget: Budget,
    registry: Arc<Registry>,
    limits: Arc<CallLimits>,
    peer: Arc<CallerInfo>,
    auth: AuthContext,
    complained: AtomicBool,
}

/// A call that may run.
pub(crate) struct Begun {
    pub(crate) started: Started,
    pub(crate) window: Option<u64>,
    /// How long it may take; a subscription goes on as long as its caller wants.
    pub(crate) limit: Option<Duration>,
    pub(crate) token: Option<AuthToken>,
    /// Of a call on a resource: that this is revoked.
    pub(crate) revoked: Option<CancellationToken>,
}

impl Service {
    pub(super) fn new(
        registry: Arc<Registry>,
        limits: &Arc<CallLimits>,
        connection: &Connection,
        auth: AuthContext,
        own: Pool,
        strangers: &Pool,
    ) -> Self {
        let peer = Arc::new(CallerInfo::of(connection, &auth));
        let budget = Budget::new(auth.clone(), own, strangers.clone());
        Self { budget, registry, limits: limits.clone(), peer, auth, complained: AtomicBool::new(false) }
    }

    /// Everything up to the handler's first step. The input is parsed only for a caller that may make the call, and the
    /// frame is gone by the time the handler runs.
    pub(crate) fn begin(
        &self,
        link: &Arc<Link>,
        id: &Arc<str>,
        request: Request,
        permit: Permit,
    ) -> Result<Begun, CallError> {
        let begun = self.try_begin(link, id, &request);
        drop(permit);
        let log = |outcome: &str| {
            tracing::debug!(
                alpn = ALPN,
                connection = self.peer.connection,
                peer = self.label(),
                operation = shown(request.operation.as_bytes()),
                forwarded_for = request.forwarded_for.as_ref().map(|whom| shown(whom.as_bytes())),
                outcome,
                "call"
            );
        };
        match &begun {
            Ok(_) if tracing::enabled!(tracing::Level::DEBUG) => log("begins"),
            Err(error) if tracing::enabled!(tracing::Level::DEBUG) => log(error.code.as_str()),
            _ => {}
        }
        begun
    }

    fn try_begin(&self, link: &Arc<Link>, id: &Arc<str>, request: &Request) -> Result<Begun, CallError> {
        let Some(name) = request.operation.strip_prefix('/') else {
            let message = format!("the operationId {} has no leading slash", quoted(&request.operation));
            return Err(CallError::invalid_input(message));
        };
        let identity = self.identify(request.auth_token.as_ref())?;
        let wanted = request.timeout();
        let limit = self.limits.call_time(wanted);
        let context = OperationContext::new(id.clone(), identity, self.peer.clone(), limit);
        let mut admitted = self.registry.admit(name, context)?;
        let context = admitted.context_mut();
        context.forwarded_for = request.forwarded_for.as_ref().map(|whom| parse(whom, "forwarded_for")).transpose()?;
        context.auth = Some(match &request.auth_token {
            Some(token) => self.auth.with_token(token.reveal()),
            None => self.auth.clone(),
        });
        context.link = Arc::downgrade(link);
        let limit = match admitted.kind() {
            OperationKind::Call => Some(limit),
            // What its caller says counts; else it goes on until somebody ends it.
            OperationKind::Subscription => wanted,
        };
        let started = admitted.start(parse(&request.input, "input")?)?;
        let revoked = started
            .grant
            .resource
            .as_ref()
            .and_then(|(kind, id)| self.registry.ownership().map(|ownership| ownership.revocation(kind, id)));
        Ok(Begun { started, window: request.window, limit, token: request.auth_token.clone(), revoked })
    }

    /// Who makes a request: whose token it carries, or if it carries none, whose connection it is. Asked for each request,
    /// so a change of the peers counts from the next one on.
    fn identify(&self, token: Option<&AuthToken>) -> Result<Option<Arc<Identity>>, CallError> {
        let Some(token) = token else { return Ok(self.auth.identity()) };
        match self.auth.resolve_token(token.reveal()) {
            Some(identity) => Ok(Some(identity)),
            // Falling back to the connection's identity would hide that the token is wrong, and act as somebody else.
            None => Err(CallError::new(ErrorCode::Unauthenticated, "the auth_token is not known to this node")),
        }
    }

    /// Whether a call that runs could begin now.
    pub(crate) fn still_allows(&self, grant: &Grant, token: Option<&AuthToken>) -> Result<(), CallError> {
        self.registry.still_allowed(grant, self.identify(token)?.as_deref())
    }

    /// Changes whenever somebody may have become somebody else.
    pub(crate) fn identity_changes(&self) -> watch::Receiver<u64> {
        self.auth.changes()
    }

    /// Logs what a peer did wrong: a known peer's operator may want to know, and once a connection is enough. What
    /// strangers do is of no interest, and they must not be able to fill the log.
    pub(crate) fn complain(&self, what: &dyn fmt::Display) {
        let (connection, peer) = (self.peer.connection, self.label());
        if self.auth.identity().is_some() && !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(alpn = ALPN, connection, peer, "{what}");
        } else {
            tracing::debug!(alpn = ALPN, connection, peer, "{what}");
        }
    }

    /// Who is at the other end, for the log.
    fn label(&self) -> String {
        self.auth.label()
    }
}

/// A text of the peer's for a log line: without what a terminal would obey, and cut where it is long.
fn shown(text: &[u8]) -> String {
    const SHOWN: usize = 256;
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

fn parse(json: &RawJson, field: &str) -> Result<Value, CallError> {
    json.parse().map_err(|error| CallError::invalid_input(format!("the {field} cannot be read: {error}")))
}
