//! What can go wrong with a terminal.

use std::io;

use alknet_core::OwnershipError;

/// Why something cannot be done with a terminal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TtyError {
    /// The configuration allows no program at all.
    #[error("no program may be started here: `commands` in the section [tty] is empty")]
    NoCommands,
    /// The program is not among those that are allowed.
    #[error("{command:?} may not be started here; what may: {}", allowed.join(", "))]
    CommandNotAllowed {
        /// What was asked for.
        command: String,
        /// What the configuration allows.
        allowed: Vec<String>,
    },
    /// The variable is not among those that a spawner may set.
    #[error("the variable {name:?} may not be set here; what may: {}", allowed.join(", "))]
    VariableNotAllowed {
        /// The variable.
        name: String,
        /// What the configuration allows.
        allowed: Vec<String>,
    },
    /// The arguments or the environment are more than a program is given.
    #[error("{given} {what} are too many; the most is {limit}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much was given.
        given: usize,
        /// How much there may be.
        limit: usize,
    },
    /// A text that no program can be given.
    #[error("{what} has a NUL byte in it: no program can be given that")]
    NulByte {
        /// Which text it is.
        what: &'static str,
    },
    /// A size that no terminal has.
    #[error("{rows} rows and {cols} columns are no size of a terminal: each has to be 1 to {}", crate::MAX_SIDE)]
    BadSize {
        /// The rows.
        rows: u16,
        /// The columns.
        cols: u16,
    },
    /// The node has as many terminals as it may have.
    #[error("there are {limit} terminals, and no more may be; try again when one has ended")]
    TooManyTerminals {
        /// How many there may be.
        limit: u32,
    },
    /// The owner has as many terminals as it may have.
    #[error("you have {limit} terminals, and no more may be; end one, or detach from one that has ended")]
    TooManyOfOwner {
        /// How many there may be of one owner.
        limit: u32,
    },
    /// The owner has as many terminals as it may have for all whom it spawns for together.
    #[error("you have {limit} terminals for all whom you serve, and no more may be; try again when one has ended")]
    TooManyOfPeer {
        /// How many there may be of one owner.
        limit: u32,
    },
    /// The terminal has as many attachments as it may have.
    #[error("{limit} are attached to this terminal, and no more may be; try again when one has detached")]
    TooManyAttachments {
        /// How many there may be.
        limit: u32,
    },
    /// Output that the terminal has not made yet.
    #[error("the output ends at {end}: there is nothing to begin with at {from}")]
    OffsetAhead {
        /// What was asked for.
        from: u64,
        /// Where the output ends.
        end: u64,
    },
    /// Too many bytes for one write.
    #[error("{given} bytes are too many for one write; the most is {}", crate::MAX_WRITE)]
    WriteTooLong {
        /// How many there were.
        given: usize,
    },
    /// A name of no signal.
    #[error("{0:?} is no signal; write a name such as INT, TERM or SIGHUP")]
    UnknownSignal(String),
    /// There is no such terminal: it has ended, or there never was one. Both look the same.
    #[error("there is no terminal {0:?}")]
    NotThere(String),
    /// The terminal was told to end and still is there: the system cannot kill its program.
    #[error("the terminal {0:?} was killed and has not ended yet")]
    StillThere(String),
    /// The program did not start.
    #[error("{command:?} cannot be started: {source}")]
    SpawnFailed {
        /// The program.
        command: String,
        /// What the system says.
        source: io::Error,
    },
    /// It could not be recorded whose terminal it is, so it was ended again.
    #[error("it cannot be recorded whose terminal this is: {0}")]
    NotRecorded(#[from] OwnershipError),
    /// The store of ownership did not answer in time, so the terminal was ended again.
    #[error("it cannot be recorded whose terminal this is: the store does not answer")]
    StoreTimedOut,
    /// There is no randomness to make an id of.
    #[error("the operating system gave no random bytes for an id")]
    NoRandomness,
    /// All terminals are being ended.
    #[error("no terminals are started any more: the node is shutting down")]
    ShuttingDown,
    /// The operating system refused.
    #[error("the system refuses to {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}
