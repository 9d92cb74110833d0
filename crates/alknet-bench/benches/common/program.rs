//! Programs that somebody else made.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fmt, io};

use crate::running::Running;

/// A program, and where Debian has it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

impl Program {
    /// Hands `start` a command for the program: the one in the path of searches, else the one in the folder that is only
    /// in that of administrators.
    ///
    /// # Errors
    /// How to get it, when it is not there.
    pub(crate) fn run<T>(&self, mut start: impl FnMut(Command) -> io::Result<T>) -> Result<T, String> {
        for path in [self.name.to_owned(), format!("/usr/sbin/{}", self.name)] {
            match start(Command::new(path)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("{self} cannot be run: {error}")),
                Ok(started) => return Ok(started),
            }
        }
        Err(format!("{self} is not installed (Debian's package {})", self.package))
    }

    /// Its name and version, as it says when it gets that argument.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) fn version(&self, argument: &str) -> Result<String, String> {
        let output = self.run(|mut command| command.arg(argument).output())?;
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let numbers =
            said.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word).trim_start_matches('v'));
        let version = numbers.into_iter().find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        Ok(format!("{self} {}", version.unwrap_or("of unknown version")))
    }

    /// Runs it to its end and gives what it wrote. It is ended when it takes longer than `patience`.
    ///
    /// # Errors
    /// When it cannot be run, fails, or takes too long.
    pub(crate) fn output(&self, patience: Duration, arguments: impl Fn(&mut Command)) -> Result<String, String> {
        // Files take whatever it writes; a pipe would have to be read while the time is watched.
        let (mut written, mut complaints) = (file()?, file()?);
        let child = self.run(|mut command| {
            arguments(&mut command);
            command.stdin(Stdio::null()).stdout(written.try_clone()?).stderr(complaints.try_clone()?).spawn()
        })?;
        let status =
            Running(child).wait_within(patience).ok_or_else(|| format!("{self} took longer than {patience:?}"))?;
        match status.map_err(|error| error.to_string())? {
            status if status.success() => text(&mut written),
            status => Err(format!("{self} failed ({status}): {}{}", text(&mut complaints)?, text(&mut written)?)),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn file() -> Result<File, String> {
    tempfile::tempfile().map_err(|error| error.to_string())
}

fn text(file: &mut File) -> Result<String, String> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
