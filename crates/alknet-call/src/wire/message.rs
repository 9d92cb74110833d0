//! Messages: `{"type", "id", "payload"}` in a frame.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{AuthToken, EncodeError, RawJson, encode_to, quoted};
use crate::CallError;

/// The longest id of a call, in bytes. The shortest has one.
pub const MAX_ID_LENGTH: usize = 128;

/// One message. `J` is the form in which it holds other people's JSON: unparsed when it was received, anything that
/// serialises when it is to be sent.
///
/// A call is answered with exactly one of [`Responded`](Self::Responded) and [`Error`](Self::Error), whatever becomes of
/// it, as long as the stream lives; a subscription with any number of [`Responded`](Self::Responded) and then exactly one
/// of [`Completed`](Self::Completed) and [`Error`](Self::Error). A request that has a [`window`](Request::window) asks for
/// a subscription: it is answered as one even if the operation has but one answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Message<J = RawJson> {
    /// `call.requested`: the caller wants an operation to run.
    Requested {
        /// Names the call; chosen by the caller, unique among its calls that run.
        id: String,
        /// What it wants.
        request: Request<J>,
    },
    /// `call.responded`: what the operation gave, as `{"output": …}`. The answer of a call, or one of many events of a
    /// subscription.
    Responded {
        /// The call.
        id: String,
        /// What came of it.
        output: J,
        /// Whether it is an event of a subscription, so that others or an end follow. Whoever says so also takes
        /// [`Credit`](Self::Credit).
        event: bool,
    },
    /// `call.completed`: a subscription has given all it had.
    Completed {
        /// The call.
        id: String,
    },
    /// `call.aborted`: the caller gives the call up.
    Aborted {
        /// The call.
        id: String,
    },
    /// `call.credit`: the caller of a subscription has room for so many more bytes of events.
    Credit {
        /// The call.
        id: String,
        /// How many, counted as the bytes of the events' frames, length fields included.
        bytes: u64,
    },
    /// `call.error`: the call failed.
    Error {
        /// The call; empty when what failed could not be related to one.
        id: String,
        /// Why.
        error: CallError,
    },
}

/// The payload of `call.requested`.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<J = RawJson> {
    /// `operationId`: the operation, with a leading slash.
    pub operation: String,
    /// What the operation gets; `null` if absent.
    pub input: J,
    /// Who calls, if it is not whom the connection says.
    pub auth_token: Option<AuthToken>,
    /// For whom the caller calls. For audit and context; no authority follows from it.
    pub forwarded_for: Option<J>,
    /// How long the call may take, in milliseconds. The callee may allow less.
    pub timeout_ms: Option<u64>,
    /// How many bytes of events the caller has room for until it says more with [`Message::Credit`]. A callee may go over
    /// it with one event, so that none is too large to be sent. Without a window the stream alone holds the callee back.
    pub window: Option<u64>,
}

impl<J> Request<J> {
    /// How long the call may take, if the caller says.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }
}

impl Message {
    /// Parses the JSON of one frame. Fields that are not known are ignored.
    ///
    /// # Errors
    /// When it is not such a message. The error knows the id as far as that could be read.
    pub fn parse(frame: &Bytes) -> Result<Self, MessageError> {
        let envelope: Envelope<'_, &RawValue> = serde_json::from_slice(frame).map_err(MessageError::Envelope)?;
        let id = envelope.id.into_owned();
        // An error about something that has no id has none itself.
        let may_lack_id = envelope.kind == kind::ERROR;
        if id.len() > MAX_ID_LENGTH || (id.is_empty() && !may_lack_id) {
            return Err(MessageError::Id { length: id.len() });
        }
        let payload = envelope.payload.map_or("null", RawValue::get);
        match &*envelope.kind {
            kind::REQUESTED => match serde_json::from_str::<Requested<'_, &RawValue>>(payload) {
                Ok(requested) => Ok(Self::Requested { id, request: requested.into_request(frame) }),
                Err(source) => Err(MessageError::Payload { id, kind: kind::REQUESTED, source }),
            },
            kind::RESPONDED => match serde_json::from_str::<Responded<&RawValue>>(payload) {
                Ok(Responded { output, event }) => {
                    Ok(Self::Responded { id, output: RawJson::within(frame, output), event })
                }
                Err(source) => Err(MessageError::Payload { id, kind: kind::RESPONDED, source }),
            },
            kind::COMPLETED => Ok(Self::Completed { id }),
            kind::ABORTED => Ok(Self::Aborted { id }),
            kind::CREDIT => match serde_json::from_str(payload) {
                Ok(Credit { bytes }) => Ok(Self::Credit { id, bytes }),
                Err(source) => Err(MessageError::Payload { id, kind: kind::CREDIT, source }),
            },
            kind::ERROR => match serde_json::from_str(payload) {
                Ok(error) => Ok(Self::Error { id, error }),
                Err(source) => Err(MessageError::Payload { id, kind: kind::ERROR, source }),
            },
            unknown => Err(MessageError::UnknownType { id, name: quoted(unknown) }),
        }
    }
}

