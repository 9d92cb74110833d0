//! Why an MCP server cannot be used, and what that means to whoever calls.

use std::error::Error as StdError;
use std::time::Duration;

use alknet_call::{CallError, ErrorCode, InvalidName};
use http::StatusCode;
use rmcp::model::ErrorData;
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde_json::json;

use crate::RequestError;

/// Why the tools of a server cannot be had. No message holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McpError {
    /// The source cannot be called that.
    #[error("the name of the source makes no names of operations: {0}")]
    Name(#[source] InvalidName),
    /// Whoever is on the way could read and change everything.
    #[error("{server} is asked neither over https nor on this machine; use https")]
    Insecure {
        /// Scheme, host and port.
        server: String,
    },
    /// The credential cannot be sent.
    #[error(
        "the credential holds a character that no header field can have, such as a line feed at its end: seal it again without"
    )]
    Credential,
    /// The server is not there, or breaks off.
    #[error("{0}")]
    Away(String),
    /// The server does not let this node in.
    #[error("{0}; give the import a credential that the server takes, with alknet vault encrypt")]
    Refused(String),
    /// The server says what cannot be understood.
    #[error("the MCP server {0}")]
    Misunderstood(String),
    /// The server lists more than is taken.
    #[error("the MCP server lists more than {0}")]
    TooMuch(String),
    /// The server took too long.
    #[error("the MCP server did not answer within {0:?}")]
    Timeout(Duration),
}

impl McpError {
    pub(super) fn of_start(error: &ClientInitializeError) -> Self {
        if let Some(transport) = find(error) {
            return transport;
        }
        match error {
            ClientInitializeError::JsonRpcError(error) => {
                Self::Misunderstood(format!("refused to begin: {}", said(error)))
            }
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => Self::of_start(fallback),
            ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
                let versions: Vec<_> = server_supported.iter().take(8).map(|version| version.as_str()).collect();
                Self::Misunderstood(format!("speaks other versions of the protocol only: {}", versions.join(", ")))
            }
            ClientInitializeError::ConnectionClosed(_) => Self::Away("the MCP server ended the connection".to_owned()),
            _ => Self::Misunderstood("begins with something else than the protocol has it".to_owned()),
        }
    }

    pub(super) fn of_service(error: &ServiceError) -> Self {
        if let Some(transport) = find(error) {
            return transport;
        }
        match error {
            ServiceError::McpError(error) => Self::Misunderstood(format!("answered with an error: {}", said(error))),
            ServiceError::TransportClosed | ServiceError::Cancelled { .. } | ServiceError::TransportSend(_) => {
                Self::Away("the connection to the MCP server ended".to_owned())
            }
            _ => Self::Misunderstood("answered something else than was asked".to_owned()),
        }
    }

    /// What it means to whoever calls a tool.
    pub(super) fn into_call_error(self) -> CallError {
        let message = self.to_string();
        match self {
            Self::Timeout(_) => CallError::new(ErrorCode::Timeout, message),
            Self::Away(_) => CallError::new(ErrorCode::Unavailable, message),
            _ => unavailable(message),
        }
    }
}

/// What only somebody else can change: the node's operator or the server's.
pub(super) fn unavailable(message: impl Into<String>) -> CallError {
    let mut error = CallError::new(ErrorCode::Unavailable, message);
    error.retryable = false;
    error
}

/// What an error of the protocol means to whoever calls a tool.
pub(super) fn of_protocol(error: ErrorData) -> CallError {
    let message = format!("the MCP server refused the call: {}", said(&error));
    let details = json!({ "code": error.code.0, "data": error.data });
    let error = match error.code {
        rmcp::model::ErrorCode::INVALID_PARAMS => CallError::invalid_input(message),
        _ => CallError::declared(PROTOCOL_ERROR, message),
    };
    error.with_details(details)
}

/// The code of an error that the protocol has, and the call protocol has not.
pub(super) const PROTOCOL_ERROR: &str = "MCP_ERROR";

/// The start of what an error says.
fn said(error: &ErrorData) -> String {
    error.message.chars().take(300).collect()
}

/// Whether the server did not know the session, and so has done nothing.
pub(super) fn is_expired(error: &ServiceError) -> bool {
    matches!(transport(error), Some(StreamableHttpError::SessionExpired))
}

fn find(error: &(dyn StdError + 'static)) -> Option<McpError> {
    Some(match transport(error)? {
        StreamableHttpError::Client(TransportError::Request(RequestError::Timeout { limit, .. })) => {
            McpError::Timeout(*limit)
        }
        StreamableHttpError::Client(TransportError::Request(error @ RequestError::TooLong { .. })) => {
            McpError::TooMuch(format!("it may: {error}"))
        }
        StreamableHttpError::Client(error @ TransportError::Request(_)) => McpError::Away(error.to_string()),
        StreamableHttpError::Client(error @ TransportError::Status { status, .. }) => match *status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => McpError::Refused(error.to_string()),
            _ => McpError::Away(error.to_string()),
        },
        StreamableHttpError::Client(TransportError::Odd { what, .. }) => {
            McpError::Misunderstood(format!("is not understood: {what}"))
        }
        StreamableHttpError::SessionExpired => McpError::Away("the MCP server has forgotten the session".to_owned()),
        StreamableHttpError::Deserialize(_) => {
            McpError::Misunderstood("answers what is no message of the protocol".to_owned())
        }
        _ => McpError::Away("the connection to the MCP server ended".to_owned()),
    })
}

/// The error of the transport among the causes of an error, however deep the library has put it.
fn transport<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e StreamableHttpError<TransportError>> {
    let dynamic = match error.downcast_ref::<ServiceError>() {
        Some(ServiceError::TransportSend(error)) => Some(error),
        _ => None,
    };
    let dynamic = dynamic.or(match error.downcast_ref::<ClientInitializeError>() {
        Some(ClientInitializeError::TransportError { error, .. }) => Some(error),
        _ => None,
    });
    dynamic?.error.downcast_ref()
}

/// What can go wrong with a request, apart from what the protocol knows.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransportError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("{server} answered {status}{}", said_of(.said))]
    Status { server: String, status: StatusCode, said: String },
    #[error("{server}: {what}")]
    Odd { server: String, what: &'static str },
}

fn said_of(text: &str) -> String {
    match text.trim() {
        "" => String::new(),
        text => format!(": {}", text.escape_debug()),
    }
}
