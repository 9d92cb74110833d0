//! The terminal that this process has, while it is attached to another one.

use std::io::{self, Write as _};

use rustix::process::{Signal as Os, getpid, kill_process};
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::output::printable;
use crate::client::tty::{EscapeChar, Host, Input, Notice, RawMode, Size, local_size};

/// The terminal that this process has.
pub(super) struct Local {
    raw: Option<RawMode>,
    escape: EscapeChar,
    read_only: bool,
}

impl Local {
    /// Switches to raw mode, if a person is to type.
    pub(super) fn new(input: Input) -> io::Result<Self> {
        let (raw, escape) = match input {
            Input::Typed(escape) | Input::ReadOnly(escape) => (Some(RawMode::enter()?), escape),
            Input::Piped { .. } | Input::None => (None, EscapeChar::NONE),
        };
        Ok(Self { raw, escape, read_only: matches!(input, Input::ReadOnly(_)) })
    }

    /// Says how to get out of it again.
    pub(super) fn greet(&self, id: &str) {
        let escape = self.escape;
        if self.raw.is_none() {
            return;
        }
        let keys = match (self.read_only, escape == EscapeChar::NONE) {
            (true, _) => "; Ctrl-C detaches".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!("; Enter {escape} . detaches, Enter {escape} ? shows more"),
        };
        write(&format!("attached to {}{keys}\r\n", printable(id)));
    }

    /// Restores the mode; with a new line for what is said next.
    pub(super) fn leave(&mut self, new_line: bool) {
        if self.raw.take().is_some() && new_line {
            write("\n");
        }
    }

    /// Says something on lines of its own.
    fn say(&self, text: &str) {
        match &self.raw {
            // In raw mode nothing makes a line out of a line feed; the cursor may be anywhere.
            Some(_) => write(&format!("\r\n{text}\r\n")),
            None => write(&format!("note: {text}\n")),
        }
    }

    fn resume(&self) {
        if let Some(raw) = &self.raw {
            // A terminal that is gone hangs up next.
            let _ = raw.resume();
        }
    }
}

fn write(text: &str) {
    // Nobody can be told that nobody can be told.
    let _ = io::stderr().write_all(text.as_bytes());
}

impl Host for Local {
    fn tell(&self, notice: &Notice) {
        self.say(&notice.to_string());
    }

    fn suspend(&self) {
        if let Some(raw) = &self.raw {
            let _ = raw.pause();
        }
        // Stops here until this process is continued. Where nobody could do that, the system does not stop it.
        let _ = kill_process(getpid(), Os::TSTP);
        self.resume();
    }
}

/// The signals that mean something to an attached process.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    quit: Signal,
    resize: Signal,
    proceed: Signal,
}

impl Signals {
    /// From here on none of them ends this process.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            resize: signal(SignalKind::window_change())?,
            proceed: signal(SignalKind::from_raw(Os::CONT.as_raw()))?,
        })
    }

    /// Waits for one that is to end this process, and gives its number. Meanwhile passes on the size.
    pub(super) async fn ending(&mut self, local: &Local, size: Option<&watch::Sender<Size>>) -> u8 {
        loop {
            let ending = select! {
                _ = self.interrupt.recv() => Os::INT,
                _ = self.terminate.recv() => Os::TERM,
                _ = self.hang_up.recv() => Os::HUP,
                _ = self.quit.recv() => Os::QUIT,
                _ = self.proceed.recv() => {
                    local.resume();
                    continue;
                }
                _ = self.resize.recv() => {
                    if let (Some(size), Some(now)) = (size, local_size()) {
                        size.send_replace(now);
                    }
                    continue;
                }
            };
            return u8::try_from(ending.as_raw()).unwrap_or_default();
        }
    }
}
