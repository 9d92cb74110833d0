//! What a terminal's output arrives as.

use alknet_call::ClientError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;

use super::{ATTACH, misbehaved};

/// An event of `tty/attach`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The bytes at this place of all output.
    Output { offset: u64, bytes: Vec<u8> },
    /// Output that is no longer there.
    Skipped(u64),
    /// The program has ended.
    Exit(Exit),
    /// Something that a later version tells.
    Unknown,
}

/// How the program of a terminal ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal: its name without `SIG`.
    Signal(String),
}

impl Exit {
    /// The exit code that stands for it, as a shell gives it: 128 and the number for a signal.
    pub fn code(&self) -> u8 {
        match self {
            Self::Code(code) => code.to_le_bytes()[0],
            Self::Signal(name) => number(name).map_or(u8::MAX, |number| 128 | number),
        }
    }
}

/// The signals by their numbers on Linux, from 1 on (signal(7)).
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",
    "PWR", "SYS",
];

/// A signal without a name is told by its number.
fn number(signal: &str) -> Option<u8> {
    let place = SIGNALS.iter().position(|name| *name == signal);
    let number = place.and_then(|place| u8::try_from(place + 1).ok()).or_else(|| signal.parse().ok())?;
    (1..128).contains(&number).then_some(number)
}

#[derive(Deserialize)]
struct Wire {
    output: Option<String>,
    #[serde(default)]
    offset: u64,
    skipped: Option<u64>,
    exit: Option<Exit>,
}

impl Event {
    pub(super) fn read(event: Value) -> Result<Self, ClientError> {
        let wire: Wire = serde_json::from_value(event).map_err(|error| misbehaved(&ATTACH, error))?;
        Ok(match wire {
            Wire { output: Some(output), offset, .. } => {
                let bytes = BASE64.decode(output).map_err(|error| misbehaved(&ATTACH, error))?;
                Self::Output { offset, bytes }
            }
            Wire { skipped: Some(bytes), .. } => Self::Skipped(bytes),
            Wire { exit: Some(exit), .. } => Self::Exit(exit),
            _ => Self::Unknown,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_event_is_read() {
        let read = |event| Event::read(event).unwrap();
        assert_eq!(read(json!({"output": "aGk=", "offset": 7})), Event::Output { offset: 7, bytes: b"hi".to_vec() });
        assert_eq!(read(json!({"skipped": 5})), Event::Skipped(5));
        assert_eq!(read(json!({"exit": {"code": 3}})), Event::Exit(Exit::Code(3)));
        assert_eq!(read(json!({"exit": {"signal": "KILL"}})), Event::Exit(Exit::Signal("KILL".into())));
        assert_eq!(read(json!({"bell": true})), Event::Unknown);
        for bad in [json!({"output": "!"}), json!({"skipped": -1}), json!({"exit": "done"}), json!(5)] {
            assert!(Event::read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_exit_becomes_the_code_that_a_shell_would_give() {
        let codes = [Exit::Code(0), Exit::Code(3), Exit::Code(255), Exit::Code(256)].map(|exit| exit.code());
        assert_eq!(codes, [0, 3, 255, 0]);
        let signals = ["INT", "KILL", "SYS", "40", "NONE", "300"].map(|name| Exit::Signal(name.to_owned()).code());
        assert_eq!(signals, [130, 137, 159, 168, 255, 255]);
    }
}
