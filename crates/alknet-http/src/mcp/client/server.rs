//! A server and the sessions with it: one for each credential, begun when it is first needed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use alknet_call::{Capabilities, OperationContext, Secret};
use tokio::sync::{Mutex, watch};
use url::Url;

use super::error::McpError;
use super::session::Session;
use crate::HttpClient;
use crate::openapi::import::Scrub;

/// The capability that everybody calls with who has none of their own.
const ANYBODY: &str = "*";

/// The session of those who call without a credential. No capability is called that.
const NOBODY: &str = "";

/// A server. There is no `Debug`: there are secrets in it.
pub(super) struct Server {
    pub(super) name: Box<str>,
    pub(super) url: Url,
    pub(super) http: HttpClient,
    /// Masks every credential of the import, whoever's call it came back from.
    pub(super) scrub: Scrub,
    /// Changes when there is reason to ask for the tools again.
    pub(super) changes: watch::Sender<u64>,
    sessions: BTreeMap<Box<str>, Mutex<Option<Arc<Session>>>>,
    away: std::sync::Mutex<Option<String>>,
}

/// The credential of a call: the name of its capability, and the secret.
pub(super) type Credential<'c> = (&'c str, Option<&'c Secret>);

impl Server {
    pub(super) fn new(name: &str, url: Url, http: HttpClient, capabilities: &Capabilities) -> Self {
        let mut scrub = Scrub::default();
        let names: Vec<_> = capabilities.names().collect();
        names.iter().filter_map(|name| capabilities.secret(name)).for_each(|secret| scrub.add(secret.reveal()));
        let sessions = names.into_iter().chain([NOBODY]).map(|name| (name.into(), Mutex::default())).collect();
        let (name, changes) = (name.into(), watch::Sender::default());
        Self { name, url, http, scrub, changes, sessions, away: std::sync::Mutex::default() }
    }

    /// The session of a credential: the one that there is, or a new one.
    pub(super) async fn session(&self, (name, secret): Credential<'_>) -> Result<Arc<Session>, McpError> {
        let Some(slot) = self.sessions.get(name) else { return Err(McpError::Credential) };
        // Whoever comes while it is begun waits for that, and tries again if the first gives up.
        let mut slot = slot.lock().await;
        if let Some(session) = slot.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        *slot = None;
        let session = Session::begin(&self.http, &self.url, secret, &self.changes).await?;
        let session = Arc::new(if matches!(name, ANYBODY | NOBODY) { session.watching() } else { session });
        *slot = Some(session.clone());
        tracing::debug!(import = &*self.name, "a session with an MCP server has begun");
        Ok(session)
    }

    /// Lets go of a session that is of no use any more. Calls that are under way in it go on.
    pub(super) async fn forget(&self, (name, _): Credential<'_>, session: &Arc<Session>) {
        if let Some(slot) = self.sessions.get(name) {
            let mut slot = slot.lock().await;
            if slot.as_ref().is_some_and(|present| Arc::ptr_eq(present, session)) {
                *slot = None;
            }
        }
    }

    /// Lets go of the session of a credential, whichever it is.
    pub(super) async fn renew(&self, (name, _): Credential<'_>) {
        if let Some(slot) = self.sessions.get(name) {
            *slot.lock().await = None;
        }
    }

    /// Why the server is away, if it is.
    pub(super) fn away(&self) -> Option<String> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_away(&self, reason: Option<String>) {
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// What a call goes out with: the caller's own credential, or everybody's, or none. Who it is made for does not matter:
/// anybody can say that.
pub(super) fn credential_of(context: &OperationContext) -> Credential<'_> {
    let own = context.identity.as_ref().map(|identity| own(&identity.id));
    let own = own.and_then(|own| context.capabilities.names().find(|name| **name == *own));
    credential(&context.capabilities, own)
}

/// What the tools are asked for with.
pub(super) fn common_credential(capabilities: &Capabilities) -> Credential<'_> {
    credential(capabilities, None)
}

fn credential<'c>(capabilities: &'c Capabilities, own: Option<&'c str>) -> Credential<'c> {
    let name = own.unwrap_or(ANYBODY);
    match capabilities.secret(name) {
        Some(secret) => (name, Some(secret)),
        None => (NOBODY, None),
    }
}

/// The name of the capability that only calls of one identity go out with.
pub(super) fn own(identity: &str) -> String {
    format!("@{identity}")
}
