//! What a spawner asks for, and whether it may have it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{TtyConfig, TtyError};

/// The most rows, and the most columns, that a terminal may have.
pub const MAX_SIDE: u16 = 4096;

const MAX_ARGUMENTS: usize = 256;
const MAX_ARGUMENT_BYTES: usize = 64 * 1024;
const MAX_ENVIRONMENT_BYTES: usize = 16 * 1024;

/// What a new terminal is to be.
///
/// ```
/// let request = alknet_tty::SpawnRequest { rows: 50, cols: 132, ..alknet_tty::SpawnRequest::of("alice") };
/// assert_eq!((request.command, &*request.owner), (None, "alice"));
/// ```
#[derive(Debug, Clone)]
pub struct SpawnRequest {
    /// The program, exactly as the configuration has it; none stands for the first one there.
    pub command: Option<String>,
    /// Its arguments: at most 256, with at most 64 KiB together.
    pub args: Vec<String>,
    /// Variables for its environment, of those that the configuration allows; at most 16 KiB together.
    pub env: BTreeMap<String, String>,
    /// The rows, 1 to [`MAX_SIDE`].
    pub rows: u16,
    /// The columns, 1 to [`MAX_SIDE`].
    pub cols: u16,
    /// The id of the identity whose terminal it is to be.
    pub owner: Arc<str>,
    /// For whom the owner says that it is: the `forwarded_for` of the call, as JSON text.
    pub claim: Option<Arc<str>>,
}

impl SpawnRequest {
    /// The first allowed program without arguments, in 24 rows of 80 columns.
    pub fn of(owner: impl Into<Arc<str>>) -> Self {
        let owner = owner.into();
        Self { command: None, args: Vec::new(), env: BTreeMap::new(), rows: 24, cols: 80, owner, claim: None }
    }

    /// Checks the request against the configuration.
    pub(crate) fn program(&self, config: &TtyConfig) -> Result<Program, TtyError> {
        let command = allowed_command(self.command.as_deref(), config)?;
        check_arguments(&self.args)?;
        check_environment(&self.env, config)?;
        check_size(self.rows, self.cols)?;
        Ok(Program {
            command,
            args: self.args.clone(),
            env: self.env.clone(),
            path: config.path.clone(),
            working_directory: config.working_directory.clone(),
            rows: self.rows,
            cols: self.cols,
        })
    }
}

/// A program that may be started.
pub(crate) struct Program {
    pub(crate) command: String,
    pub(crate) args: Vec<String>,
    /// What the spawner asked for, which is not yet all that the program gets.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) path: String,
    pub(crate) working_directory: PathBuf,
    pub(crate) rows: u16,
    pub(crate) cols: u16,
}

pub(crate) fn check_size(rows: u16, cols: u16) -> Result<(), TtyError> {
    let sides = 1..=MAX_SIDE;
    if sides.contains(&rows) && sides.contains(&cols) { Ok(()) } else { Err(TtyError::BadSize { rows, cols }) }
}

fn allowed_command(wanted: Option<&str>, config: &TtyConfig) -> Result<String, TtyError> {
    let first = config.commands.first().ok_or(TtyError::NoCommands)?;
    match wanted {
        None => Ok(first.clone()),
        Some(wanted) if config.commands.iter().any(|allowed| allowed == wanted) => Ok(wanted.to_owned()),
        Some(wanted) => {
            let command = wanted.chars().take(200).collect();
            Err(TtyError::CommandNotAllowed { command, allowed: config.commands.clone() })
        }
    }
}

fn check_arguments(args: &[String]) -> Result<(), TtyError> {
    at_most("arguments", args.len(), MAX_ARGUMENTS)?;
    at_most("bytes of arguments", args.iter().map(String::len).sum(), MAX_ARGUMENT_BYTES)?;
    args.iter().try_for_each(|arg| without_nul("an argument", arg))
}

fn check_environment(env: &BTreeMap<String, String>, config: &TtyConfig) -> Result<(), TtyError> {
    if let Some(name) = env.keys().find(|name| !config.environment.contains(name)) {
        let name = name.chars().take(200).collect();
        return Err(TtyError::VariableNotAllowed { name, allowed: config.environment.clone() });
    }
    at_most("bytes of environment", env.values().map(String::len).sum(), MAX_ENVIRONMENT_BYTES)?;
    env.values().try_for_each(|value| without_nul("a variable", value))
}

fn at_most(what: &'static str, given: usize, limit: usize) -> Result<(), TtyError> {
    if given <= limit { Ok(()) } else { Err(TtyError::TooMuch { what, given, limit }) }
}

fn without_nul(what: &'static str, text: &str) -> Result<(), TtyError> {
    if text.contains('\0') { Err(TtyError::NulByte { what }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> TtyConfig {
        TtyConfig { commands: vec!["/bin/bash".into(), "/bin/cat".into()], ..TtyConfig::default() }
    }

    fn refusal(change: impl FnOnce(&mut SpawnRequest)) -> String {
        let mut request = SpawnRequest::of("alice");
        change(&mut request);
        request.program(&config()).err().unwrap().to_string()
    }

    #[test]
    fn the_first_allowed_program_stands_for_none() {
        let command = |command: Option<&str>| {
            let request = SpawnRequest { command: command.map(Into::into), ..SpawnRequest::of("alice") };
            request.program(&config()).unwrap().command
        };
        assert_eq!((command(None), command(Some("/bin/cat"))), ("/bin/bash".into(), "/bin/cat".into()));
    }

    #[test]
    fn what_is_not_allowed_is_refused_with_what_is() {
        let refused = refusal(|request| request.command = Some("/bin/../bin/bash".into()));
        assert_eq!(refused, r#""/bin/../bin/bash" may not be started here; what may: /bin/bash, /bin/cat"#);
        let refused = refusal(|request| drop(request.env.insert("LD_PRELOAD".into(), "evil.so".into())));
        assert!(refused.contains(r#""LD_PRELOAD" may not be set here; what may: TERM,"#), "{refused}");
        let nothing = SpawnRequest::of("alice").program(&TtyConfig::default()).err().unwrap();
        assert!(matches!(nothing, TtyError::NoCommands));
    }

    #[test]
    fn sizes_and_amounts_have_limits() {
        assert!(refusal(|request| request.rows = 0).contains("0 rows and 80 columns are no size"));
        assert!(refusal(|request| request.cols = MAX_SIDE + 1).contains("each has to be 1 to 4096"));
        assert!(refusal(|request| request.args = vec![String::new(); 257]).contains("257 arguments are too many"));
        assert!(refusal(|request| request.args = vec!["x".repeat(65537)]).contains("65537 bytes of arguments"));
        assert!(refusal(|request| request.args = vec!["a\0b".into()]).contains("an argument has a NUL byte"));
        let long = |request: &mut SpawnRequest| drop(request.env.insert("TERM".into(), "x".repeat(16385)));
        assert!(refusal(long).contains("16385 bytes of environment"));
    }
}
