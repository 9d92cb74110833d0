//! One call.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use super::session::Session;
use crate::budget::Permit;
use crate::registry::Admitted;
use crate::wire::{EncodeError, Message, RawJson, Request, quoted};
use crate::{ALPN, CallError, ErrorCode, OperationContext};

/// A request that is to run, and the right to the memory of its frame.
pub(super) struct Call {
    pub(super) id: String,
    pub(super) request: Request,
    pub(super) permit: Permit,
}

impl Call {
    /// Runs the call and gives the frame that answers it.
    pub(super) async fn answer(self, session: &Session) -> Bytes {
        let (id, operation) = (self.id.clone(), self.request.operation.clone());
        let started = Instant::now();
        let result = self.run(session).await;
        tracing::debug!(
            alpn = ALPN,
            connection = session.peer.connection,
            peer = session.label(),
            operation = quoted(&operation),
            outcome = result.as_ref().map_or_else(|error| error.code.as_str(), |_| "OK"),
            elapsed = ?started.elapsed(),
            "call"
        );
        answer_frame(id, result, session.limits.max_frame())
    }

    async fn run(self, session: &Session) -> Result<Value, CallError> {
        let (admitted, input) = self.admit(session)?;
        admitted.run(input).await
    }

    /// Everything up to the handler. The input is parsed only for a caller that may make the call, and the frame is gone
    /// by the time the handler runs.
    fn admit(self, session: &Session) -> Result<(Admitted, Value), CallError> {
        let Self { id, request, permit: _permit } = self;
        let Some(name) = request.operation.strip_prefix('/') else {
            let message = format!("the operationId {} has no leading slash", quoted(&request.operation));
            return Err(CallError::invalid_input(message));
        };
        let identity = session.identify(request.auth_token.as_ref())?;
        let limit = session.limits.call_time(request.timeout_ms.map(Duration::from_millis));
        let context = OperationContext::new(id, identity, session.peer.clone(), limit);
        let mut admitted = session.registry.admit(name, context)?;
        admitted.context.forwarded_for = request.forwarded_for.map(|whom| parse(&whom, "forwarded_for")).transpose()?;
        Ok((admitted, parse(&request.input, "input")?))
    }
}

fn parse(json: &RawJson, field: &str) -> Result<Value, CallError> {
    json.parse().map_err(|error| CallError::invalid_input(format!("the {field} cannot be read: {error}")))
}

/// The frame of an answer. What is too long for one is replaced by an error that says so.
fn answer_frame(id: String, result: Result<Value, CallError>, max_frame: usize) -> Bytes {
    let error = match result {
        Ok(output) => match (Message::Responded { id: id.clone(), output: &output }).encode(max_frame) {
            Ok(frame) => return frame,
            Err(error) => not_encoded(&error),
        },
        Err(error) => error,
    };
    error_frame(id, error, max_frame)
}

/// The frame of an error, without its details if they are too long for one.
pub(super) fn error_frame(id: String, error: CallError, max_frame: usize) -> Bytes {
    let encode = |error| Message::<Value>::Error { id: id.clone(), error }.encode(max_frame);
    encode(error)
        .or_else(|error| encode(not_encoded(&error)))
        // Not reached: the shortest limit has room for the longest id and this text.
        .unwrap_or_default()
}

fn not_encoded(error: &EncodeError) -> CallError {
    match error {
        EncodeError::TooLong { .. } => CallError {
            retryable: false,
            ..CallError::new(ErrorCode::ResourceExhausted, format!("the answer: {error}"))
        },
        EncodeError::Json(_) => CallError::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    fn answer(result: Result<Value, CallError>) -> Message {
        let mut frame = answer_frame("7".into(), result, 4096);
        assert!(frame.len() <= 4100);
        frame.advance(4);
        Message::parse(&frame).unwrap()
    }

    #[test]
    fn an_answer_that_is_too_long_is_an_error() {
        for long in [
            Ok(Value::from("x".repeat(5000))),
            Err(CallError::new(ErrorCode::Internal, "").with_details(Value::from("x".repeat(5000)))),
        ] {
            let Message::Error { id, error } = answer(long) else { panic!() };
            assert_eq!((&*id, error.code, error.retryable), ("7", ErrorCode::ResourceExhausted, false));
            assert_eq!(error.message, "the answer: the message is longer than a frame may be (4096 bytes)");
        }
    }

    #[test]
    fn the_longest_id_fits_the_shortest_frame() {
        let frame = answer_frame("\u{1}".repeat(128), Ok(Value::from("x".repeat(5000))), 4096);
        assert!(!frame.is_empty());
    }
}
