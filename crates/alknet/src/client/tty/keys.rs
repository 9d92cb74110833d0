//! What is typed, on its way to a terminal.

use std::pin::Pin;
use std::time::Duration;

use alknet_call::{ClientError, ErrorCode};
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::error::Trouble;
use super::{AttachError, Command, Escape, EscapeChar, Host, MAX_WRITE, Notice, TtyClient};

/// How much is read that has not been sent. Beyond that, whoever types or pastes has to wait.
const MAX_PENDING: usize = 4 * MAX_WRITE;

/// A terminal that takes no more input has ended most of the time, and then says so within this time.
const EXIT_GRACE: Duration = Duration::from_secs(2);

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;

/// Where input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// From a person at a local terminal in raw mode. The end of it detaches.
    Typed(EscapeChar),
    /// From a file or a program. The end of it becomes the key that ends input, Ctrl-D: always, or (`eager` is false) only
    /// if there was any input, so that an attachment without input does not end the shell that it comes to.
    Piped {
        /// Whether the end of no input at all is one, too.
        eager: bool,
    },
    /// What comes from the local terminal only ends the attachment: Ctrl-C and Ctrl-D do, and the usual keys.
    ReadOnly(EscapeChar),
    /// There is none.
    None,
}

/// Input, and how far it got.
pub struct Keys<R> {
    source: R,
    kind: Input,
    escape: Escape,
    buffer: Box<[u8]>,
    /// What has been read and not been sent.
    pending: BytesMut,
    /// How many bytes have been sent of which it is not known whether they have arrived.
    in_flight: usize,
    last: Option<u8>,
    ended: bool,
}

/// Why no more input goes to the terminal.
pub(super) enum End {
    Detached,
    /// Ctrl-C, where that is not for the terminal.
    Interrupted,
    /// The node is not to be reached.
    Away(ClientError),
    Failed(AttachError),
}

/// Why writing stopped.
enum Stop {
    End(End),
    Refused(ClientError),
}

impl<R: AsyncRead + Unpin> Keys<R> {
    /// Reads input from `source`.
    pub fn new(source: R, kind: Input) -> Self {
        let character = match kind {
            Input::Typed(character) | Input::ReadOnly(character) => character,
            Input::Piped { .. } | Input::None => EscapeChar::NONE,
        };
        Self {
            source,
            kind,
            escape: Escape::new(character),
            buffer: vec![0; MAX_WRITE].into(),
            pending: BytesMut::new(),
            in_flight: 0,
            last: None,
            ended: false,
        }
    }

    /// Sends what comes. When the future is dropped, only a write that is under way is in doubt.
    pub(super) async fn send(&mut self, tty: &TtyClient, id: &str, host: &impl Host) -> End {
        if let Input::ReadOnly(_) | Input::None = self.kind {
            return self.leave(host).await;
        }
        let source = match self.write_all(tty, id, host).await {
            Stop::End(end) => return end,
            Stop::Refused(source) => source,
        };
        self.pending.clear();
        tokio::select! {
            end = self.leave(host) => return end,
            () = tokio::time::sleep(EXIT_GRACE) => {}
        }
        match self.kind {
            Input::Piped { .. } => End::Failed(AttachError::InputRefused { id: id.to_owned(), source }),
            _ => {
                host.tell(&Notice::InputRefused(source.to_string()));
                self.leave(host).await
            }
        }
    }

    /// Waits for the keys that end the attachment. All others are forgotten.
    pub(super) async fn leave(&mut self, host: &impl Host) -> End {
        if let Input::Piped { .. } | Input::None = self.kind {
            return std::future::pending().await;
        }
        let read_only = matches!(self.kind, Input::ReadOnly(_));
        loop {
            let mut keys = BytesMut::new();
            match read(&mut self.source, &mut self.buffer).await {
                Ok([]) => return End::Detached,
                Ok(typed) => {
                    if obey(&mut self.escape, typed, &mut keys, host) {
                        return End::Detached;
                    }
                }
                Err(error) => return End::Failed(error),
            }
            match keys.iter().find(|key| **key == CTRL_C || (read_only && **key == CTRL_D)) {
                Some(_) if read_only => return End::Detached,
                Some(_) => return End::Interrupted,
                None => {}
            }
        }
    }