impl<J: Serialize> Message<J> {
    /// Writes the message as one frame.
    ///
    /// # Errors
    /// When it would have more than `max` bytes, or holds what JSON cannot.
    pub fn encode(&self, max: usize) -> Result<Bytes, EncodeError> {
        let mut frame = BytesMut::new();
        self.encode_to(&mut frame, max)?;
        Ok(frame.freeze())
    }

    /// Writes the message as one frame at the end of `buffer`, so that several go out together.
    ///
    /// # Errors
    /// As [`encode`](Self::encode); then `buffer` is as it was.
    pub fn encode_to(&self, buffer: &mut BytesMut, max: usize) -> Result<(), EncodeError> {
        let mut frame = Frame { buffer, max };
        match self {
            Self::Requested { id, request } => frame.write(kind::REQUESTED, id, Some(Requested::from(request))),
            Self::Responded { id, output, event } => {
                frame.write(kind::RESPONDED, id, Some(Responded { output, event: *event }))
            }
            Self::Completed { id } => frame.write(kind::COMPLETED, id, None::<()>),
            Self::Aborted { id } => frame.write(kind::ABORTED, id, None::<()>),
            Self::Credit { id, bytes } => frame.write(kind::CREDIT, id, Some(Credit { bytes: *bytes })),
            Self::Error { id, error } => frame.write(kind::ERROR, id, Some(error)),
        }
    }
}

struct Frame<'a> {
    buffer: &'a mut BytesMut,
    max: usize,
}

impl Frame<'_> {
    fn write<P: Serialize>(&mut self, kind: &str, id: &str, payload: Option<P>) -> Result<(), EncodeError> {
        encode_to(&Envelope { kind: Cow::Borrowed(kind), id: Cow::Borrowed(id), payload }, self.buffer, self.max)
    }
}

/// A frame that is no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not JSON, or not an object with `type` and `id`.
    #[error("the frame is no message of the form {{\"type\", \"id\", \"payload\"}}: {0}")]
    Envelope(#[source] serde_json::Error),
    /// The id is empty or too long.
    #[error("an id has 1 to {MAX_ID_LENGTH} bytes, this one has {length}")]
    Id {
        /// How long it is.
        length: usize,
    },
    /// A type that this version does not know.
    #[error("the message type {name} is not known")]
    UnknownType {
        /// The id it came with.
        id: String,
        /// The type, quoted and cut.
        name: String,
    },
    /// The payload is not what the type needs.
    #[error("the payload is not that of a {kind}: {source}")]
    Payload {
        /// The id it came with.
        id: String,
        /// The message's type.
        kind: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl MessageError {
    /// The id of the call that it was about, empty if that could not be read.
    pub fn id(&self) -> &str {
        match self {
            Self::Envelope(_) | Self::Id { .. } => "",
            Self::UnknownType { id, .. } | Self::Payload { id, .. } => id,
        }
    }

    /// The kind of mistake, without any of what the peer sent: for the log.
    pub fn summary(&self) -> &'static str {
        match self {
            Self::Envelope(_) => "a frame that is no message",
            Self::Id { .. } => "a message with an id that is none",
            Self::UnknownType { .. } => "a message of a type that is not known",
            Self::Payload { .. } => "a message whose payload does not fit its type",
        }
    }
}

mod kind {
    pub(super) const REQUESTED: &str = "call.requested";
    pub(super) const RESPONDED: &str = "call.responded";
    pub(super) const COMPLETED: &str = "call.completed";
    pub(super) const ABORTED: &str = "call.aborted";
    pub(super) const CREDIT: &str = "call.credit";
    pub(super) const ERROR: &str = "call.error";
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a, P> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    payload: Option<P>,
}

#[derive(Serialize, Deserialize)]
struct Requested<'a, J> {
    #[serde(rename = "operationId", borrow)]
    operation: Cow<'a, str>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    input: Option<J>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    auth_token: Option<Cow<'a, str>>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    forwarded_for: Option<J>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
}

impl Requested<'_, &RawValue> {
    fn into_request(self, frame: &Bytes) -> Request {
        Request {
            operation: self.operation.into_owned(),
            input: self.input.map_or_else(RawJson::null, |input| RawJson::within(frame, input)),
            auth_token: self.auth_token.map(AuthToken::new),
            forwarded_for: self.forwarded_for.map(|whom| RawJson::within(frame, whom)),
            timeout_ms: self.timeout_ms,
            window: self.window,
        }
    }
}

