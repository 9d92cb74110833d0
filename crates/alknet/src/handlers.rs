//! Which handlers there are, and which of them this build has (docs/decisions/0015).

use crate::config::Config;

/// A handler, whether or not this build has it.
#[derive(Debug, Clone, Copy)]
pub struct HandlerInfo {
    /// Its name, which is that of its section of the configuration, too.
    pub name: &'static str,
    /// The ALPNs that it serves, the preferred one first.
    pub alpns: &'static [&'static str],
    /// The Cargo feature that builds it; none if every build has it.
    pub feature: Option<&'static str>,
    /// Whether this build has it.
    pub is_built: bool,
    /// What of the configuration is its own: keys of the outermost table.
    pub sections: &'static [&'static str],
    /// The command that is for it alone, and is in those builds that have it.
    pub command: Option<&'static str>,
    /// Whether a new node serves it: it needs nothing of its host.
    pub is_in_new_nodes: bool,
    enabled: fn(&Config) -> bool,
}

/// All of them, in the order of preference when a client offers several ALPNs.
pub const HANDLERS: [HandlerInfo; 3] = [
    HandlerInfo {
        name: "call",
        alpns: &["alknet/call"],
        feature: None,
        is_built: true,
        sections: &["call", "hub"],
        command: None,
        is_in_new_nodes: true,
        enabled: |config| config.call.enable,
    },
    HandlerInfo {
        name: "http",
        alpns: &["h2", "http/1.1"],
        feature: Some("http"),
        is_built: cfg!(feature = "http"),
        sections: &["http", "import"],
        command: Some("import"),
        is_in_new_nodes: true,
        enabled: |config| config.http.enable,
    },
    HandlerInfo {
        name: "tty",
        alpns: &["alknet/tty"],
        feature: Some("tty"),
        is_built: cfg!(feature = "tty"),
        sections: &["tty"],
        command: Some("tty"),
        is_in_new_nodes: false,
        enabled: |config| config.tty.enable,
    },
];

impl HandlerInfo {
    /// Whether a configuration enables it.
    pub fn is_enabled(&self, config: &Config) -> bool {
        (self.enabled)(config)
    }
}

/// The handlers of this build.
pub fn built() -> impl Iterator<Item = &'static HandlerInfo> {
    HANDLERS.iter().filter(|handler| handler.is_built)
}
