//! What is done with terminals, by whom and for whom, as the log tells it.
//!
//! A line has the fields `operation`, `terminal`, `peer` and `forwarded_for`, which the journal finds as `PEER=hub`, and
//! says the last two in its text again, where a search in texts finds them.

use std::fmt::{self, Write as _};

/// How much of a claim is shown, in characters.
const SHOWN: usize = 2048;

/// The operations, as the log has them.
pub(crate) const SPAWN: &str = "/tty/spawn";
pub(crate) const ATTACH: &str = "/tty/attach";
pub(crate) const SIGNAL: &str = "/tty/signal";
pub(crate) const KILL: &str = "/tty/kill";

/// Who does something.
pub(crate) struct Actor<'a> {
    /// The id of the identity.
    pub(crate) peer: &'a str,
    /// For whom it says that it does it: JSON, made safe to show.
    pub(crate) claim: Option<String>,
}

impl<'a> Actor<'a> {
    pub(crate) fn new(peer: &'a str, claim: Option<&str>) -> Self {
        Self { peer, claim: claim.map(shown) }
    }
}

impl fmt::Display for Actor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.peer)?;
        match &self.claim {
            Some(claim) => write!(f, " for {claim}"),
            None => Ok(()),
        }
    }
}

/// JSON as it is, but for what would be invisible or change what stands around it.
fn shown(json: &str) -> String {
    let mut text = String::with_capacity(json.len().min(SHOWN));
    for character in json.chars().take(SHOWN) {
        match character {
            '"' | '\\' | '\'' => text.push(character),
            // Writing to a string does not fail.
            other => drop(write!(text, "{}", other.escape_debug())),
        }
    }
    text
}

/// Writes the line of one deed.
macro_rules! audit {
    ($operation:expr, $terminal:expr, $actor:expr $(, $field:ident $(= $value:expr)?)*; $what:literal) => {{
        let actor: $crate::audit::Actor<'_> = $actor;
        tracing::info!(
            operation = $operation,
            terminal = $terminal,
            peer = actor.peer,
            forwarded_for = actor.claim.as_deref(),
            $($field $(= $value)?,)*
            "{} by {actor}",
            $what,
        );
    }};
}
pub(crate) use audit;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_a_sentence() {
        assert_eq!(Actor::new("alice", None).to_string(), "alice");
        assert_eq!(Actor::new("hub", Some(r#"{"id":"alice"}"#)).to_string(), r#"hub for {"id":"alice"}"#);
    }

    #[test]
    fn a_claim_cannot_garble_the_log() {
        let actor = Actor::new("hub", Some("{\"id\":\"Zoë\\n\u{202e}\u{1b}[31m\u{9b}\"}"));
        assert_eq!(actor.claim.unwrap(), r#"{"id":"Zoë\n\u{202e}\u{1b}[31m\u{9b}"}"#);
        assert_eq!(Actor::new("hub", Some(&"x".repeat(5000))).claim.unwrap().len(), SHOWN);
    }
}
