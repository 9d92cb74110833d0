//! Signals by their names, and how a program ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::str::FromStr;

use rustix::process::Signal as Os;
use serde::{Deserialize, Serialize, Serializer};

use crate::TtyError;

/// A signal, written as `INT` or `SIGINT`.
///
/// ```
/// use alknet_tty::Signal;
/// assert_eq!("SIGTERM".parse::<Signal>()?, "TERM".parse()?);
/// assert_eq!("hup".parse::<Signal>()?.to_string(), "HUP");
/// assert!("9".parse::<Signal>().is_err());
/// # Ok::<(), alknet_tty::TtyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Signal(i32);

/// The signals that have a name on Linux, save `STKFLT`, which nothing uses.
const NAMES: [(&str, Os); 30] = [
    ("HUP", Os::HUP),
    ("INT", Os::INT),
    ("QUIT", Os::QUIT),
    ("ILL", Os::ILL),
    ("TRAP", Os::TRAP),
    ("ABRT", Os::ABORT),
    ("BUS", Os::BUS),
    ("FPE", Os::FPE),
    ("KILL", Os::KILL),
    ("USR1", Os::USR1),
    ("SEGV", Os::SEGV),
    ("USR2", Os::USR2),
    ("PIPE", Os::PIPE),
    ("ALRM", Os::ALARM),
    ("TERM", Os::TERM),
    ("CHLD", Os::CHILD),
    ("CONT", Os::CONT),
    ("STOP", Os::STOP),
    ("TSTP", Os::TSTP),
    ("TTIN", Os::TTIN),
    ("TTOU", Os::TTOU),
    ("URG", Os::URG),
    ("XCPU", Os::XCPU),
    ("XFSZ", Os::XFSZ),
    ("VTALRM", Os::VTALARM),
    ("PROF", Os::PROF),
    ("WINCH", Os::WINCH),
    ("IO", Os::IO),
    ("PWR", Os::POWER),
    ("SYS", Os::SYS),
];

impl Signal {
    /// The signal as it is sent; none for one without a name, which only ever is received.
    pub(crate) fn os(self) -> Option<Os> {
        Os::from_named_raw(self.0)
    }
}

impl FromStr for Signal {
    type Err = TtyError;

    fn from_str(text: &str) -> Result<Self, TtyError> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, signal)) => Ok(Self(signal.as_raw())),
            None => Err(TtyError::UnknownSignal(text.chars().take(20).collect())),
        }
    }
}

impl TryFrom<String> for Signal {
    type Error = TtyError;

    fn try_from(text: String) -> Result<Self, TtyError> {
        text.parse()
    }
}

/// The name without `SIG`; the number where there is no name, as with real-time signals.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, signal)| signal.as_raw() == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How the program of a terminal ended. As JSON: `{"code":0}` or `{"signal":"KILL"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It ended by itself, with this code.
    Code(i32),
    /// A signal ended it.
    Signal(Signal),
}

impl ExitStatus {
    pub(crate) fn of(status: std::process::ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (None, Some(signal)) => Self::Signal(Signal(signal)),
            (code, _) => Self::Code(code.unwrap_or_default()),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_name_reads_back_with_and_without_its_prefix() {
        for (name, signal) in NAMES {
            let parsed: Signal = name.parse().unwrap();
            assert_eq!((parsed.os(), parsed.to_string()), (Some(signal), name.to_owned()));
            assert_eq!(format!("SIG{name}").parse::<Signal>().unwrap(), parsed);
        }
    }

    #[test]
    fn what_is_no_signal_is_named_in_the_error() {
        let error = "SIGNONE".parse::<Signal>().unwrap_err().to_string();
        assert!(error.starts_with("\"SIGNONE\" is no signal"), "{error}");
        assert!(serde_json::from_value::<Signal>(json!("")).is_err());
    }

    #[test]
    fn an_exit_tells_a_code_from_a_signal() {
        let json_of = |raw| json!(ExitStatus::of(std::process::ExitStatus::from_raw(raw)));
        assert_eq!(json_of(3 << 8), json!({"code": 3}));
        assert_eq!(json_of(9), json!({"signal": "KILL"}));
        assert_eq!(json_of(40), json!({"signal": "40"}));
    }
}
