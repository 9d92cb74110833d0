//! Scopes: `service:action`.

use std::fmt;
use std::str::FromStr;

/// A permission: `service:action`, or `service:*` for every action of a service.
///
/// Both parts are 1 to 64 characters of `a-z`, `0-9`, `-` and `_`.
///
/// ```
/// use alknet_core::Scope;
/// let held: Scope = "tty:*".parse()?;
/// assert!(held.covers(&"tty:spawn".parse()?));
/// assert!(!held.covers(&"ssh:shell".parse()?));
/// # Ok::<(), alknet_core::InvalidScope>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    text: Box<str>,
    colon: usize,
}

impl Scope {
    /// `node:admin`, the scope of a node's operator: reload the configuration, and see more in `node/info`.
    pub fn node_admin() -> Self {
        Self::of("node", "admin")
    }

    /// `metrics:read`, the scope of what watches over a node: read its counters.
    pub fn metrics_read() -> Self {
        Self::of("metrics", "read")
    }

    /// `call:forward`, the scope of a peer that speaks for others, as a hub does: for whom it says that it calls goes on to
    /// further nodes.
    pub fn call_forward() -> Self {
        Self::of("call", "forward")
    }

    /// `dashboard:use`, the scope of who may open the node's dashboard in a browser. What is seen there is what the peer may
    /// call anyway.
    pub fn dashboard_use() -> Self {
        Self::of("dashboard", "use")
    }

    fn of(service: &'static str, action: &'static str) -> Self {
        Self { text: format!("{service}:{action}").into(), colon: service.len() }
    }

    /// Whether who holds `self` has what `required` asks for.
    ///
    /// A required `service:*` is covered by `service:*` alone.
    pub fn covers(&self, required: &Scope) -> bool {
        self.service() == required.service() && (self.action() == "*" || self.action() == required.action())
    }

    /// The part before the colon.
    pub fn service(&self) -> &str {
        self.text.split_at(self.colon).0
    }

    /// The part after the colon.
    pub fn action(&self) -> &str {
        self.text.split_at(self.colon).1.trim_start_matches(':')
    }

    /// The scope as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |part: &str| {
            (1..=64).contains(&part.len()) && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
        };
        match text.split_once(':') {
            Some((service, action)) if word(service) && (action == "*" || word(action)) => {
                Ok(Self { text: text.into(), colon: service.len() })
            }
            _ => Err(InvalidScope { text: text.chars().take(150).collect() }),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A text that is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no scope: write service:action (as in ssh:exec) or service:* in lower case")]
pub struct InvalidScope {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn the_operators_scopes_are_scopes() {
        assert_eq!(scope("node:admin"), Scope::node_admin());
        assert_eq!(scope("metrics:read"), Scope::metrics_read());
        assert_eq!(scope("call:forward"), Scope::call_forward());
        assert_eq!(scope("dashboard:use"), Scope::dashboard_use());
    }

    #[test]
    fn a_scope_covers_itself_and_a_star_its_whole_service() {
        assert!(scope("ssh:exec").covers(&scope("ssh:exec")));
        assert!(!scope("ssh:exec").covers(&scope("ssh:shell")));
        assert!(scope("ssh:*").covers(&scope("ssh:shell")));
        assert!(!scope("ssh:exec").covers(&scope("ssh:*")));
        assert!(!scope("ss:*").covers(&scope("ssh:shell")));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "ssh", "ssh:", ":x", "*:x", "*:*", "ssh:ex*", "SSH:exec", "a:b:c", "a: b"] {
            assert!(text.parse::<Scope>().is_err(), "{text:?} was accepted");
        }
    }
}
