//! From a header to a view of a terminal.

use std::sync::Arc;

use alknet_call::wire::AuthToken;
use alknet_call::{CallError, ErrorCode};
use alknet_core::{AuthContext, Identity};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::TtyHandler;
use crate::audit::{ATTACH, Actor, audit};
use crate::operations::call_error;
use crate::wire::{Attached, Header, Target};
use crate::{AttachOptions, Attachment, SpawnInput, TerminalInfo};

/// A view of a terminal that its caller may have.
pub(super) struct View {
    pub(super) handler: Arc<TtyHandler>,
    pub(super) permit: Permit,
    pub(super) attachment: Attachment,
    /// The terminal is revoked.
    pub(super) revoked: CancellationToken,
    /// Nobody has heard of the terminal yet.
    pub(super) is_new: bool,
}

/// What a stream was granted.
pub(super) struct Permit {
    auth: AuthContext,
    token: Option<AuthToken>,
    changes: watch::Receiver<u64>,
    pub(super) id: Arc<str>,
    pub(super) writable: bool,
}

impl View {
    pub(super) async fn open(handler: Arc<TtyHandler>, auth: AuthContext, header: Header) -> Result<Self, CallError> {
        let Header { target, auth_token: token, rows, cols, from, scrollback } = header;
        // From before the first look, so that whatever changes after it is a reason for another.
        let changes = auth.changes();
        let identity = identify(&auth, token.as_ref())?;
        let who = identity.as_deref();
        let is_new = matches!(target, Target::Spawn(_));
        let attachment = match target {
            Target::Attach(id) => {
                handler.check_owner(&handler.attach, who, &id)?;
                handler.attach(&id, AttachOptions { from, scrollback })?
            }
            Target::Spawn(input) => {
                handler.spawn(who, SpawnInput { rows: input.rows.or(rows), cols: input.cols.or(cols), ..input }).await?
            }
        };
        let id = attachment.id().clone();
        let owned = handler.check_owner(&handler.attach, who, &id);
        // It may have ended by now. To its spawner that is no reason to see nothing of it.
        let revoked = owned.or_else(|error| if is_new { Ok(cancelled()) } else { Err(error) })?;
        let writable = handler.check_owner(&handler.write, who, &id).is_ok();
        if writable && !is_new && (rows, cols) != (None, None) {
            handler.resize(&id, rows, cols)?;
        }
        let peer = who.map_or("anonymous", |identity| &*identity.id);
        audit!(ATTACH, &*id, Actor::new(peer, None); "terminal attached");
        let permit = Permit { auth, token, changes, id, writable };
        Ok(Self { handler, permit, attachment, revoked, is_new })
    }

    /// What the client is told.
    pub(super) fn attached(&self) -> Attached {
        let Permit { id, writable, .. } = &self.permit;
        let size = self.handler.terminals.get(id).map(|info| (info.rows, info.cols));
        // It has ended just now, and nobody will care.
        let (rows, cols) = size.unwrap_or((24, 80));
        Attached { id: id.to_string(), rows, cols, offset: self.attachment.settle(), writable: *writable }
    }
}

fn cancelled() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

impl Permit {
    /// Resolves when the caller may no longer have what it was granted.
    pub(super) async fn withdrawn(&mut self, handler: &TtyHandler, revoked: &CancellationToken) {
        loop {
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            // The end of the terminal takes everything away, but leaves time for the last output.
            if !self.is_granted(handler) && !revoked.is_cancelled() {
                return;
            }
        }
    }

    fn is_granted(&self, handler: &TtyHandler) -> bool {
        let Ok(identity) = identify(&self.auth, self.token.as_ref()) else { return false };
        let may = |spec| handler.check_owner(spec, identity.as_deref(), &self.id).is_ok();
        may(&handler.attach) && (!self.writable || may(&handler.write))
    }
}

/// Who the caller is: whose token it sends, or if it sends none, whose connection it is.
fn identify(auth: &AuthContext, token: Option<&AuthToken>) -> Result<Option<Arc<Identity>>, CallError> {
    let Some(token) = token else { return Ok(auth.identity()) };
    match auth.resolve_token(token.reveal()) {
        Some(identity) => Ok(Some(identity)),
        None => Err(CallError::new(ErrorCode::Unauthenticated, "the auth_token is not known to this node")),
    }
}

impl TtyHandler {
    fn attach(&self, id: &str, options: AttachOptions) -> Result<Attachment, CallError> {
        self.terminals.attach(id, options).map_err(|error| call_error(&self.attach, error))
    }

    async fn spawn(&self, who: Option<&Identity>, input: SpawnInput) -> Result<Attachment, CallError> {
        self.check_spawner(who)?;
        let owner = who.map(|identity| identity.id.clone());
        let owner = owner.ok_or_else(|| CallError::internal("a terminal was to be spawned for nobody"))?;
        let spawned = self.terminals.spawn_attached(input.into_request(owner, None)).await;
        spawned.map(|(_, attachment)| attachment).map_err(|error| call_error(&self.spawn, error))
    }

    /// Gives the terminal another size; the side that is not given stays.
    fn resize(&self, id: &str, rows: Option<u16>, cols: Option<u16>) -> Result<(), CallError> {
        let TerminalInfo { rows: now_rows, cols: now_cols, .. } = self.info(id)?;
        let resized = self.terminals.resize(id, rows.unwrap_or(now_rows), cols.unwrap_or(now_cols));
        resized.map_err(|error| call_error(&self.attach, error))
    }

    fn info(&self, id: &str) -> Result<TerminalInfo, CallError> {
        self.terminals.get(id).map_err(|error| call_error(&self.attach, error))
    }
}