    /// Decides what becomes of input when a connection is lost. A person sees what has arrived and types the rest again;
    /// a program does not, so doubt ends its input.
    pub(super) fn lost(&mut self, id: &str, host: &impl Host) -> Result<(), AttachError> {
        let bytes = std::mem::take(&mut self.in_flight);
        match self.kind {
            Input::Piped { .. } if bytes > 0 => return Err(AttachError::InputLost { id: id.to_owned(), bytes }),
            Input::Piped { .. } => {}
            _ => {
                let bytes = bytes + self.pending.len();
                self.pending.clear();
                if bytes > 0 {
                    host.tell(&Notice::InputLost(bytes));
                }
            }
        }
        Ok(())
    }

    /// One write at a time: writes that are under way together may overtake each other. What comes meanwhile goes with the
    /// next one.
    async fn write_all(&mut self, tty: &TtyClient, id: &str, host: &impl Host) -> Stop {
        let mut write: Option<Write> = None;
        loop {
            if write.is_none() && !self.pending.is_empty() {
                let bytes = self.pending.split_to(self.pending.len().min(MAX_WRITE));
                self.in_flight = bytes.len();
                write = Some(Box::pin(async move { tty.write(id, &bytes).await }));
            }
            tokio::select! {
                result = under_way(&mut write) => {
                    write = None;
                    if let Some(stop) = self.written(result, id, host) {
                        return stop;
                    }
                }
                typed = read(&mut self.source, &mut self.buffer), if !self.ended && self.pending.len() < MAX_PENDING => {
                    let typed = match typed {
                        Ok(typed) => typed,
                        Err(error) => return Stop::End(End::Failed(error)),
                    };
                    self.ended = typed.is_empty();
                    self.last = typed.last().copied().or(self.last);
                    let detached = obey(&mut self.escape, typed, &mut self.pending, host);
                    if detached || (self.ended && self.end_of_input()) {
                        return Stop::End(End::Detached);
                    }
                }
            }
        }
    }

    /// What a write that has ended means; nothing if more can follow.
    fn written(&mut self, result: Result<(), ClientError>, id: &str, host: &impl Host) -> Option<Stop> {
        let Err(error) = result else {
            self.in_flight = 0;
            return None;
        };
        if timed_out(&error) {
            let bytes = std::mem::take(&mut self.in_flight);
            if let Input::Piped { .. } = self.kind {
                return Some(Stop::End(End::Failed(AttachError::InputLost { id: id.to_owned(), bytes })));
            }
            host.tell(&Notice::InputUnread(bytes));
            return None;
        }
        Some(match Trouble::of(error) {
            Trouble::Away(error) => Stop::End(End::Away(error)),
            Trouble::Gone(error) | Trouble::Refused(error) => Stop::Refused(error),
        })
    }

    /// Types the key that ends input. True if the end of it is that of the attachment.
    fn end_of_input(&mut self) -> bool {
        self.escape.finish(&mut self.pending);
        match (self.kind, self.last) {
            (Input::Piped { eager: true }, None) | (Input::Piped { .. }, Some(b'\n' | b'\r')) => {
                self.pending.extend_from_slice(&[CTRL_D]);
            }
            // Within a line the first one only hands over what there is of it.
            (Input::Piped { .. }, Some(_)) => self.pending.extend_from_slice(&[CTRL_D, CTRL_D]),
            (Input::Piped { .. }, None) => {}
            _ => return true,
        }
        false
    }
}

type Write<'a> = Pin<Box<dyn Future<Output = Result<(), ClientError>> + 'a>>;

async fn under_way(write: &mut Option<Write<'_>>) -> Result<(), ClientError> {
    match write {
        Some(write) => write.await,
        None => std::future::pending().await,
    }
}

/// Reads what is there; nothing at the end.
async fn read<'b>(source: &mut (impl AsyncRead + Unpin), buffer: &'b mut [u8]) -> Result<&'b [u8], AttachError> {
    match source.read(buffer).await {
        Ok(length) => Ok(buffer.get(..length).unwrap_or_default()),
        // A terminal that has hung up reads so.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => Ok(&[]),
        Err(error) => Err(AttachError::Input(error)),
    }
}

/// Does what the keys say that are for this side, and appends all others to `out`. True if they detach.
fn obey(escape: &mut Escape, mut typed: &[u8], out: &mut BytesMut, host: &impl Host) -> bool {
    loop {
        match escape.feed(&mut typed, out) {
            None => return false,
            Some(Command::Detach) => return true,
            Some(Command::Help) => host.tell(&Notice::Help(escape.character())),
            Some(Command::Suspend) => host.suspend(),
        }
    }
}

fn timed_out(error: &ClientError) -> bool {
    match error {
        ClientError::Remote(told) => told.code == ErrorCode::Timeout,
        other => matches!(other, ClientError::TimedOut { .. }),
    }
}
