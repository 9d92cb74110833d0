//! Calling a tool.

use std::sync::Arc;
use std::time::Duration;

use alknet_call::{CallError, OperationContext, Schema};
use futures_core::Stream;
use futures_util::stream;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ProgressNotificationParam, ServerResult};
use rmcp::service::ServiceError;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::audit::Audit;
use super::error::{McpError, is_expired, of_protocol, unavailable};
use super::result::output;
use super::server::{Credential, Server, credential_of};
use super::session::{Progressing, Session};

/// How long to wait, once the answer is there, for what the library says later than it should.
const OVERTAKEN: Duration = Duration::from_millis(20);

/// A tool of a server, ready to be called.
pub(super) struct McpCall {
    pub(super) server: Arc<Server>,
    pub(super) tool: Box<str>,
    pub(super) output: Option<Schema>,
}

impl McpCall {
    /// Calls it once.
    pub(super) async fn run(&self, context: &OperationContext, input: Value) -> Result<Value, CallError> {
        let mut audit = Audit::begin(&self.server.name, &self.tool, context);
        let result = self.within(context, self.call(context, input)).await;
        audit.end(&result);
        result
    }

    async fn call(&self, context: &OperationContext, input: Value) -> Result<Value, CallError> {
        let (request, credential) = (self.request(input)?, credential_of(context));
        let session = self.session(credential).await?;
        let answer = match session.request(request.clone()).await {
            // It has done nothing, for it did not know the session.
            Err(error) if is_expired(&error) => {
                self.server.forget(credential, &session).await;
                self.session(credential).await?.request(request).await
            }
            answer => answer,
        };
        if let Err(error) = &answer {
            self.let_go(error, credential, &session).await;
        }
        self.output(answer)
    }

