//! The output of a terminal on its way to local standard output.

use std::io;

use alknet_call::{ClientError, Subscription};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::error::Trouble;
use super::event::Event;
use super::{Exit, Modes};

/// Where the output of a terminal goes.
pub struct Screen<W> {
    output: W,
    /// The place of the next byte that is missing here.
    next: Option<u64>,
    modes: Modes,
}

/// Why no more output comes.
pub(super) enum End {
    Exit(Exit),
    Trouble(Trouble),
    Output(io::Error),
}

impl<W: AsyncWrite + Unpin> Screen<W> {
    /// Writes output to `output`, beginning with the byte `from`, if that is said.
    pub fn new(output: W, from: Option<u64>) -> Self {
        Self { output, next: from, modes: Modes::default() }
    }

    /// The place of the byte that comes next, as far as that is known.
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// Switches off in the local terminal what is still on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn reset(&mut self) -> io::Result<()> {
        let reset = self.modes.reset();
        self.output.write_all(&reset).await?;
        self.output.flush().await
    }

    /// Writes what comes. When the future is dropped, [`next`](Self::next) tells how far it got.
    pub(super) async fn follow(&mut self, events: &mut Subscription, came: &impl Fn(), skipped: &impl Fn(u64)) -> End {
        loop {
            let event = match events.next().await.map(|event| event.and_then(Event::read)) {
                Some(Ok(event)) => event,
                Some(Err(error)) => return End::Trouble(Trouble::of(error)),
                // Its exit would have been the last.
                None => return End::Trouble(Trouble::Away(ClientError::Unanswered)),
            };
            came();
            match event {
                Event::Output { offset, bytes } => {
                    if let Err(error) = self.put(offset, &bytes).await {
                        return End::Output(error);
                    }
                }
                Event::Skipped(bytes) => {
                    self.next = self.next.map(|next| next.saturating_add(bytes));
                    skipped(bytes);
                }
                Event::Exit(exit) => return End::Exit(exit),
                Event::Unknown => {}
            }
        }
    }

    async fn put(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // What is here already is not shown again.
        let known = self.next.unwrap_or(offset).saturating_sub(offset);
        let mut rest = usize::try_from(known).ok().and_then(|known| bytes.get(known..)).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        let mut next = offset.saturating_add(known);
        while !rest.is_empty() {
            let written = self.output.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let (now, later) = rest.split_at(written.min(rest.len()));
            self.modes.watch(now);
            next = next.saturating_add(now.len() as u64);
            self.next = Some(next);
            rest = later;
        }
        self.output.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_twice_is_shown_once() {
        let mut screen = Screen::new(Vec::new(), None);
        for (offset, bytes) in [(10, "abc"), (10, "abc"), (11, "bcd"), (14, "e"), (0, "x"), (u64::MAX, "y")] {
            screen.put(offset, bytes.as_bytes()).await.unwrap();
        }
        assert_eq!((screen.output.as_slice(), screen.next()), (&b"abcdey"[..], Some(u64::MAX)));
    }

    #[tokio::test]
    async fn what_a_program_left_on_is_switched_off() {
        let mut screen = Screen::new(Vec::new(), Some(0));
        screen.put(0, b"\x1b[?25l").await.unwrap();
        screen.reset().await.unwrap();
        assert_eq!(screen.output, b"\x1b[?25l\x1b[?25h");
    }
}
