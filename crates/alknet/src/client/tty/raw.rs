//! The local terminal: its mode and its size.

use std::io;

use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};

use super::Size;

/// The terminal of standard input in raw mode: every key comes at once and as it is, Ctrl-C too. Dropping it restores the
/// mode that there was, after a panic as well.
#[derive(Debug)]
pub struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Switches the terminal of standard input.
    ///
    /// # Errors
    /// When standard input is no terminal.
    pub fn enter() -> io::Result<Self> {
        let raw = Self { before: tcgetattr(stdin())? };
        raw.resume()?;
        Ok(raw)
    }

    /// Switches again, after [`pause`](Self::pause), or when a shell has changed the mode meanwhile.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resume(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        // At once: a terminal whose output is held up would keep us waiting otherwise.
        Ok(tcsetattr(stdin(), OptionalActions::Now, &raw)?)
    }

    /// Restores the mode for a while.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn pause(&self) -> io::Result<()> {
        Ok(tcsetattr(stdin(), OptionalActions::Now, &self.before)?)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = self.pause();
    }
}

/// The size of the terminal that this process has on one of its standard streams.
pub fn local_size() -> Option<Size> {
    let size = [stdout(), stdin(), stderr()].into_iter().find_map(|stream| tcgetwinsize(stream).ok())?;
    size_of(size)
}

/// Some terminals do not know their size and say so with zeros.
fn size_of(size: Winsize) -> Option<Size> {
    let known = size.ws_row > 0 && size.ws_col > 0;
    known.then(|| Size { rows: size.ws_row.min(Size::MAX_SIDE), cols: size.ws_col.min(Size::MAX_SIDE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_one_that_a_terminal_takes() {
        let size = |rows, cols| size_of(Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 });
        assert_eq!(size(24, 80), Some(Size { rows: 24, cols: 80 }));
        assert_eq!(size(u16::MAX, 1), Some(Size { rows: 4096, cols: 1 }));
        assert_eq!(size(0, 80), None);
    }
}
