//! The sessions, as a single bearer sees them.

use std::sync::{Arc, OnceLock};

use alknet_call::CallError;
use alknet_core::{AuthContext, Identity};
use futures_core::Stream;
use futures_util::StreamExt as _;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, LocalSessionManagerError};
use rmcp::transport::streamable_http_server::{SessionId, SessionManager};

use super::session::{Session, Sessions};
use crate::McpConfig;

/// Made for each request, and kept by the session that the request opens. It must not hold the connection.
pub(super) struct Visitor {
    sessions: Arc<Sessions>,
    config: Arc<McpConfig>,
    identity: Arc<Identity>,
    auth: AuthContext,
    /// The session that its request has opened.
    opened: OnceLock<Arc<Session>>,
    refusal: OnceLock<CallError>,
}

impl Visitor {
    pub(super) fn new(
        sessions: Arc<Sessions>,
        config: Arc<McpConfig>,
        identity: Arc<Identity>,
        auth: AuthContext,
    ) -> Self {
        Self { sessions, config, identity, auth, opened: OnceLock::new(), refusal: OnceLock::new() }
    }

    /// Who it is now.
    pub(super) fn auth(&self) -> &AuthContext {
        &self.auth
    }

    /// The session that its request has opened, if it has.
    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        self.opened.get()
    }

    /// Why it got no session, if that was for want of room.
    pub(super) fn refusal(&self) -> Option<&CallError> {
        self.refusal.get()
    }

    fn own(&self, id: &SessionId) -> Result<Arc<Session>, VisitError> {
        self.sessions.of(&self.identity, id).ok_or(VisitError::NoSession)
    }
}

/// Why a message does not get to a session.
#[derive(Debug, thiserror::Error)]
pub(super) enum VisitError {
    #[error("there is no such session")]
    NoSession,
    #[error("there is no room for a session")]
    NoRoom,
    #[error(transparent)]
    Local(#[from] LocalSessionManagerError),
}

impl SessionManager for Visitor {
    type Error = VisitError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), VisitError> {
        if let Err(error) = self.sessions.room(&self.identity, &self.config) {
            self.refusal.get_or_init(|| error);
            return Err(VisitError::NoRoom);
        }
        let (id, transport) = self.sessions.local.create_session().await?;
        let (owner, idle) = (self.identity.id.clone(), self.config.session_idle());
        let session = self.sessions.keep(id.clone(), owner, self.auth.clone(), idle);
        self.opened.get_or_init(|| session);
        Ok((id, transport))
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, VisitError> {
        Ok(self.sessions.local.initialize_session(id, message).await?)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, VisitError> {
        Ok(self.own(id).inspect(|session| session.reading().touch()).is_ok())
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), VisitError> {
        if self.own(id).is_ok() {
            self.sessions.close(id).await;
        }
        Ok(())
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, VisitError> {
        // First, so that the call that begins with it finds its client there.
        let session = self.own(id)?;
        let attendance = match &message {
            ClientJsonRpcMessage::Request(request) => session.attend_request(request.id.clone()).into(),
            _ => vec![session.reading().attend()],
        };
        Ok(holding(attendance, self.sessions.local.create_stream(id, message).await?))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), VisitError> {
        self.own(id)?.reading().touch();
        Ok(self.sessions.local.accept_message(id, message).await?)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, VisitError> {
        let attendance = self.own(id)?.reading().attend();
        Ok(holding(attendance, self.sessions.local.create_standalone_stream(id).await?))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, VisitError> {
        let attendance = self.own(id)?.attend_again();
        Ok(holding(attendance, self.sessions.local.resume(id, last_event_id).await?))
    }
}

/// Holds something for as long as a stream is there.
fn holding<T: Send + Sync + 'static>(
    held: T,
    stream: impl Stream<Item = ServerSseMessage> + Send + Sync + 'static,
) -> impl Stream<Item = ServerSseMessage> + Send + Sync + 'static {
    stream.map(move |message| {
        let _held = &held;
        message
    })
}
