//! The master side of a pseudo-terminal.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use pty_process::{OwnedReadPty, OwnedWritePty, Pts};
use rustix::process::Pid;
use rustix::termios::Winsize;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::Mutex;

/// A pseudo-terminal: its keyboard, and what else its users do with it.
pub(crate) struct Keyboard {
    /// One writer after the other, so that no write stands within another.
    write: Mutex<OwnedWritePty>,
    control: Arc<OwnedFd>,
}

/// What a pseudo-terminal shows, for its one reader.
pub(crate) struct Screen {
    read: OwnedReadPty,
    direct: Arc<OwnedFd>,
}

/// Makes a pseudo-terminal. The other side is for the program, and to be kept until the program has ended: while anybody
/// has it open the master never reports its end, whatever the program does with its own descriptors.
pub(crate) fn open(rows: u16, cols: u16) -> io::Result<(Keyboard, Screen, Pts)> {
    let (pty, pts) = pty_process::open().map_err(into_io)?;
    let direct = Arc::new(pty.as_fd().try_clone_to_owned()?);
    let (read, write) = pty.into_split();
    let keyboard = Keyboard { write: Mutex::new(write), control: direct.clone() };
    keyboard.resize(rows, cols)?;
    Ok((keyboard, Screen { read, direct }, pts))
}

impl Keyboard {
    /// Writes all of `bytes`, as fast as the program takes them. Dropping the future leaves written what is written.
    pub(crate) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.write.lock().await.write_all(bytes).await
    }

    /// Sets the size; the kernel tells the programs in the foreground by SIGWINCH.
    pub(crate) fn resize(&self, rows: u16, cols: u16) -> io::Result<()> {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(rustix::termios::tcsetwinsize(&self.control, size)?)
    }

    /// The process group that the keyboard belongs to.
    pub(crate) fn foreground(&self) -> Option<Pid> {
        rustix::termios::tcgetpgrp(&self.control).ok()
    }
}

impl Screen {
    /// Waits for output and reads it, as much as there is room for when it comes. Nothing is read if there is none.
    pub(crate) async fn read(&mut self, buffer: &mut [u8], room: impl Fn() -> usize) -> io::Result<usize> {
        poll_fn(|context| {
            let room = room().min(buffer.len());
            let mut space = ReadBuf::new(buffer.get_mut(..room).unwrap_or_default());
            if room > 0 {
                ready!(Pin::new(&mut self.read).poll_read(context, &mut space))?;
            }
            Poll::Ready(Ok(space.filled().len()))
        })
        .await
    }

    /// Reads what is there; an error of kind `WouldBlock` says that nothing is. The kernel hands over everything that
    /// was written before it says so.
    pub(crate) fn read_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.direct, buffer)?)
    }
}

pub(crate) fn into_io(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(errno) => errno.into(),
        other => io::Error::other(other),
    }
}