    /// Calls it, and gives what is said of its progress as `{"progress", "total", "message"}`, and `{"result"}` at last.
    pub(super) fn subscribe(
        self: Arc<Self>,
        context: OperationContext,
        input: Value,
    ) -> impl Stream<Item = Result<Value, CallError>> + Send + 'static {
        let audit = Audit::begin(&self.server.name, &self.tool, &context);
        let first = Step::Begin(Box::new((context, input)));
        stream::unfold((self, audit, first), async |(this, mut audit, step)| {
            let (item, next) = match step {
                Step::Begin(asked) => match this.within(&asked.0, this.begin(&asked.0, asked.1.clone())).await {
                    Ok(under_way) => this.follow(under_way).await,
                    Err(error) => (Err(error), Step::Over),
                },
                Step::Follow(under_way) => this.follow(under_way).await,
                Step::Over => return None,
            };
            if matches!(next, Step::Over) {
                audit.end(&item);
            }
            Some((item, (this, audit, next)))
        })
    }

    async fn begin(&self, context: &OperationContext, input: Value) -> Result<Box<Following>, CallError> {
        let (request, credential) = (self.request(input)?, credential_of(context));
        let session = self.session(credential).await?;
        let under_way = session.request_with_progress(request).await;
        let under_way = under_way.map_err(|error| McpError::of_service(&error).into_call_error())?;
        Ok(Box::new(Following { context: context.clone(), session, under_way, answer: None, last: None }))
    }

    /// The next event, and what comes after it.
    async fn follow(&self, mut following: Box<Following>) -> (Result<Value, CallError>, Step) {
        loop {
            let progress = match following.next().await {
                Ok(progress) => progress,
                Err(answer) => {
                    if let Err(error) = &*answer {
                        self.let_go(error, credential_of(&following.context), &following.session).await;
                    }
                    return (self.output(*answer).map(|result| json!({ "result": result })), Step::Over);
                }
            };
            // The library may let a later one overtake an earlier one, which then is of no interest any more.
            if following.last.is_none_or(|last| progress.progress > last) {
                following.last = Some(progress.progress);
                let mut event = event(&progress);
                self.server.scrub.value(&mut event);
                return (Ok(event), Step::Follow(following));
            }
        }
    }

    fn request(&self, input: Value) -> Result<ClientRequest, CallError> {
        let arguments = match input {
            Value::Object(arguments) => arguments,
            Value::Null => Map::new(),
            _ => return Err(CallError::invalid_input("the input of a tool is an object")),
        };
        let params = CallToolRequestParams::new(self.tool.to_string()).with_arguments(arguments);
        Ok(ClientRequest::CallToolRequest(CallToolRequest::new(params)))
    }

    async fn session(&self, credential: Credential<'_>) -> Result<Arc<Session>, CallError> {
        if let Some(reason) = self.server.away() {
            let mut error = unavailable(format!("the MCP server \"{}\" is away: {reason}", self.server.name));
            error.retryable = true;
            return Err(self.server.scrub.error(error));
        }
        let session = self.server.session(credential).await;
        session.map_err(|error| self.server.scrub.error(error.into_call_error()))
    }

    /// A session whose server has forgotten it, or is gone, is not used again.
    async fn let_go(&self, error: &ServiceError, credential: Credential<'_>, session: &Arc<Session>) {
        if matches!(McpError::of_service(error), McpError::Away(_)) {
            self.server.forget(credential, session).await;
        }
    }

    fn output(&self, answer: Result<ServerResult, ServiceError>) -> Result<Value, CallError> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(ServiceError::McpError(error)) => return Err(self.server.scrub.error(of_protocol(error))),
            Err(error) => return Err(self.server.scrub.error(McpError::of_service(&error).into_call_error())),
        };
        let mut result = serde_json::to_value(answer).unwrap_or_default();
        self.server.scrub.value(&mut result);
        let tool = format!("the MCP server \"{}\" to its tool \"{}\"", self.server.name, self.tool.escape_debug());
        output(result, self.output.as_ref(), &tool)
    }

    /// Keeps to the time limit of the call, and to that of all calls of other services.
    async fn within<T>(
        &self,
        context: &OperationContext,
        work: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let deadline = self.server.http.deadline(context.time_limit);
        deadline
            .of(&self.server.url, async { Ok(work.await) })
            .await
            .unwrap_or_else(|late| Err(CallError::new(alknet_call::ErrorCode::Timeout, late.to_string())))
    }
}

/// Where a subscription is.
enum Step {
    Begin(Box<(OperationContext, Value)>),
    Follow(Box<Following>),
    Over,
}

/// A call that is under way. Dropping it gives it up.
struct Following {
    context: OperationContext,
    session: Arc<Session>,
    under_way: Progressing,
    answer: Option<Box<Answer>>,
    /// How far the tool was when it last told.
    last: Option<f64>,
}

type Answer = Result<ServerResult, ServiceError>;

impl Following {
    /// The next tidings of progress, or else the answer.
    async fn next(&mut self) -> Result<ProgressNotificationParam, Box<Answer>> {
        let Progressing { answer, progress } = &mut self.under_way;
        if self.answer.is_none() {
            tokio::select! {
                biased;
                Some(progress) = progress.recv() => return Ok(progress),
                answer = answer.answer() => self.answer = Some(Box::new(answer)),
            }
        }
        // The library lets the answer overtake what was said before it.
        let late = timeout(OVERTAKEN, progress.recv()).await;
        match (late, self.answer.take()) {
            (Ok(Some(progress)), answer) => {
                self.answer = answer;
                Ok(progress)
            }
            (_, Some(answer)) => Err(answer),
            (_, None) => Err(Box::new(Err(ServiceError::TransportClosed))),
        }
    }
}

fn event(progress: &ProgressNotificationParam) -> Value {
    let mut event = Map::from_iter([("progress".to_owned(), json!(progress.progress))]);
    event.extend(progress.total.map(|total| ("total".to_owned(), json!(total))));
    event.extend(progress.message.as_ref().map(|message| ("message".to_owned(), json!(message))));
    event.into()
}
