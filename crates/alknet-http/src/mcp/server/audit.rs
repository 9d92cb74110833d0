//! Who called which tool, for whom, and what came of it, as the log tells it: one line for each call, with the fields
//! `tool`, `operation`, `peer`, `forwarded_for`, `outcome`, `duration_ms`, `connection` and `request`, which the journal
//! finds as `PEER=alice`.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

/// How much of a text of the client's is shown, in characters.
const SHOWN: usize = 256;

/// One call. It is logged when this is dropped, so that a call that is given up is, too.
pub(super) struct Audit {
    pub(super) request: Arc<str>,
    tool: String,
    peer: Arc<str>,
    forwarded_for: Option<String>,
    connection: u64,
    started: Instant,
    outcome: String,
}

impl Audit {
    pub(super) fn begin(
        request: Arc<str>,
        tool: &str,
        peer: Arc<str>,
        forwarded_for: Option<&Value>,
        connection: u64,
    ) -> Self {
        let forwarded_for = forwarded_for.map(|whom| shown(&whom.to_string()));
        // Until it is known better.
        let outcome = "ABORTED".to_owned();
        Self { request, tool: shown(tool), peer, forwarded_for, connection, started: Instant::now(), outcome }
    }

    pub(super) fn outcome(&mut self, outcome: &str) {
        self.outcome = shown(outcome);
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let Self { tool, peer, forwarded_for, outcome, connection, .. } = self;
        let whom = forwarded_for.as_ref().map(|whom| format!(" for {whom}")).unwrap_or_default();
        tracing::info!(
            tool,
            operation = super::name::operation(tool).map(|name| name.wire()),
            peer = &**peer,
            forwarded_for,
            outcome,
            duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            connection,
            request = &*self.request,
            "tool {tool} called by {peer}{whom}: {outcome}",
        );
    }
}

/// A text as it is, but for what would be invisible or change what stands around it, and cut where it is long.
fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(SHOWN));
    for character in text.chars().take(SHOWN) {
        match character {
            '"' | '\\' | '\'' => safe.push(character),
            // Writing to a string does not fail.
            other => drop(write!(safe, "{}", other.escape_debug())),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_garble_the_log() {
        assert_eq!(shown("tty.list\n\u{1b}[31m\u{202e}"), "tty.list\\n\\u{1b}[31m\\u{202e}");
        assert_eq!(shown(&"x".repeat(5000)).len(), SHOWN);
        assert_eq!(shown(r#"{"id":"Zoë"}"#), r#"{"id":"Zoë"}"#);
    }
}
