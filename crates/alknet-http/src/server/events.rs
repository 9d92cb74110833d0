//! Server-sent events (the HTML standard, §9.2).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use alknet_call::{CallError, ErrorCode, EventStream, Grant, OperationSpec, Registry};
use alknet_core::{AuthContext, BoxFuture, Connection};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep};

use super::{event_id, problem};

/// What is sent in the place of silence. Clients do not see it.
const COMMENT: &[u8] = b":\n\n";

/// The last event. It has data, as clients take no event without.
const END: &[u8] = b"event: end\ndata: {}\n\n";

/// How much is gathered of what a subscription has at once.
const BATCH: usize = 16 * 1024;

/// The outputs of a subscription as the body of an answer. It asks for an output when the client has room for one.
pub(super) struct Events<H> {
    /// None when the last event was sent.
    outputs: Option<EventStream>,
    /// What the subscription had at once.
    first: Option<Option<Result<Value, CallError>>>,
    spec: Arc<OperationSpec>,
    over: BoxFuture<'static, CallError>,
    silence: Silence,
    _held: H,
}

/// Tells when nothing was sent for a while. The timer runs to its end whatever is sent, and then goes on for what is left:
/// so an event costs no timer.
struct Silence {
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
        let silence = Silence { limit: heartbeat, since: Instant::now(), timer: Box::pin(sleep(heartbeat)) };
        Ok(Self { outputs: Some(outputs), first, spec, over, silence, _held: held })
    }

    fn poll_outputs(&mut self, cx: &mut Context<'_>) -> Poll<Vec<u8>> {
        let mut text = Vec::new();
        // Asked first, as a subscription that always has an output would never be ended otherwise.
        if let Poll::Ready(error) = self.over.as_mut().poll(cx) {
            self.end(&mut text, Some(error));
            return Poll::Ready(text);
        }
        while let Some(outputs) = &mut self.outputs {
            let next = match self.first.take() {
                Some(first) => Poll::Ready(first),
                None => outputs.poll_next_unpin(cx),
            };
            match next {
                Poll::Ready(Some(Ok(output))) => self.write(&mut text, &output),
                Poll::Ready(Some(Err(error))) => self.end(&mut text, Some(error)),
                Poll::Ready(None) => self.end(&mut text, None),
                Poll::Pending if text.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
            if text.len() >= BATCH {
                break;
            }
        }
        Poll::Ready(text)
    }

    fn write(&self, text: &mut Vec<u8>, output: &Value) {
        if let Some(resumes) = &self.spec.resumes {
            event_id::write(text, output, resumes);
        }
        write_data(text, output);
    }

    /// Writes the last event, and lets go of the subscription.
    fn end(&mut self, text: &mut Vec<u8>, error: Option<CallError>) {
        self.outputs = None;
        match error {
            None => text.extend_from_slice(END),
            Some(error) => {
                text.extend_from_slice(b"event: error\ndata: ");
                text.append(&mut problem::document_of_call(&error));
                text.extend_from_slice(b"\n\n");
            }
        }
    }
}

impl Silence {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let until = self.since + self.limit;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(until);
        }
        Poll::Pending
    }

    fn broken(&mut self) {
        self.since = Instant::now();
    }
}

impl<H: Send + Unpin + 'static> http_body::Body for Events<H> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.outputs.is_none() {
            return Poll::Ready(None);
        }
        let text = match self.poll_outputs(cx) {
            Poll::Ready(text) => text.into(),
            Poll::Pending if self.silence.poll(cx).is_ready() => Bytes::from_static(COMMENT),
            Poll::Pending => return Poll::Pending,
        };
        self.silence.broken();
        Poll::Ready(Some(Ok(Frame::data(text))))
    }

    fn is_end_stream(&self) -> bool {
        self.outputs.is_none()
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

/// Resolves, with the reason, when a subscription has to end: its caller may no longer have it, or the node shuts down.
pub(super) fn over(
    registry: Arc<Registry>,
    grant: Grant,
    auth: AuthContext,
    below: Connection,
) -> BoxFuture<'static, CallError> {
    Box::pin(async move {
        tokio::select! {
            error = refused(&registry, &grant, &auth) => error,
            () = below.draining() => CallError::new(ErrorCode::Unavailable, "this node is shutting down"),
        }
    })
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
