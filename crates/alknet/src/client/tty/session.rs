//! An attachment from its beginning to its end, over as many connections as it takes.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use alknet_call::{CallClient, ClientError};
use alknet_core::DialError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::error::{Trouble, may_pass};
use super::{AttachError, EscapeChar, Exit, Keys, Screen, Size, TtyClient, TtyService, keys, screen};

/// An attachment that the node has not ended by then is one.
const SETTLED: Duration = Duration::from_millis(500);

/// How long output may still come when the way for input is gone: an exit is worth waiting for.
const LAST_WORDS: Duration = Duration::from_secs(1);

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How an attachment ended in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The program has ended.
    Exited(Exit),
    /// Whoever was attached has left, and the terminal goes on.
    Detached,
    /// Whoever read the output wants no more of it.
    OutputClosed,
}

/// What a person at the local terminal is told meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// So many bytes of output are no longer kept by the node.
    Skipped(u64),
    /// The connection is lost, for this reason, and is being made again.
    Lost(String),
    /// It is there again.
    Back,
    /// So many bytes that were typed may not have arrived.
    InputLost(usize),
    /// So many bytes that were typed wait for a program that does not read.
    InputUnread(usize),
    /// The node takes no input.
    InputRefused(String),
    /// Which keys there are.
    Help(EscapeChar),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(bytes) => write!(f, "skipped {bytes} bytes of output that the node no longer keeps"),
            Self::Lost(reason) => write!(f, "the connection is lost ({reason}); connecting again, Ctrl-C gives up"),
            Self::Back => f.write_str("connected again"),
            Self::InputLost(bytes) => write!(f, "the last {bytes} bytes of input may not have arrived"),
            Self::InputUnread(bytes) => {
                write!(f, "the program does not read its input; the last {bytes} bytes may not have arrived")
            }
            Self::InputRefused(reason) => write!(f, "the terminal takes no input ({reason}); Ctrl-C detaches"),
            Self::Help(character) => write!(
                f,
                "after Enter: {character}. detaches, {character}^Z suspends this program, {character}{character} types \
                 {character}, {character}? shows this"
            ),
        }
    }
}

/// What an attachment needs of whoever runs it.
pub trait Host {
    /// Tells the person at the local terminal.
    fn tell(&self, notice: &Notice);
    /// Stops this program, as Ctrl-Z does a local one.
    fn suspend(&self);
}

/// What to attach to, and how.
pub struct Session<'a> {
    /// Where the terminal's operations are.
    pub service: &'a TtyService,
    /// The terminal's id.
    pub id: &'a str,
    /// Whether an attachment that does not say where it begins comes with what is kept of the output.
    pub scrollback: bool,
    /// The size that the terminal is given, whenever it changes.
    pub sizes: Option<watch::Receiver<Size>>,
}

/// Connects a terminal to local streams: first over `client`, and when that connection is lost over those that `connect`
/// makes, where the output goes on with the byte that comes next.
///
/// # Errors
/// As [`AttachError`] lists them.
pub async fn attach<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    mut session: Session<'_>,
    mut client: CallClient,
    connect: &mut impl AsyncFnMut() -> Result<CallClient, DialError>,
    keys: &mut Keys<R>,
    screen: &mut Screen<W>,
    host: &impl Host,
) -> Result<Outcome, AttachError> {
    let state = State::default();
    loop {
        let reason = match session.leg(client, keys, screen, &state, host).await? {
            Leg::Over(outcome) => return Ok(outcome),
            Leg::Away(error) if state.attempts.get() == 0 && !state.settled.get() => {
                return Err(Trouble::Away(error).into_error(session.id));
            }
            Leg::Away(error) => error,
        };
        keys.lost(session.id, host)?;
        if state.settled.replace(false) {
            host.tell(&Notice::Lost(reason.to_string()));
        }
        tokio::select! {
            end = keys.leave(host) => match end {
                keys::End::Detached => return Ok(Outcome::Detached),
                keys::End::Failed(error) => return Err(error),
                _ => return Err(AttachError::GivenUp { id: session.id.to_owned() }),
            },
            connected = reconnect(connect, &state, session.id) => client = connected?,
        }
        if let Some(sizes) = &mut session.sizes {
            sizes.mark_changed();
        }
    }
}

