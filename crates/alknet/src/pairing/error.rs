//! Why nobody was paired.

use std::path::PathBuf;

use alknet_call::{CallError, ErrorCode};
use alknet_vault::file::FileError;

use super::MAX_INVITATIONS;
use crate::config::{ConfigErrors, PeerId};
use crate::files::FileFailure;

/// Nothing was changed, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingError {
    /// The token opens nothing. One text, whatever the reason: it is also told to whoever guesses.
    #[error(
        "this invitation is not good: it was used, replaced or revoked, has expired, or never was; ask for a new one"
    )]
    Refused,
    /// Whoever wants to join has shown no key.
    #[error("to join, a node has to prove its key in the TLS handshake, and this connection has none: use alknet join")]
    NoKey,
    /// The node cannot be its own peer.
    #[error("this is the node's own key: a node cannot join itself")]
    OwnKey,
    /// The key has a name already.
    #[error("this key is the peer \"{id}\" here already; alknet peer remove {id} would forget that")]
    KeyKnown {
        /// Whose it is.
        id: PeerId,
    },
    /// The id is the configuration's.
    #[error("the configuration has a peer \"{id}\": choose another id, or remove that (alknet peer remove {id})")]
    Configured {
        /// The id.
        id: PeerId,
    },
    /// The id is another node's.
    #[error("another node has joined as \"{id}\": choose another id, or remove that (alknet peer remove {id})")]
    IdTaken {
        /// The id.
        id: PeerId,
    },
    /// No peer of that id has joined.
    #[error("no peer \"{id}\" has joined; alknet peer list shows who has")]
    NotJoined {
        /// The id.
        id: PeerId,
    },
    /// There is no such invitation.
    #[error("there is no open invitation for \"{id}\"; alknet invite --list shows those that are open")]
    NotInvited {
        /// The id.
        id: PeerId,
    },
    /// There are too many invitations.
    #[error(
        "{MAX_INVITATIONS} invitations are open: revoke some with alknet invite --revoke ID, or wait until they expire"
    )]
    TooMany,
    /// The file of those that have joined would be too large.
    #[error("{} would be too large: remove peers that are not needed (alknet peer remove ID)", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be said where the node is.
    #[error("this machine has no default route, so nobody can say where the node is reached: say --address HOST:PORT")]
    NoAddress,
    /// There was no randomness for a token.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
    /// The file of those that have joined is damaged.
    #[error(transparent)]
    Joined(#[from] ConfigErrors),
    /// The file of the invitations is damaged.
    #[error(
        "{}: the invitations cannot be read ({reason}); move the file away, and invite anew whoever has not joined yet",
        path.display()
    )]
    Invitations {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] FileError),
    /// A file cannot be written.
    #[error("{failure}: {}", failure.source)]
    Write {
        /// What was refused, and why. Part of the message, and therefore no `source`.
        failure: FileFailure,
    },
    /// Somebody else has been changing the files all the time.
    #[error("another alknet process is changing the peers in {} and does not finish", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The work was broken off.
    #[error("the work was broken off: {0}")]
    Background(#[from] tokio::task::JoinError),
}

impl PairingError {
    /// Whether a file is damaged, which does not go away by itself.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Joined(_) | Self::Invitations { .. })
    }
}

impl From<FileFailure> for PairingError {
    fn from(failure: FileFailure) -> Self {
        Self::Write { failure }
    }
}

/// What a caller is told.
impl From<PairingError> for CallError {
    fn from(error: PairingError) -> Self {
        match error {
            PairingError::Refused => Self::new(ErrorCode::Forbidden, error.to_string()),
            PairingError::TooMany | PairingError::Full { .. } => {
                let mut told = Self::new(ErrorCode::ResourceExhausted, error.to_string());
                told.retryable = false;
                told
            }
            PairingError::NoKey
            | PairingError::OwnKey
            | PairingError::KeyKnown { .. }
            | PairingError::Configured { .. }
            | PairingError::IdTaken { .. }
            | PairingError::NotJoined { .. }
            | PairingError::NotInvited { .. }
            | PairingError::NoAddress => Self::invalid_input(error.to_string()),
            error => Self::internal(error),
        }
    }
}
