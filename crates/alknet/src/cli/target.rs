//! `NODE[/PREFIX]`: a node, or what it re-exports of another one.

use std::str::FromStr;

use alknet_call::OperationName;

/// A node, and the prefix of operations on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) node: String,
    /// Empty for the node's own operations.
    pub(super) prefix: String,
}

impl Target {
    /// An operation there, without a leading slash. One that is given with its prefix is taken as it is.
    pub(super) fn operation(&self, name: &str) -> String {
        let name = name.strip_prefix('/').unwrap_or(name);
        match self.covers(name) {
            true => name.to_owned(),
            false => format!("{}/{name}", self.prefix),
        }
    }

    /// Whether an operation, with or without its leading slash, is under the prefix.
    pub(super) fn covers(&self, name: &str) -> bool {
        let name = name.strip_prefix('/').unwrap_or(name);
        let rest = name.strip_prefix(&self.prefix);
        self.prefix.is_empty() || rest.is_some_and(|rest| rest.starts_with('/'))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        write!(f, "{}{slash}{}", self.node, self.prefix)
    }
}

impl FromStr for Target {
    type Err = String;

    /// Neither a peer's id nor an address has a slash, and of the fingerprints only an SSH key's, which stands before an @.
    fn from_str(text: &str) -> Result<Self, String> {
        let address = if text.starts_with("ssh:") { text.find('@').unwrap_or_default() } else { 0 };
        let slash = text.get(address..).and_then(|rest| rest.find('/'));
        let (node, prefix) = match slash.and_then(|at| text.split_at_checked(address + at)) {
            Some((node, prefix)) => (node, prefix.strip_prefix('/')),
            None => (text, None),
        };
        if node.is_empty() {
            return Err(
                "write a node, and behind a slash the prefix of a node that it re-exports: hub, hub/a".to_owned()
            );
        }
        if let Some(prefix) = prefix {
            // Every operation there has a name that begins with it.
            OperationName::from_static("x/x").prefixed(prefix).map_err(|_| {
                format!("what is behind the slash is the prefix of a node that \"{node}\" re-exports, as in {node}/a")
            })?;
        }
        Ok(Self { node: node.to_owned(), prefix: prefix.unwrap_or_default().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_what_comes_behind_the_node() {
        let key = format!("ed25519:{}", "ab".repeat(32));
        let ssh = "ssh:SHA256:ab/cd+ef";
        for (node, prefix) in [
            ("hub", ""),
            ("hub", "a"),
            ("hub", "b/a"),
            ("me@home", "a"),
            (&format!("{key}@192.0.2.1:4433"), ""),
            (&format!("{key}@[2001:db8::1]:443"), "a"),
            (&format!("{ssh}@host:443"), "a"),
            (&format!("{ssh}@host:443"), ""),
            ("node.example:443", "worker-1"),
        ] {
            let target = Target { node: node.to_owned(), prefix: prefix.to_owned() };
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for bad in ["", "/a", "hub/", "hub//a", "hub/A", "hub/a/", "hub/../a"] {
            assert!(bad.parse::<Target>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn operations_are_under_the_prefix() {
        let hub: Target = "hub/a".parse().unwrap();
        let names = ["tty/spawn", "/tty/spawn", "/a/tty/spawn", "ab/x"].map(|name| hub.operation(name));
        assert_eq!(names, ["a/tty/spawn", "a/tty/spawn", "a/tty/spawn", "a/ab/x"]);
        assert!(hub.covers("/a/tty/spawn") && !hub.covers("/ab/tty/spawn") && !hub.covers("/tty/a"));
        let node: Target = "hub".parse().unwrap();
        assert!(node.covers("/a/x") && node.operation("/a/x") == "a/x");
    }
}