/// What is known of the connections.
#[derive(Default)]
struct State {
    /// The one that there is, is there to stay.
    settled: Cell<bool>,
    /// How many have been tried since the last one that was.
    attempts: Cell<u32>,
}

impl State {
    fn settle(&self, host: &impl Host) {
        if !self.settled.replace(true) && self.attempts.replace(0) > 0 {
            host.tell(&Notice::Back);
        }
    }
}

/// How the part of an attachment ended that went over one connection.
enum Leg {
    Over(Outcome),
    Away(ClientError),
}

impl Session<'_> {
    async fn leg<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        client: CallClient,
        keys: &mut Keys<R>,
        screen: &mut Screen<W>,
        state: &State,
        host: &impl Host,
    ) -> Result<Leg, AttachError> {
        let id = self.id;
        let tty = self.service.over(client);
        let mut events = match tty.output(id, screen.next(), self.scrollback).await {
            Ok(events) => events,
            Err(error) => return self.troubled(Trouble::of(error)),
        };
        let came = || state.settle(host);
        let skipped = |bytes| host.tell(&Notice::Skipped(bytes));
        let ended = tokio::select! {
            end = screen.follow(&mut events, &came, &skipped) => return self.over(end),
            end = keys.send(&tty, id, host) => end,
            () = async {
                sleep(SETTLED).await;
                state.settle(host);
                std::future::pending().await
            } => return Ok(Leg::Over(Outcome::Detached)),
            () = keep_size(&tty, id, &mut self.sizes) => return Ok(Leg::Over(Outcome::Detached)),
        };
        match ended {
            keys::End::Detached | keys::End::Interrupted => Ok(Leg::Over(Outcome::Detached)),
            keys::End::Failed(error) => Err(error),
            keys::End::Away(error) => match timeout(LAST_WORDS, screen.follow(&mut events, &came, &skipped)).await {
                Ok(end) => self.over(end),
                Err(_) => Ok(Leg::Away(error)),
            },
        }
    }

    fn over(&self, end: screen::End) -> Result<Leg, AttachError> {
        match end {
            screen::End::Exit(exit) => Ok(Leg::Over(Outcome::Exited(exit))),
            screen::End::Trouble(trouble) => self.troubled(trouble),
            screen::End::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Ok(Leg::Over(Outcome::OutputClosed))
            }
            screen::End::Output(error) => Err(AttachError::Output(error)),
        }
    }

    fn troubled(&self, trouble: Trouble) -> Result<Leg, AttachError> {
        match trouble {
            Trouble::Away(error) => Ok(Leg::Away(error)),
            final_one => Err(final_one.into_error(self.id)),
        }
    }
}

/// Gives the terminal the size that the local one has. That it is refused is no reason to end an attachment.
async fn keep_size(tty: &TtyClient, id: &str, sizes: &mut Option<watch::Receiver<Size>>) {
    if let Some(sizes) = sizes {
        while sizes.changed().await.is_ok() {
            let size = *sizes.borrow_and_update();
            let _ = tty.resize(id, size).await;
        }
    }
    std::future::pending().await
}

/// Dials until there is a connection, at once and then less and less often.
async fn reconnect(
    connect: &mut impl AsyncFnMut() -> Result<CallClient, DialError>,
    state: &State,
    id: &str,
) -> Result<CallClient, AttachError> {
    loop {
        let attempts = state.attempts.get();
        state.attempts.set(attempts.saturating_add(1));
        sleep(wait(attempts).mul_f64(0.5 + random() / 2.0)).await;
        match connect().await {
            Ok(client) => return Ok(client),
            Err(error) if may_pass(&error) => tracing::debug!(%error, attempts, "still not connected"),
            Err(source) => return Err(AttachError::Lost { id: id.to_owned(), source }),
        }
    }
}

/// How long to wait at most, after so many attempts in a row.
fn wait(attempts: u32) -> Duration {
    match attempts.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => FIRST_WAIT.saturating_mul(2u32.saturating_pow(doublings)).min(LONGEST_WAIT),
    }
}

/// So that not all who were attached to a node come back at once: a number below one.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}
