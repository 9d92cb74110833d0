//! Why a request to another service fails. No error has more of an URL than scheme, host and port: the rest may hold a
//! secret.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS stack or the HTTP stack refuses what it was given.
    #[error("the client for other services cannot be made: {0}")]
    Refused(String),
}

/// Why a request got no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There was no connection, so nothing was sent.
    #[error("{server} cannot be reached: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        server: String,
        /// What happened.
        reason: String,
    },
    /// The connection ended too early, or brought what is no HTTP. Whether the request had an effect is not known.
    #[error("the connection to {server} broke off: {reason}")]
    Broken {
        /// Scheme, host and port.
        server: String,
        /// What happened.
        reason: String,
    },
    /// The answer took too long. Whether the request had an effect is not known.
    #[error("{server} did not answer within {limit:?}")]
    Timeout {
        /// Scheme, host and port.
        server: String,
        /// How long it had.
        limit: Duration,
    },
    /// The body of the answer is longer than it may be.
    #[error("the answer of {server} is longer than {limit} bytes")]
    TooLong {
        /// Scheme, host and port.
        server: String,
        /// How long it may be.
        limit: usize,
    },
}

/// Why a text cannot be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Whoever is on the way could change the text.
    #[error("{server} is asked neither over https nor on this machine, so nobody vouches for what comes; use https")]
    Insecure {
        /// Scheme, host and port.
        server: String,
    },
    /// There is no whole answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The answer is another than the text.
    #[error("{server} answered with {status}")]
    Status {
        /// Scheme, host and port.
        server: String,
        /// The status.
        status: StatusCode,
    },
    /// The answer is not in UTF-8.
    #[error("the answer of {server} is no text in UTF-8")]
    NoText {
        /// Scheme, host and port.
        server: String,
    },
}
