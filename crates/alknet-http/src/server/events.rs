//! Server-sent events (the HTML standard, §9.2).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use alknet_call::access::not_owned;
use alknet_call::{CallError, ErrorCode, EventStream, Grant, OperationSpec, Registry};
use alknet_core::{AuthContext, BoxFuture, Connection};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use futures_util::{FutureExt as _, StreamExt as _};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{event_id, problem};

/// What is sent in the place of silence. Clients do not see it.
pub(crate) const COMMENT: &[u8] = b":\n\n";

/// The last event. It has data, as clients take no event without.
const END: &[u8] = b"event: end\ndata: {}\n\n";

/// How much is gathered of what a subscription has at once.
const BATCH: usize = 16 * 1024;

/// The outputs of a subscription as the body of an answer. It asks for an output when the client has room for one.
pub(super) struct Events<H> {
    source: Arc<Source>,
    /// What the subscription had at once.
    first: Option<Option<Result<Value, CallError>>>,
    spec: Arc<OperationSpec>,
    silence: Silence,
    /// Whether the last event was sent.
    ended: bool,
    /// Takes the subscription away when it is over, even from a client that asks for nothing.
    _watch: AbortOnDropHandle<()>,
    _held: H,
}

/// Where the outputs come from.
struct Source {
    state: Mutex<State>,
    reader: AtomicWaker,
}

enum State {
    Running(EventStream),
    /// It has ended with an event that is not sent yet.
    Over(CallError),
    Ended,
}

/// Tells when nothing was sent for a while. The timer runs to its end whatever is sent, and then goes on for what is left:
/// so an event costs no timer.
pub(crate) struct Silence {
    limit: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<H: Send + Unpin + 'static> Events<H> {
    /// Begins to follow a subscription. `over` resolves when the client may no longer have it, and `held` is held until then.
    ///
    /// # Errors
    /// When the subscription fails at once: then there is still a status to say so.
    pub(super) fn begin(
        mut outputs: EventStream,
        spec: Arc<OperationSpec>,
        over: BoxFuture<'static, CallError>,
        heartbeat: Duration,
        held: H,
    ) -> Result<Self, CallError> {
        let first = match outputs.next().now_or_never() {
            Some(Some(Err(error))) => return Err(error),
            other => other,
        };
        let silence = Silence::new(heartbeat);
        let source = Arc::new(Source { state: Mutex::new(State::Running(outputs)), reader: AtomicWaker::new() });
        // It must not keep what a client has let go of.
        let watched = Arc::downgrade(&source);
        let watch = AbortOnDropHandle::new(tokio::spawn(async move {
            let error = over.await;
            if let Some(source) = watched.upgrade() {
                source.take_away(error);
            }
        }));
        Ok(Self { source, first, spec, silence, ended: false, _watch: watch, _held: held })
    }

    fn poll_text(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        let mut text = Vec::new();
        self.source.reader.register(cx.waker());
        let mut state = self.source.state();
        loop {
            let next = match (&mut *state, self.first.take()) {
                (State::Running(_), Some(first)) => Poll::Ready(first),
                (State::Running(outputs), None) => outputs.poll_next_unpin(cx),
                (State::Over(error), _) => Poll::Ready(Some(Err(error.clone()))),
                (State::Ended, _) => Poll::Ready(None),
            };
            match next {
                Poll::Ready(Some(Ok(output))) => write(&mut text, &output, &self.spec),
                Poll::Ready(last) => {
                    write_last(&mut text, last.and_then(Result::err));
                    self.ended = true;
                    // Whatever it holds is free before the client is told.
                    *state = State::Ended;
                    break;
                }
                Poll::Pending if text.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
            if text.len() >= BATCH {
                break;
            }
        }
        Poll::Ready(text)
    }
}

impl Source {
    /// Ends the subscription at once, with an error.
    fn take_away(&self, error: CallError) {
        let mut state = self.state();
        if matches!(*state, State::Running(_)) {
            *state = State::Over(error);
        }
        drop(state);
        self.reader.wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A subscription that panicked has ended by itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Silence {
    /// Begins now.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, since: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    /// Ready when it has lasted for the limit.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let until = self.since + self.limit;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    /// Begins it anew.
    pub(crate) fn broken(&mut self) {
        self.since = Instant::now();
    }
}

impl<H: Send + Unpin + 'static> http_body::Body for Events<H> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let text = match self.poll_text(cx) {
            Poll::Ready(text) => text.into(),
            Poll::Pending if self.silence.poll(cx).is_ready() => Bytes::from_static(COMMENT),
            Poll::Pending => return Poll::Pending,
        };
        self.silence.broken();
        Poll::Ready(Some(Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl<H: Send + Unpin + 'static> IntoResponse for Events<H> {
    fn into_response(self) -> Response {
        response(Body::new(self))
    }
}

/// The one output of a call, as an event and an end.
pub(super) fn single(output: &Value) -> Response {
    let mut text = Vec::new();
    write_data(&mut text, output);
    text.extend_from_slice(END);
    response(Body::from(text))
}

fn write(text: &mut Vec<u8>, output: &Value, spec: &OperationSpec) {
    if let Some(resumes) = &spec.resumes {
        event_id::write(text, output, resumes);
    }
    write_data(text, output);
}

fn write_last(text: &mut Vec<u8>, error: Option<CallError>) {
    match error {
        None => text.extend_from_slice(END),
        Some(error) => {
            text.extend_from_slice(b"event: error\ndata: ");
            text.append(&mut problem::document_of_call(&error));
            text.extend_from_slice(b"\n\n");
        }
    }
}

fn write_data(text: &mut Vec<u8>, output: &Value) {
    text.extend_from_slice(b"data: ");
    // JSON has no line breaks, and writing it to memory does not fail.
    let _ = serde_json::to_writer(&mut *text, output);
    text.extend_from_slice(b"\n\n");
}

fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // What nginx and others that do as it does need to be told, or they hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// How long a client may still take what there was when its resource was revoked.
const LAST_WORDS: Duration = Duration::from_millis(600);

/// Resolves, with the reason, when a subscription has to end: its caller may no longer have it, its resource is gone, or the
/// node shuts down.
pub(crate) fn over(
    registry: Arc<Registry>,
    grant: Grant,
    auth: AuthContext,
    below: Connection,
) -> BoxFuture<'static, CallError> {
    Box::pin(async move {
        tokio::select! {
            error = refused(&registry, &grant, &auth) => error,
            error = revoked(&registry, &grant) => error,
            () = below.draining() => CallError::new(ErrorCode::Unavailable, "this node is shutting down"),
        }
    })
}

/// The subscription ends by itself then, if it is asked: this is for a client that asks for nothing.
async fn revoked(registry: &Registry, grant: &Grant) -> CallError {
    let (Some((kind, id)), Some(owners)) = (&grant.resource, registry.ownership()) else {
        return std::future::pending().await;
    };
    owners.revocation(kind, id).cancelled().await;
    sleep(LAST_WORDS).await;
    not_owned(&grant.spec)
}

async fn refused(registry: &Registry, grant: &Grant, auth: &AuthContext) -> CallError {
    let mut changes = auth.changes();
    loop {
        // Asked at once, too: something may have changed since the request was let in.
        let Some(identity) = auth.identity() else {
            return CallError::new(ErrorCode::Unauthenticated, "the bearer token is not known to this node any more");
        };
        if let Err(error) = registry.still_allowed(grant, Some(&identity)) {
            return error;
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests;
