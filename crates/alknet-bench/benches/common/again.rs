//! This program again, as a child of itself.

use std::io::{BufRead, Write as _};
use std::process::{Command, Stdio};

use crate::running::Running;

/// Starts this program again. It ends when the returned value is dropped.
pub(crate) fn again(arguments: &[&str]) -> Result<Running, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let spawned = Command::new(own).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    spawned.map(Running).map_err(|error: std::io::Error| error.to_string())
}

/// The next line that a child writes.
pub(crate) fn line_of(output: &mut impl BufRead) -> Result<String, String> {
    let mut line = String::new();
    output.read_line(&mut line).map_err(|error| error.to_string())?;
    match line.trim() {
        "" => Err("a process of the measurement ended early".to_owned()),
        line => Ok(line.to_owned()),
    }
}

/// Writes a line for the parent.
pub(crate) fn tell(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// Whatever becomes of the parent, its end is the end of the pipe.
pub(crate) async fn wait_for_the_end_of_input() {
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut tokio::io::stdin(), &mut rest).await;
}