impl<'a, J> From<&'a Request<J>> for Requested<'a, &'a J> {
    fn from(request: &'a Request<J>) -> Self {
        Self {
            operation: Cow::Borrowed(&request.operation),
            input: Some(&request.input),
            auth_token: request.auth_token.as_ref().map(|token| Cow::Borrowed(token.reveal())),
            forwarded_for: request.forwarded_for.as_ref(),
            timeout_ms: request.timeout_ms,
            window: request.window,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Responded<J> {
    output: J,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    event: bool,
}

#[derive(Serialize, Deserialize)]
struct Credit {
    bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use crate::wire::{DEFAULT_MAX_FRAME, FrameDecoder};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn parse(text: &str) -> Result<Message, MessageError> {
        Message::parse(&Bytes::copy_from_slice(text.as_bytes()))
    }

    fn round_trip<J: Serialize>(message: &Message<J>) -> Message {
        let mut wire = BytesMut::from(&message.encode(DEFAULT_MAX_FRAME).unwrap()[..]);
        Message::parse(&FrameDecoder::new(DEFAULT_MAX_FRAME).decode(&mut wire).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_request_is_read_as_the_specification_writes_it() {
        let text = r#"{"type":"call.requested","id":"7","payload":{"operationId":"/tty/spawn","input":{"a":[1]},
            "auth_token":"alk_x","forwarded_for":{"id":"bob"},"timeout_ms":50,"later":true},"trace":1}"#;
        let Message::Requested { id, request } = parse(text).unwrap() else { panic!() };
        assert_eq!((&*id, &*request.operation, request.timeout_ms), ("7", "/tty/spawn", Some(50)));
        assert_eq!(request.input.parse::<Value>().unwrap(), json!({"a": [1]}));
        assert_eq!(request.forwarded_for.as_ref().unwrap().as_bytes(), br#"{"id":"bob"}"#);
        assert!(!format!("{request:?}").contains("alk_x"), "a token does not show");
    }

    #[test]
    fn an_absent_input_is_null() {
        for payload in [r#"{"operationId":"/a/b"}"#, r#"{"operationId":"/a/b","input":null}"#] {
            let text = format!(r#"{{"type":"call.requested","id":"7","payload":{payload}}}"#);
            let Message::Requested { request, .. } = parse(&text).unwrap() else { panic!() };
            assert_eq!(request.input, RawJson::null());
        }
    }

    #[test]
    fn a_null_output_is_an_output() {
        let message: Message<Value> = Message::Responded { id: "1".into(), output: Value::Null, event: false };
        let expected = Message::Responded { id: "1".into(), output: RawJson::null(), event: false };
        assert_eq!(round_trip(&message), expected);
        assert!(parse(r#"{"type":"call.responded","id":"1","payload":{}}"#).is_err());
    }

    #[test]
    fn an_error_keeps_what_could_be_read_of_the_id() {
        let id = |text: &str| parse(text).unwrap_err().id().to_owned();
        assert_eq!(id("{"), "");
        assert_eq!(id(r#"{"type":"call.requested"}"#), "");
        assert_eq!(id(r#"{"type":"call.requested","id":"9","payload":{"operationId":5}}"#), "9");
        assert_eq!(id(r#"{"type":"call.requested","id":"9"}"#), "9");
        let error = parse("{\"type\":\"call.danced\\n\",\"id\":\"9\"}").unwrap_err();
        assert_eq!(error.to_string(), "the message type \"call.danced\\n\" is not known");
        assert_eq!(error.id(), "9");
    }

    #[test]
    fn ids_have_a_length() {
        let aborted = |id: &str| parse(&format!(r#"{{"type":"call.aborted","id":"{id}"}}"#));
        assert!(aborted(&"x".repeat(128)).is_ok());
        assert!(matches!(aborted(&"x".repeat(129)), Err(MessageError::Id { length: 129 })));
        assert!(matches!(aborted(""), Err(MessageError::Id { length: 0 })));
    }

    #[test]
    fn bottomless_nesting_is_refused_not_followed() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let text = format!(r#"{{"type":"call.requested","id":"1","payload":{{"operationId":"/a/b","input":{deep}}}}}"#);
        let Message::Requested { request, .. } = parse(&text).unwrap() else { panic!() };
        assert!(request.input.parse::<Value>().unwrap_err().to_string().contains("recursion limit"));
    }

    proptest! {
        #[test]
        fn every_message_reads_back(id in "[a-z]{1,8}", operation in ".{0,20}", text in ".{0,20}", ms: Option<u64>) {
            let request = Request {
                operation,
                input: json!({ "text": text }),
                auth_token: Some(AuthToken::new(&*text)),
                forwarded_for: Some(json!([text])),
                timeout_ms: ms,
                window: ms,
            };
            let error = CallError::new(ErrorCode::Timeout, text).with_details(json!(1));
            for message in [
                Message::Requested { id: id.clone(), request },
                Message::Responded { id: id.clone(), output: json!(ms), event: ms.is_some() },
                Message::Credit { id: id.clone(), bytes: ms.unwrap_or(1) },
                Message::Completed { id: id.clone() },
                Message::Aborted { id: id.clone() },
                Message::Error { id: String::new(), error },
            ] {
                let read = round_trip(&message);
                prop_assert_eq!(round_trip(&read), read.clone());
                prop_assert_eq!(read.encode(1 << 20).unwrap(), message.encode(1 << 20).unwrap());
            }
        }

        #[test]
        fn no_text_panics(text in r#"\{("(type|id|payload)":("call\.(requested|error)"|null|[0-9]|\{\}),?){0,4}\}?"#) {
            let _ = parse(&text);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Message::parse(&bytes.into());
        }
    }
}
