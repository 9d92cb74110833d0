//! What answers the messages of one session, or a single message of a client that has none.

use std::borrow::Cow;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alknet_call::{CallError, ErrorCode};
use alknet_core::{AuthContext, Identity};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Implementation, ListToolsResult,
    PaginatedRequestParams, ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::audit::Audit;
use super::bearer::Bearer;
use super::call::{Call, NoResult, Progress};
use super::session::Reading;
use super::visitor::Visitor;
use super::{Shared, name, result};

/// Where a request says for whom it is made. It is for the log and for the operation, and gives no right.
const FORWARDED_FOR: &str = "alknet/forwarded_for";

/// The longest of that, in bytes of JSON.
const MAX_FORWARDED_FOR: usize = 2048;

/// How long changes are gathered before a client is told: operations mostly come and go several at once.
const SETTLING: Duration = Duration::from_millis(100);

pub(super) struct Desk {
    shared: Arc<Shared>,
    visitor: Arc<Visitor>,
    /// Tells the client of a session that its tools have changed.
    teller: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, visitor: Arc<Visitor>) -> Self {
        Self { shared, visitor, teller: Mutex::default() }
    }

    /// Calls a tool, for as long as its client wants it to be called.
    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let (bearer, identity) = identify(context)?;
        let forwarded_for = forwarded_for(context)?;
        let id = self.shared.next_request();
        let mut audit =
            Audit::begin(id, &request.name, identity.id.clone(), forwarded_for.as_ref(), bearer.peer.connection);
        let (tool, reading) = (request.name.clone(), self.reading(context));
        let ran = tokio::select! {
            ran = self.run(request, forwarded_for, (bearer, &identity), context, reading.as_deref(), &audit) => ran,
            () = context.ct.cancelled() => return Err(given_up()),
            () = self.abandoned(reading.as_deref()) => return Err(given_up()),
        };
        match ran {
            Ok(result) => {
                audit.outcome("OK");
                Ok(result)
            }
            Err(NoResult::Error(error)) => {
                audit.outcome(error.wire_code());
                Ok(result::of_error(&error))
            }
            Err(NoResult::NoTool) => {
                audit.outcome(ErrorCode::NotFound.as_str());
                Err(no_tool(&tool))
            }
        }
    }

    async fn run(
        &self,
        request: CallToolRequestParams,
        forwarded_for: Option<Value>,
        (bearer, identity): (&Bearer, &Identity),
        context: &RequestContext<RoleServer>,
        reading: Option<&Reading>,
        audit: &Audit,
    ) -> Result<CallToolResult, NoResult> {
        let Shared { registry, sessions, config, .. } = &*self.shared;
        let _slot = sessions.begin_call(identity, config.max_calls_per_peer)?;
        let progress = context.meta.get_progress_token().map(|token| Progress { token, peer: context.peer.clone() });
        let call = Call { registry, config, bearer, reading, progress };
        call.run(&request.name, request.arguments, forwarded_for, audit).await
    }

    /// Whether the client of this session is there for the answer to a request.
    fn reading(&self, context: &RequestContext<RoleServer>) -> Option<Arc<Reading>> {
        self.visitor.session().map(|session| session.reading_of(&context.id))
    }

    /// Resolves when the client of this session is gone for good, or has not come back in time.
    async fn abandoned(&self, reading: Option<&Reading>) {
        match (self.visitor.session(), reading) {
            (Some(session), Some(reading)) => tokio::select! {
                () = session.gone() => {}
                () = reading.away(self.shared.config.resume()) => {}
            },
            // Without a session, the request is cancelled when its client goes away.
            _ => pending().await,
        }
    }
}

