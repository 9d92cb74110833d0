//! What is no error and yet hardly meant.

use super::{Config, PeerEntry};
use crate::handlers;

impl Config {
    /// What is no error and yet hardly meant.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings_with(&[])
    }

    /// The same for a node that has peers besides those of the configuration.
    pub fn warnings_with(&self, joined: &[PeerEntry]) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.http.enable && !self.call.enable {
            let sections: Vec<_> = handlers::built()
                .filter(|handler| handler.is_in_new_nodes)
                .map(|handler| format!("[{}]", handler.name))
                .collect();
            warnings.push(format!(
                "no handler is enabled, so the node serves nothing: say enable = true in {}",
                sections.join(" or ")
            ));
        }
        #[cfg(feature = "tty")]
        self.warn_of_terminals(&mut warnings);
        #[cfg(feature = "http")]
        self.warn_of_http(&mut warnings);
        self.warn_of_peers(&mut warnings);
        self.warn_of_exports(joined, &mut warnings);
        warnings
    }

    #[cfg(feature = "tty")]
    fn warn_of_terminals(&self, warnings: &mut Vec<String>) {
        if self.tty.enable && self.tty.settings.commands.is_empty() {
            warnings.push(
                "[tty] names no commands, so no terminal can be spawned: write commands = [\"/bin/bash\"]".to_owned(),
            );
        }
    }

    #[cfg(feature = "http")]
    fn warn_of_http(&self, warnings: &mut Vec<String>) {
        if self.http.settings.decoy.is_some() && !self.http.settings.cors.origins.is_empty() {
            warnings.push(
                "[http] has a decoy and cors.origins, which would give it away, so pages of other origins get nothing"
                    .to_owned(),
            );
        }
        for import in self.imports.iter().filter(|import| !import.export && !import.required_scopes.is_empty()) {
            warnings.push(format!(
                "import \"{}\" has required_scopes and no export = true, so nobody outside can call its operations",
                import.name
            ));
        }
    }

    fn warn_of_peers(&self, warnings: &mut Vec<String>) {
        for peer in &self.peers {
            if peer.connect && peer.address.is_none() {
                warnings.push(format!("peer \"{}\" has connect = true and no address, so it is not dialed", peer.id));
            }
            if peer.enabled && peer.fingerprints.is_empty() && peer.tokens.is_empty() && peer.address.is_none() {
                let id = &peer.id;
                warnings.push(format!(
                    "peer \"{id}\" has no way to show who it is: add a fingerprint, or run alknet token new {id}"
                ));
            }
        }
    }

    fn warn_of_exports(&self, joined: &[PeerEntry], warnings: &mut Vec<String>) {
        let absent = self.hub.absent(&self.peers).into_iter();
        warnings.extend(absent.filter(|id| !joined.iter().any(|peer| peer.id == **id)).map(|peer| {
            format!(
                "[[hub.reexport]] names the peer \"{peer}\", which is not in [[peers]]: nothing of it is offered unless it \
                 joins (alknet invite {peer})"
            )
        }));
    }
}
