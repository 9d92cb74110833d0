//! `POST /service/op`: operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alknet_call::{Admitted, CallError, ErrorCode, OperationContext, OperationKind, Registry, Run, Started};
use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::ALLOW;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::accept::{Form, form_of_call, is_json, takes_events};
use super::events::{self, Events};
use super::metrics::{HttpMetrics, Route};
use super::site::{Visit, of};
use super::{event_id, problem};
use crate::HttpConfig;

/// The header of a request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id of a request.
const MAX_REQUEST_ID: usize = 128;

/// The operations of a registry.
pub(super) struct Operations {
    registry: Arc<Registry>,
    config: HttpConfig,
    metrics: Arc<HttpMetrics>,
    /// Room for subscriptions.
    streams: Arc<Semaphore>,
    /// Requests that bring no id of theirs are counted.
    next_id: AtomicU64,
}

/// Why a request gets no output.
enum Refusal {
    /// The call failed.
    Call(CallError),
    /// HTTP has a status that says more.
    Status(StatusCode, CallError),
    /// The operation is there, and takes POST.
    Method,
    /// The client wants to know what it takes.
    Options,
}

impl Operations {
    pub(super) fn new(registry: Arc<Registry>, config: HttpConfig, metrics: Arc<HttpMetrics>) -> Self {
        let streams = Arc::new(Semaphore::new(config.max_event_streams as usize));
        Self { registry, config, metrics, streams, next_id: AtomicU64::new(1) }
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(super) fn config(&self) -> &HttpConfig {
        &self.config
    }

    /// Answers a request for the operation that its path names. The operation is looked up and its caller checked before
    /// anything else is, so that who may not know of it learns nothing.
    pub(super) async fn answer(&self, visit: &Visit, request: Request<Body>) -> Response {
        let (head, body) = request.into_parts();
        // A path that does not begin with a slash is no path, and then there is no operation of that name.
        let name = head.uri.path().strip_prefix('/').unwrap_or_default();
        let id = self.request_id(&head.headers);
        let result = self.run(name, &id, visit, &head.method, &head.headers, body).await;
        let outcome = result.as_ref().map_or_else(Refusal::outcome, |_| "OK");
        tracing::debug!(
            connection = visit.client.peer.connection,
            peer = &*visit.identity.id,
            operation = shown(name),
            request = &*id,
            outcome,
            "call"
        );
        let mut response = result.unwrap_or_else(|refusal| of(Route::Operation, refusal.into_response()));
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }

    async fn run(
        &self,
        name: &str,
        id: &Arc<str>,
        visit: &Visit,
        method: &Method,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response, Refusal> {
        let (identity, peer) = (visit.identity.clone(), visit.client.peer.clone());
        let mut context = OperationContext::new(id.clone(), Some(identity), peer, self.config.request_timeout());
        context.auth = Some(visit.auth(headers));
        let admitted = self.registry.admit(name, context)?;
        match *method {
            Method::POST => {}
            Method::OPTIONS => return Err(Refusal::Options),
            _ => return Err(Refusal::Method),
        }
        if admitted.kind() == OperationKind::Subscription && !takes_events(headers) {
            let message = format!("/{name} is a subscription: accept text/event-stream");
            return Err(Refusal::Status(StatusCode::NOT_ACCEPTABLE, CallError::invalid_input(message)));
        }
        let input = self.input(headers, body).await?;
        match admitted.kind() {
            OperationKind::Call => {
                let output = admitted.run(input).await?;
                Ok(match form_of_call(headers) {
                    Form::Json => of(Route::Operation, Json(output).into_response()),
                    Form::Events => of(Route::Events, events::single(&output)),
                })
            }
            OperationKind::Subscription => self.subscribe(admitted, input, visit, headers),
            // A kind that is made later than this.
            _ => Err(CallError::invalid_input(format!("/{name} cannot be called over HTTP")).into()),
        }
    }

    fn subscribe(
        &self,
        admitted: Admitted,
        mut input: Value,
        visit: &Visit,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let spec = admitted.spec().clone();
        if let Some(resumes) = &spec.resumes
            && let Some(place) = event_id::last(headers)?
            && !resumes.input.put(&mut input, place)
        {
            let message = format!("the input has no place \"{}\" for the last-event-id", resumes.input);
            return Err(CallError::invalid_input(message).into());
        }
        let Ok(room) = self.streams.clone().try_acquire_owned() else {
            let message = format!("this node serves at most {} subscriptions", self.config.max_event_streams);
            return Err(CallError::new(ErrorCode::ResourceExhausted, message).into());
        };
        let Started { grant, run, .. } = admitted.start(input)?;
        let Run::Subscription(outputs) = run else {
            return Err(CallError::internal("a subscription was run as a call").into());
        };
        let over = events::over(self.registry.clone(), grant, visit.auth(headers), visit.client.below.clone());
        let held = (room, self.metrics.event_stream());
        let events = Events::begin(outputs, spec, over, self.config.heartbeat(), held)?;
        Ok(of(Route::Events, events.into_response()))
    }

    /// The body as JSON; none is `null`.
    async fn input(&self, headers: &HeaderMap, body: Body) -> Result<Value, Refusal> {
        if body.is_end_stream() {
            return Ok(Value::Null);
        }
        if !is_json(headers) {
            let error = CallError::invalid_input("the body is of another type: send content-type: application/json");
            return Err(Refusal::Status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error));
        }
        let body = self.read(body).await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        let parsed = serde_json::from_slice(&body);
        Ok(parsed.map_err(|error| CallError::invalid_input(format!("the body cannot be read as JSON: {error}")))?)
    }

    async fn read(&self, body: Body) -> Result<Bytes, Refusal> {
        let max = self.config.max_body_bytes;
        let too_long = || {
            let message = format!("the body is longer than the limit of {max} bytes");
            let mut error = CallError::new(ErrorCode::ResourceExhausted, message);
            error.retryable = false;
            Refusal::Status(StatusCode::PAYLOAD_TOO_LARGE, error)
        };
        if body.size_hint().lower() > max.into() {
            // Nothing of it was asked for, so a client that waits for `100 Continue` need not send it.
            return Err(too_long());
        }
        match Limited::new(body, max as usize).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(too_long()),
            Err(_) => Err(CallError::invalid_input("the body broke off").into()),
        }
    }

    fn request_id(&self, headers: &HeaderMap) -> Arc<str> {
        let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let is_id =
            |id: &&str| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        match given.filter(is_id) {
            Some(id) => id.into(),
            None => format!("http-{}", self.next_id.fetch_add(1, Ordering::Relaxed)).into(),
        }
    }
}

/// A path for a log line: cut where it is long. It has no control characters, as it is a part of a URI.
fn shown(name: &str) -> &str {
    const SHOWN: usize = 256;
    name.get(..SHOWN).unwrap_or(name)
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl Refusal {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Call(error) | Self::Status(_, error) => error.code.as_str(),
            Self::Method => "METHOD_NOT_ALLOWED",
            Self::Options => "OPTIONS",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        const METHODS: &str = "POST, OPTIONS";
        match self {
            Self::Call(error) => problem::of_call(&error),
            Self::Status(status, error) => problem::with_status(status, &error),
            Self::Method => problem::wrong_method(METHODS),
            Self::Options => (StatusCode::NO_CONTENT, [(ALLOW, METHODS)]).into_response(),
        }
    }
}
