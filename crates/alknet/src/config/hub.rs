//! `[hub]`: what of other nodes this one offers to its own callers.

use alknet_call::{Export, OperationPattern};
use alknet_core::Scope;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::peers::PeerEntry;
use super::reader::{Place, Reader};
use super::text::{Parsed, PeerId, Prefix};

/// `[hub]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hub {
    /// `[[hub.reexport]]`.
    pub reexport: Vec<Reexport>,
}

/// An entry of `[[hub.reexport]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reexport {
    /// Whose operations.
    pub peer: PeerId,
    /// Which, by the names that they have there.
    pub operations: Vec<OperationPattern>,
    /// What stands before those names here.
    pub prefix: Prefix,
    /// What a caller needs; if none is given, what the peer's own description asks for.
    pub required_scopes: Vec<Scope>,
}

impl Reexport {
    /// As the call protocol takes it.
    pub fn to_export(&self) -> Export {
        Export {
            peer: self.peer.to_arc(),
            operations: self.operations.clone(),
            prefix: self.prefix.to_string(),
            required_scopes: self.required_scopes.clone(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HubKeys {
    reexport: Vec<ReexportKeys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReexportKeys {
    peer: Parsed<PeerId>,
    operations: Vec<Parsed<OperationPattern>>,
    prefix: Spanned<Parsed<Prefix>>,
    #[serde(default)]
    required_scopes: Vec<Parsed<Scope>>,
}

impl Hub {
    pub(super) fn read<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>) -> Self {
        let Some(section) = document.remove("hub") else { return Self::default() };
        let keys: HubKeys = reader.section(&Place::table("hub"), section, &[]).unwrap_or_default();
        let mut reexport: Vec<Reexport> = Vec::new();
        for (index, keys) in keys.reexport.into_iter().enumerate() {
            let (peer, prefix) = (keys.peer.0, keys.prefix.get_ref().0.clone());
            reexport.push(Reexport {
                peer,
                prefix,
                operations: keys.operations.into_iter().map(|pattern| pattern.0).collect(),
                required_scopes: keys.required_scopes.into_iter().map(|scope| scope.0).collect(),
            });
            let exports: Vec<_> = reexport.iter().map(Reexport::to_export).collect();
            if let Err(error) = alknet_call::Hub::check(&exports) {
                // One line each, and not one for each that follows.
                reexport.pop();
                let key = format!("hub.reexport[{index}].prefix");
                reader.problem(&keys.prefix.span(), key.clone(), format!("{key}: {error}"));
            }
        }
        Self { reexport }
    }

    /// Whose operations are to be offered and who is none of `peers`, each once. It may join later.
    pub fn absent(&self, peers: &[PeerEntry]) -> Vec<&PeerId> {
        let mut absent: Vec<_> = self.reexport.iter().map(|export| &export.peer).collect();
        absent.retain(|id| !peers.iter().any(|peer| peer.id == **id));
        absent.sort();
        absent.dedup();
        absent
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, ConfigErrors, parse};

    fn read(hub: &str) -> Result<Config, ConfigErrors> {
        let text = format!("[[peers]]\nid = \"worker-a\"\naddress = \"a.example:4433\"\n{hub}");
        parse(&text, Path::new("alknet.toml"))
    }

    fn error(hub: &str) -> String {
        read(hub).unwrap_err().to_string()
    }

    const ENTRY: &str = "[[hub.reexport]]\npeer = \"worker-a\"\noperations = [\"tty/*\"]\nprefix = \"a\"\n";

    #[test]
    fn an_export_names_a_peer_and_a_prefix() {
        let config = read(&format!("{ENTRY}required_scopes = [\"tty:use\"]\n")).unwrap();
        let export = config.hub.reexport[0].to_export();
        assert_eq!((&*export.peer, &*export.prefix), ("worker-a", "a"));
        assert_eq!(export.operations[0].as_str(), "tty/*");
        assert_eq!(export.required_scopes[0].to_string(), "tty:use");
    }

    #[test]
    fn a_peer_that_is_not_there_may_join_and_a_prefix_that_is_taken_is_an_error() {
        let unknown = ENTRY.replace("worker-a", "worker-b");
        let config = read(&format!("[call]\nenable = true\n{unknown}{unknown}")).unwrap();
        let warnings = config.warnings();
        assert!(warnings[0].contains("\"worker-b\"") && warnings[0].contains("unless it joins"), "{warnings:?}");
        assert_eq!(warnings.len(), 1);
        let other = "[[peers]]\nid = \"worker-b\"\n".to_owned() + ENTRY + &unknown;
        assert!(error(&other).contains("overlap: give each peer a prefix of its own"), "{}", error(&other));
        assert!(read(&format!("{ENTRY}{ENTRY}")).is_ok(), "one peer may have several, with other scopes");
        assert!(error(&ENTRY.replace("\"a\"", "\"A/b\"")).contains("is no prefix"));
        assert!(error(&ENTRY.replace("prefix", "prefxi")).contains("did you mean \"prefix\"?"));
    }
}
