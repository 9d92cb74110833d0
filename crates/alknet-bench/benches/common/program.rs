//! Programs that somebody else made.

use std::process::Command;
use std::{fmt, io};

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

    /// The first line of what it says of itself when it gets that argument.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) fn version(&self, argument: &str) -> Result<String, String> {
        let output = self.run(|mut command| command.arg(argument).output())?;
        let said = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
