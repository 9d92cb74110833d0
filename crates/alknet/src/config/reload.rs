//! What a reload can change, and what it cannot.

use super::Config;

impl Config {
    /// The settings that differ between `old` and `new` and that only a restart applies.
    pub fn restart_needed(old: &Self, new: &Self) -> Vec<String> {
        let changes = [
            ("node.name", old.node.name != new.node.name),
            ("node.state_dir", old.node.state_dir != new.node.state_dir),
            ("endpoint.listen", old.endpoint.listen != new.endpoint.listen),
            ("endpoint.limits", old.endpoint.limits != new.endpoint.limits),
            ("vault", old.vault != new.vault),
        ];
        changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name.to_owned()).collect()
    }
}
