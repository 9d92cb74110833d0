//! What commands print: results on standard output, everything said about them on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};

use serde::Serialize;

/// Prints. A reader that went away, such as `head`, is an error that ends the command quietly.
pub(super) struct Output;

/// Standard output did not take the result.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct OutputError(#[source] io::Error);

impl OutputError {
    /// Whoever read the output wants no more of it.
    pub(super) fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// A text of another node's for a table: nothing in it moves the cursor or does more.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

impl Output {
    /// Prints a line of the result.
    pub(super) fn line(&self, line: impl Display) -> Result<(), OutputError> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    /// Prints a part of the result as it is.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<(), OutputError> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(OutputError)
    }

    /// Prints the result as one JSON document.
    pub(super) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        Ok(self.bytes(&text)?)
    }

    /// Prints a table, its columns as wide as they have to be.
    pub(super) fn table<const N: usize>(&self, rows: &[[String; N]]) -> Result<(), OutputError> {
        let mut widths = [0; N];
        for row in rows {
            widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.chars().count().max(*width));
        }
        for row in rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  ")).collect::<String>();
            self.line(cells.trim_end())?;
        }
        Ok(())
    }

    /// Says something that is no part of the result.
    pub(super) fn note(&self, text: impl Display) {
        Self::say("note", text);
    }

    /// Says something that the operator should do something about.
    pub(super) fn warning(&self, text: impl Display) {
        Self::say("warning", text);
    }

    fn say(kind: &str, text: impl Display) {
        // Nobody can be told that nobody can be told.
        let _ = writeln!(io::stderr(), "{kind}: {text}");
    }
}
