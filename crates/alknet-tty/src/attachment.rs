//! Watching a terminal.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::ExitStatus;
use crate::output::Output;

/// Where an attachment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachOptions {
    /// At this byte of the output, counted from the terminal's first one. What of it is no longer kept is reported as
    /// skipped, so whoever comes back knows whether it has missed anything.
    pub from: Option<u64>,
    /// Without `from`: with everything that is kept, or else with what comes from now on.
    pub scrollback: bool,
}

impl Default for AttachOptions {
    fn default() -> Self {
        Self { from: None, scrollback: true }
    }
}

/// What an attachment sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachEvent {
    /// Output, at most 16 KiB of it.
    Output {
        /// The place of its first byte in all that the terminal has put out.
        offset: u64,
        /// The bytes, as the program wrote them; they may begin or end within a character.
        bytes: Bytes,
    },
    /// Output that is no longer kept: this attachment was slower than another one, or came too late.
    Skipped {
        /// How much it was.
        bytes: u64,
    },
    /// The program has ended, and with it the terminal. The last event.
    Exit(ExitStatus),
}

/// A view of a terminal's output. The terminal waits for the fastest of its attachments; dropping one lets it go on.
pub struct Attachment {
    output: Arc<Output>,
    id: Arc<str>,
    key: u64,
    is_over: bool,
}

impl Attachment {
    pub(crate) fn new(output: Arc<Output>, id: Arc<str>, key: u64) -> Self {
        Self { output, id, key, is_over: false }
    }

    /// Which terminal it is.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Passes over what it has asked for and is no longer kept, and gives the place of the first byte that it will see.
    pub(crate) fn settle(&self) -> u64 {
        self.output.settle(self.key)
    }

    /// The next event; none after [`AttachEvent::Exit`]. Cancel-safe: a dropped future loses nothing.
    pub async fn next(&mut self) -> Option<AttachEvent> {
        if self.is_over {
            return None;
        }
        let event = self.output.next(self.key).await;
        self.is_over = matches!(event, AttachEvent::Exit(_));
        Some(event)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.output.detach(self.key);
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment").field("id", &self.id).finish_non_exhaustive()
    }
}
