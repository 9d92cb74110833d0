//! Why an attachment ended that nobody wanted to end.

use std::io;

use alknet_call::{ClientError, ErrorCode};
use alknet_core::DialError;

/// Why an attachment ended that nobody wanted to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The node does not let us at the terminal, and does not say which of the two it is.
    #[error("the terminal {id} has ended, or is not yours")]
    Gone {
        /// Its id.
        id: String,
    },
    /// The node refuses, or the first connection is lost.
    #[error("the terminal {id} cannot be attached to")]
    Refused {
        /// Its id.
        id: String,
        /// What is wrong.
        source: ClientError,
    },
    /// Something else than attaching cannot be done.
    #[error("nothing can be done with the terminal {id}")]
    Call {
        /// Its id.
        id: String,
        /// What is wrong.
        source: ClientError,
    },
    /// The node does not take what is typed.
    #[error("the terminal {id} takes no input")]
    InputRefused {
        /// Its id.
        id: String,
        /// What is wrong.
        source: ClientError,
    },
    /// Input that is not typed by a person was under way when the connection was lost.
    #[error("{bytes} bytes of the input of the terminal {id} may be lost, so the rest is not sent")]
    InputLost {
        /// The terminal's id.
        id: String,
        /// How many bytes were under way.
        bytes: usize,
    },
    /// There is no way back to the node.
    #[error("the connection to the terminal {id} is lost, and cannot be made again")]
    Lost {
        /// The terminal's id.
        id: String,
        /// What is wrong.
        source: DialError,
    },
    /// Whoever was attached did not want to wait for the connection.
    #[error("the connection to the terminal {id} is lost; the terminal may go on")]
    GivenUp {
        /// The terminal's id.
        id: String,
    },
    /// The input cannot be read.
    #[error("the input cannot be read")]
    Input(#[source] io::Error),
    /// The output cannot be written.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
}

impl AttachError {
    /// What a failed call on a terminal means.
    pub fn of_call(error: ClientError, id: &str) -> Self {
        match Trouble::of(error) {
            Trouble::Gone(_) => Self::Gone { id: id.to_owned() },
            Trouble::Away(source) | Trouble::Refused(source) => Self::Call { id: id.to_owned(), source },
        }
    }
}

/// What a failed call means for an attachment.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no such terminal for us.
    Gone(ClientError),
    /// The node, or the one behind it, is not to be reached at this moment.
    Away(ClientError),
    /// It would fail again.
    Refused(ClientError),
}

impl Trouble {
    pub(super) fn of(error: ClientError) -> Self {
        match error {
            ClientError::Remote(ref told) => match told.code {
                ErrorCode::Forbidden => Self::Gone(error),
                ErrorCode::Aborted => Self::Away(error),
                _ if told.retryable => Self::Away(error),
                _ => Self::Refused(error),
            },
            ClientError::PeerMisbehaved(_) | ClientError::Request(_) => Self::Refused(error),
            _ => Self::Away(error),
        }
    }

    pub(super) fn into_error(self, id: &str) -> AttachError {
        let id = id.to_owned();
        match self {
            Self::Gone(_) => AttachError::Gone { id },
            Self::Away(source) | Self::Refused(source) => AttachError::Refused { id, source },
        }
    }
}

/// Whether dialing again may have more luck.
pub(super) fn may_pass(error: &DialError) -> bool {
    matches!(
        error,
        DialError::Resolve { .. }
            | DialError::Unreachable { .. }
            | DialError::TimedOut { .. }
            | DialError::Refused { .. }
    )
}
