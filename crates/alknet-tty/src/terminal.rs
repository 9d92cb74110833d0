//! One terminal that is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::{Serialize, Serializer};
use tokio::select;
use tokio_util::sync::CancellationToken;

use crate::output::Output;
use crate::pty::Keyboard;
use crate::request::check_size;
use crate::session::Session;
use crate::{Signal, TtyError};

/// What is known of a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TerminalInfo {
    /// Its id: `t-` and 16 characters. Never used a second time.
    #[serde(serialize_with = "text")]
    pub id: Arc<str>,
    /// The program, without its arguments: there may be a secret among them.
    pub command: String,
    /// The process id of the program, on the node.
    pub pid: u32,
    /// The rows it has now.
    pub rows: u16,
    /// The columns it has now.
    pub cols: u16,
    /// The id of the identity that spawned it.
    #[serde(serialize_with = "text")]
    pub owner: Arc<str>,
    /// For whom the owner said that it spawned it. For its owner only.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text_if_any")]
    pub claim: Option<Arc<str>>,
    /// When it was spawned; as JSON the seconds since 1970.
    #[serde(serialize_with = "seconds")]
    pub spawned: SystemTime,
    /// How many bytes it has put out.
    pub output_bytes: u64,
    /// How many are attached to it.
    pub attachments: usize,
}

impl TerminalInfo {
    /// When it was spawned, in seconds since 1970.
    pub(crate) fn started_unix(&self) -> u64 {
        self.spawned.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

fn text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn text_if_any<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}

fn seconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    serializer.serialize_u64(since.as_secs())
}

/// What all hold that do something with a terminal. The pseudo-terminal is closed with the last of them.
pub(crate) struct Terminal {
    pub(crate) id: Arc<str>,
    pub(crate) command: String,
    pub(crate) pid: u32,
    pub(crate) owner: Arc<str>,
    pub(crate) claim: Option<Arc<str>>,
    pub(crate) spawned: SystemTime,
    pub(crate) size: Mutex<(u16, u16)>,
    pub(crate) keyboard: Keyboard,
    pub(crate) session: Session,
    pub(crate) output: Arc<Output>,
    pub(crate) life: Life,
}

/// What a terminal is told, and tells, of its end.
#[derive(Clone)]
pub(crate) struct Life {
    /// It is to end.
    pub(crate) kill: CancellationToken,
    /// The program has ended, nothing can be done with it any more.
    pub(crate) over: CancellationToken,
    /// Nothing is left of it, and its record is revoked.
    pub(crate) gone: CancellationToken,
}

impl Life {
    /// One that ends with `all`.
    pub(crate) fn within(all: &CancellationToken) -> Self {
        Self { kill: all.child_token(), over: CancellationToken::new(), gone: CancellationToken::new() }
    }
}

impl Terminal {
    pub(crate) fn info(&self) -> TerminalInfo {
        let (rows, cols) = *self.size();
        let (output_bytes, attachments) = self.output.summary();
        TerminalInfo {
            id: self.id.clone(),
            command: self.command.clone(),
            pid: self.pid,
            rows,
            cols,
            owner: self.owner.clone(),
            claim: self.claim.clone(),
            spawned: self.spawned,
            output_bytes,
            attachments,
        }
    }

    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<(), TtyError> {
        select! {
            biased;
            () = self.life.over.cancelled() => Err(self.not_there()),
            written = self.keyboard.write_all(bytes) => written.map_err(|source| TtyError::System { what: "write to a terminal", source }),
        }
    }

    pub(crate) fn resize(&self, rows: u16, cols: u16) -> Result<(), TtyError> {
        check_size(rows, cols)?;
        // Held over both, so that what is told is what is.
        let mut size = self.size();
        self.keyboard.resize(rows, cols).map_err(|source| TtyError::System { what: "resize a terminal", source })?;
        *size = (rows, cols);
        Ok(())
    }

    /// Like a key on the keyboard, a signal is for what runs in the foreground.
    pub(crate) async fn signal(&self, signal: Signal) -> Result<(), TtyError> {
        let os = signal.os().ok_or_else(|| TtyError::UnknownSignal(signal.to_string()))?;
        let leader = self.session.leader();
        for group in [self.keyboard.foreground().unwrap_or(leader), leader] {
            if self.session.signal_group(group, os).await > 0 {
                return Ok(());
            }
        }
        Err(self.not_there())
    }

    fn not_there(&self) -> TtyError {
        TtyError::NotThere(self.id.to_string())
    }

    fn size(&self) -> MutexGuard<'_, (u16, u16)> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
