//! What a call fails with.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The kind of a failure, as `call.error` names it. A code that this version does not know reads as
/// [`Internal`](Self::Internal).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No such operation, or none that may be called from outside.
    NotFound,
    /// The caller is known and may not.
    Forbidden,
    /// The caller is not known, or its token is not.
    Unauthenticated,
    /// The request is not what the protocol or the operation takes.
    InvalidInput,
    /// The call took longer than it may.
    Timeout,
    /// The caller gave the call up.
    Aborted,
    /// The callee cannot serve it now.
    Unavailable,
    /// A limit of the callee's is reached.
    ResourceExhausted,
    /// A fault of the callee's. The cause is in its log and not in the message.
    Internal,
}

impl ErrorCode {
    /// The code as it stands on the wire.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::Forbidden => "FORBIDDEN",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::InvalidInput => "INVALID_INPUT",
            Self::Timeout => "TIMEOUT",
            Self::Aborted => "ABORTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the same call may succeed later, unless the error says otherwise.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Timeout | Self::Unavailable | Self::ResourceExhausted)
    }

    fn from_wire(code: &str) -> Self {
        Self::known(code).unwrap_or(Self::Internal)
    }

    fn known(code: &str) -> Option<Self> {
        Some(match code {
            "NOT_FOUND" => Self::NotFound,
            "FORBIDDEN" => Self::Forbidden,
            "UNAUTHENTICATED" => Self::Unauthenticated,
            "INVALID_INPUT" => Self::InvalidInput,
            "TIMEOUT" => Self::Timeout,
            "ABORTED" => Self::Aborted,
            "UNAVAILABLE" => Self::Unavailable,
            "RESOURCE_EXHAUSTED" => Self::ResourceExhausted,
            "INTERNAL" => Self::Internal,
            _ => return None,
        })
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_wire(&Cow::<str>::deserialize(deserializer)?))
    }
}

/// The longest code of an operation's own, in characters; what comes longer is cut.
const MAX_DECLARED: usize = 64;

/// A failed call, as the caller is told of it. Everything in it is for the outside; causes go to the log.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {message}", self.wire_code())]
#[non_exhaustive]
pub struct CallError {
    /// What kind of failure it is.
    pub code: ErrorCode,
    /// The code as it stands on the wire, if it is one that the operation has declared for itself. Then `code` is
    /// [`Internal`](ErrorCode::Internal), which is what it means to whoever does not know it.
    pub declared: Option<Box<str>>,
    /// What happened, for people.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// What programs may want to know of it.
    pub details: Option<Value>,
}

impl CallError {
    /// An error that is retryable as its code is by nature.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { retryable: code.is_retryable(), code, declared: None, message: message.into(), details: None }
    }

    /// An error with a code of the operation's own, in the style of the others: `BUSY`. It is not retryable unless that
    /// is set. At most 64 characters of the code are kept.
    pub fn declared(code: &str, message: impl Into<String>) -> Self {
        match ErrorCode::known(code) {
            Some(code) => Self::new(code, message),
            None => Self { declared: Some(cut(code)), ..Self::new(ErrorCode::Internal, message) },
        }
    }

    /// A fault on this side: `cause` goes to the log, the caller learns that there is one.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "a call failed with an internal error");
        Self::new(ErrorCode::Internal, "internal error")
    }

    /// Input that the operation does not take; `message` names the value.
    pub fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidInput, message)
    }

    /// The code as it stands on the wire.
    pub fn wire_code(&self) -> &str {
        self.declared.as_deref().unwrap_or(self.code.as_str())
    }

    /// Adds details for programs.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

fn cut(code: &str) -> Box<str> {
    let end = code.char_indices().nth(MAX_DECLARED).map_or(code.len(), |(end, _)| end);
    code.get(..end).unwrap_or_default().into()
}

impl Serialize for CallError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { code: _, declared: _, message, retryable, details } = self;
        Wire { code: self.wire_code(), message, retryable: *retryable, details: details.as_ref() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CallError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire::<Cow<'de, str>, String, Value> { code, message, retryable, details } =
            Wire::deserialize(deserializer)?;
        Ok(Self { retryable, details, ..Self::declared(&code, message) })
    }
}

/// How an error is written.
#[derive(Serialize, Deserialize)]
struct Wire<C, M, D> {
    code: C,
    #[serde(default)]
    message: M,
    #[serde(default)]
    retryable: bool,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    details: Option<D>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_code_reads_back_and_an_unknown_one_is_internal() {
        use ErrorCode::*;
        for code in [NotFound, Forbidden, Unauthenticated, InvalidInput, Timeout, Aborted, Unavailable, Internal] {
            assert_eq!(serde_json::from_value::<ErrorCode>(json!(code)).unwrap(), code);
        }
        assert_eq!(serde_json::from_value::<ErrorCode>(json!("RESOURCE_EXHAUSTED")).unwrap(), ResourceExhausted);
        assert_eq!(serde_json::from_value::<ErrorCode>(json!("QUOTA_GONE")).unwrap(), Internal);
    }

    #[test]
    fn an_operations_own_code_stays_what_it_is() {
        let wire = json!({ "code": "BUSY", "message": "later", "retryable": true, "details": [1] });
        let error: CallError = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!((&error.code, error.wire_code()), (&ErrorCode::Internal, "BUSY"));
        assert_eq!(error.to_string(), "BUSY: later");
        assert_eq!(json!(error), wire);
        let declared = CallError::declared("BUSY", "later");
        assert_eq!(declared.declared.as_deref(), Some("BUSY"));
        assert_eq!(CallError::declared("NOT_FOUND", "gone"), CallError::new(ErrorCode::NotFound, "gone"));
        assert_eq!(CallError::declared("INTERNAL", "").declared, None);
    }

    #[test]
    fn a_code_has_a_length() {
        let error: CallError = serde_json::from_value(json!({ "code": "Ä".repeat(5000) })).unwrap();
        assert_eq!(error.declared.unwrap().chars().count(), 64);
    }

    #[test]
    fn the_cause_of_an_internal_error_stays_here() {
        let error = CallError::internal("the disk is on fire");
        assert!(!json!(error).to_string().contains("fire"));
    }

    #[test]
    fn a_sparse_error_is_still_one() {
        let error: CallError = serde_json::from_value(json!({"code": "TIMEOUT", "new": 1})).unwrap();
        assert_eq!((error.code, error.retryable), (ErrorCode::Timeout, false));
    }
}