impl ServerHandler for Desk {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        let about = Implementation::new("alknet", env!("CARGO_PKG_VERSION")).with_title(self.shared.title.clone());
        let mut info = ServerConfig::new(capabilities).with_server_info(about);
        info.protocol_version = ProtocolVersion::V_2025_11_25;
        info
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(ProtocolVersion::KNOWN_VERSIONS)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (_, identity) = identify(&context)?;
        let cursor = request.and_then(|request| request.cursor);
        if let Some(cursor) = cursor.as_deref().filter(|cursor| name::operation(cursor).is_none()) {
            let cut: String = cursor.chars().take(80).collect();
            return Err(ErrorData::invalid_params(format!("{cut:?} is no cursor of this node's"), None));
        }
        let page = self.shared.catalogue.page(&identity, cursor.as_deref(), self.shared.config.page_size as usize);
        let mut result = ListToolsResult::with_all_items(page.tools);
        result.next_cursor = page.next;
        Ok(result)
    }

    /// What the headers of a request are compared with.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        let identity = self.visitor.auth().identity()?;
        self.shared.catalogue.tool(&identity, name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(self.call(request, &context).await?.into())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (shared, auth) = (self.shared.clone(), self.visitor.auth().clone());
        let Some(session) = self.visitor.session().cloned() else { return };
        let teller = tokio::spawn(async move {
            let mut news = News::new(&shared, &auth);
            while news.next().await.is_some() {
                // Nothing is stored for a client that does not listen: it will ask when it is back.
                session.reading().present().await;
                let _ = context.peer.notify_tool_list_changed().await;
            }
        });
        *self.teller.lock().unwrap_or_else(PoisonError::into_inner) = Some(AbortOnDropHandle::new(teller));
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let (bearer, identity) = identify(context.request_context())?;
        let most = self.shared.config.max_sessions_per_peer;
        let _slot = self.shared.sessions.begin_listening(&identity, most).map_err(|error| refused(&error))?;
        let mut news = News::new(&self.shared, &bearer.auth);
        loop {
            tokio::select! {
                changed = news.next() => match changed {
                    // One that has not asked for it is not told.
                    Some(()) => drop(context.sink().notify_tool_list_changed().await),
                    None => return Ok(()),
                },
                () = context.cancelled() => return Ok(()),
                () = bearer.below.draining() => return Ok(()),
                () = self.shared.sessions.end.cancelled() => return Ok(()),
            }
        }
    }
}

/// Tells when what a bearer sees is something else.
struct News<'a> {
    shared: &'a Shared,
    auth: &'a AuthContext,
    operations: tokio::sync::watch::Receiver<u64>,
    identities: tokio::sync::watch::Receiver<u64>,
    digest: Option<u64>,
}

impl<'a> News<'a> {
    fn new(shared: &'a Shared, auth: &'a AuthContext) -> Self {
        let (operations, identities) = (shared.registry.changes(), auth.changes());
        let mut news = Self { shared, auth, operations, identities, digest: None };
        news.digest = news.look();
        news
    }

    /// None when the bearer is nobody any more.
    async fn next(&mut self) -> Option<()> {
        loop {
            let changed = tokio::select! {
                changed = self.operations.changed() => changed,
                changed = self.identities.changed() => changed,
            };
            changed.ok()?;
            sleep(SETTLING).await;
            self.operations.mark_unchanged();
            self.identities.mark_unchanged();
            let digest = Some(self.look()?);
            if std::mem::replace(&mut self.digest, digest) != digest {
                return Some(());
            }
        }
    }

    fn look(&self) -> Option<u64> {
        self.auth.identity().map(|identity| self.shared.catalogue.digest(&identity))
    }
}

/// Who sends a message, asked anew.
fn identify(context: &RequestContext<RoleServer>) -> Result<(&Bearer, Arc<Identity>), ErrorData> {
    let bearer = Bearer::of(&context.extensions);
    let known = bearer.and_then(|bearer| bearer.auth.identity().map(|identity| (bearer, identity)));
    known.ok_or_else(|| ErrorData::invalid_request("the bearer token is not known to this node any more", None))
}

fn forwarded_for(context: &RequestContext<RoleServer>) -> Result<Option<Value>, ErrorData> {
    let Some(whom) = context.meta.0.0.get(FORWARDED_FOR) else { return Ok(None) };
    match whom.to_string().len() <= MAX_FORWARDED_FOR {
        true => Ok(Some(whom.clone())),
        false => {
            let message = format!("{FORWARDED_FOR:?} in _meta is longer than {MAX_FORWARDED_FOR} bytes");
            Err(ErrorData::invalid_params(message, None))
        }
    }
}

fn no_tool(name: &str) -> ErrorData {
    let cut: String = name.chars().take(128).collect();
    ErrorData::invalid_params(format!("Unknown tool: {cut}"), None)
}

/// Nobody waits for this any more.
fn given_up() -> ErrorData {
    refused(&CallError::new(ErrorCode::Aborted, "the call was given up"))
}

fn refused(error: &CallError) -> ErrorData {
    ErrorData::internal_error(error.to_string(), Some(json!({ "code": error.wire_code() })))
}
