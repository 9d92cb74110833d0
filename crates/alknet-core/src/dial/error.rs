//! Why a node could not be dialed.

use std::io;
use std::sync::OnceLock;

use quinn_proto::TransportErrorCode;
use rustls::AlertDescription;

use super::Destination;
use crate::tls::ClientConfigError;
use crate::{Alpn, Fingerprint, ServerIdentity};

/// Why a node could not be dialed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The address is none, or its name is not known.
    #[error("\"{address}\" cannot be resolved; an address is written host:port")]
    Resolve {
        /// What was dialed.
        address: String,
        /// What the system said.
        source: Option<io::Error>,
    },
    /// Nothing answers there.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// What was dialed.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// No answer in time.
    #[error("{address} did not answer within {seconds} s")]
    TimedOut {
        /// What was dialed.
        address: String,
        /// The time that it had.
        seconds: f32,
    },
    /// Another node answers there.
    #[error("{address} is another node than expected: it shows {}, expected was {}", list(shown), list(expected))]
    WrongIdentity {
        /// What was dialed.
        address: String,
        /// The names of the key that was shown.
        shown: Vec<Fingerprint>,
        /// The keys that would have been right.
        expected: Vec<Fingerprint>,
    },
    /// The system's roots do not vouch for it.
    #[error(
        "{address} is not trusted: {reason}; if it is an alknet node, name it by its fingerprint (ed25519:…@{address})"
    )]
    Untrusted {
        /// What was dialed.
        address: String,
        /// What TLS said.
        reason: String,
    },
    /// The node is there, and has no such service.
    #[error("{address} does not serve the ALPN {alpn:?}")]
    NoSuchAlpn {
        /// What was dialed.
        address: String,
        /// What was asked for.
        alpn: Alpn,
    },
    /// The node turned us away, or the handshake failed in some other way.
    #[error("{address} refused the connection: {reason}")]
    Refused {
        /// What was dialed.
        address: String,
        /// What was said.
        reason: String,
    },
    /// Our own TLS configuration cannot be made.
    #[error("TLS cannot be set up")]
    Configuration(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl DialError {
    /// Whether another address or transport may have more luck.
    pub(super) fn is_about_the_path(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }

    /// Whether the machine is there and says that nobody listens.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
    }
}

impl From<ClientConfigError> for DialError {
    fn from(error: ClientConfigError) -> Self {
        Self::Configuration(error.into())
    }
}

fn list(fingerprints: &[Fingerprint]) -> String {
    match fingerprints {
        [] => "no usable key".to_owned(),
        some => some.iter().map(Fingerprint::to_string).collect::<Vec<_>>().join(" or "),
    }
}

/// What is known when a handshake fails.
pub(super) struct Attempt<'a> {
    pub(super) node: &'a Destination,
    pub(super) alpn: &'a Alpn,
    pub(super) seen: &'a OnceLock<Vec<Fingerprint>>,
}

impl Attempt<'_> {
    pub(super) fn quic_failed(&self, error: quinn::ConnectionError) -> DialError {
        use quinn::ConnectionError as E;
        let no_such_alpn = TransportErrorCode::crypto(AlertDescription::NoApplicationProtocol.into());
        match error {
            E::TimedOut => self.unreachable(io::ErrorKind::TimedOut.into()),
            E::ConnectionClosed(close) if close.error_code == no_such_alpn => self.no_such_alpn(),
            E::TransportError(error) => self.handshake_failed(error.reason),
            other => self.refused(other.to_string()),
        }
    }

    pub(super) fn tls_failed(&self, error: io::Error) -> DialError {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => self.no_such_alpn(),
            Some(rustls::Error::AlertReceived(alert)) => self.refused(format!("TLS alert {alert:?}")),
            Some(error) => self.handshake_failed(error.to_string()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.refused("it closed the connection during the handshake".to_owned())
            }
            None => self.unreachable(error),
        }
    }

    pub(super) fn unreachable(&self, source: io::Error) -> DialError {
        DialError::Unreachable { address: self.node.address.clone(), source }
    }

    pub(super) fn no_such_alpn(&self) -> DialError {
        DialError::NoSuchAlpn { address: self.node.address.clone(), alpn: self.alpn.clone() }
    }

    pub(super) fn refused(&self, reason: String) -> DialError {
        DialError::Refused { address: self.node.address.clone(), reason }
    }

    /// We refused what the server showed.
    fn handshake_failed(&self, reason: String) -> DialError {
        let address = self.node.address.clone();
        match (&self.node.identity, self.seen.get()) {
            (ServerIdentity::Pinned(expected), Some(shown)) if !shown.iter().any(|key| expected.contains(key)) => {
                DialError::WrongIdentity { address, shown: shown.clone(), expected: expected.clone() }
            }
            (ServerIdentity::SystemRoots, _) => DialError::Untrusted { address, reason },
            _ => DialError::Refused { address, reason },
        }
    }
}
