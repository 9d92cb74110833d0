//! The frames that answer.

use bytes::BytesMut;
use serde_json::Value;

use crate::wire::{EncodeError, Message};
use crate::{CallError, ErrorCode};

/// Writes what a call ends with at the end of `frames`. Whoever subscribes gets even a single answer as an event and an
/// end. What is too long for a frame is replaced by an error that says so.
pub(crate) fn answer_frames(
    frames: &mut BytesMut,
    id: &str,
    is_subscribed: bool,
    result: Result<Option<Value>, CallError>,
    max_frame: usize,
) {
    let written = result.and_then(|output| {
        if let Some(output) = output {
            respond(frames, id, &output, is_subscribed, max_frame)?;
        }
        if is_subscribed {
            Message::<Value>::Completed { id: id.to_owned() }
                .encode_to(frames, max_frame)
                .map_err(|error| not_encoded(&error))?;
        }
        Ok(())
    });
    if let Err(error) = written {
        frames.unsplit(error_frame(id, error, max_frame));
    }
}

/// Writes an event of a subscription at the end of `frames`.
pub(crate) fn event_frame(frames: &mut BytesMut, id: &str, output: &Value, max_frame: usize) -> Result<(), CallError> {
    respond(frames, id, output, true, max_frame)
}

fn respond(frames: &mut BytesMut, id: &str, output: &Value, event: bool, max_frame: usize) -> Result<(), CallError> {
    let message = Message::Responded { id: id.to_owned(), output, event };
    message.encode_to(frames, max_frame).map_err(|error| not_encoded(&error))
}

/// The frame of an error, without its details if they are too long for one.
pub(crate) fn error_frame(id: &str, error: CallError, max_frame: usize) -> BytesMut {
    let mut frame = BytesMut::new();
    let mut encode = |error| Message::<Value>::Error { id: id.to_owned(), error }.encode_to(&mut frame, max_frame);
    // The second does not fail: the shortest limit has room for the longest id and that text.
    let _ = encode(error).or_else(|error| encode(not_encoded(&error)));
    frame
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

    fn answer(is_subscribed: bool, result: Result<Option<Value>, CallError>) -> Vec<Message> {
        let (mut frames, mut messages) = (BytesMut::new(), Vec::new());
        answer_frames(&mut frames, "7", is_subscribed, result, 4096);
        while frames.has_remaining() {
            let length = frames.get_u32() as usize;
            assert!(length <= 4096);
            messages.push(Message::parse(&frames.split_to(length).freeze()).unwrap());
        }
        messages
    }

    #[test]
    fn an_answer_that_is_too_long_is_an_error() {
        for long in [
            Ok(Some(Value::from("x".repeat(5000)))),
            Err(CallError::new(ErrorCode::Internal, "").with_details(Value::from("x".repeat(5000)))),
        ] {
            let [Message::Error { id, error }] = &answer(false, long)[..] else { panic!() };
            assert_eq!((&**id, error.code.clone(), error.retryable), ("7", ErrorCode::ResourceExhausted, false));
            assert_eq!(error.message, "the answer: the message is longer than a frame may be (4096 bytes)");
        }
    }

    #[test]
    fn who_subscribes_gets_a_single_answer_as_an_event_and_an_end() {
        assert!(matches!(&answer(false, Ok(Some(Value::Null)))[..], [Message::Responded { event: false, .. }]));
        let [Message::Responded { event: true, .. }, Message::Completed { .. }] =
            &answer(true, Ok(Some(Value::Null)))[..]
        else {
            panic!()
        };
        assert!(matches!(&answer(true, Ok(None))[..], [Message::Completed { .. }]));
    }

    #[test]
    fn the_longest_id_fits_the_shortest_frame() {
        let error = CallError::new(ErrorCode::Internal, "x".repeat(5000));
        assert!(!error_frame(&"\u{1}".repeat(128), error, 4096).is_empty());
    }
}
