//! What of a peer stands under a prefix here.

use std::sync::Arc;

use super::{Export, InvalidExport};
use crate::{Access, OperationName, Registry, Reservation};

/// All that is exported of one peer under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Mount {
    pub(super) peer: Arc<str>,
    pub(super) prefix: String,
    /// For each operation the first that names it counts.
    pub(super) exports: Vec<Export>,
}

impl Mount {
    /// Puts together what belongs together, and gives what cannot be exported, and why.
    pub(super) fn of(exports: Vec<Export>) -> (Vec<Self>, Vec<InvalidExport>) {
        let (mut mounts, mut refused) = (Vec::new(), Vec::new());
        for export in exports {
            if let Err(refusal) = Self::add(&mut mounts, export) {
                refused.push(refusal);
            }
        }
        (mounts, refused)
    }

    fn add(mounts: &mut Vec<Self>, export: Export) -> Result<(), InvalidExport> {
        let Export { peer, prefix, operations, .. } = &export;
        let is_prefix = OperationName::is(&format!("{prefix}/x"));
        if !is_prefix || operations.iter().any(|names| names.prefixed(prefix).is_err()) {
            return Err(InvalidExport::Prefix { peer: peer.clone(), prefix: prefix.clone() });
        }
        // Prefixes stand apart because the kinds of resources do by them: what stands under another peer's prefix, that
        // peer could give and take away.
        match mounts.iter_mut().find(|mount| mount.meets(prefix)) {
            Some(mount) if mount.peer == *peer && mount.prefix == *prefix => mount.exports.push(export),
            Some(mount) => return Err(InvalidExport::taken(export, mount)),
            None => mounts.push(Self { peer: peer.clone(), prefix: prefix.clone(), exports: vec![export] }),
        }
        Ok(())
    }

    /// Whether something could stand under both prefixes.
    fn meets(&self, prefix: &str) -> bool {
        let begins = |long: &str, short: &str| {
            long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        begins(&self.prefix, prefix) || begins(prefix, &self.prefix)
    }

    /// What exports an operation of the peer's.
    pub(super) fn export(&self, name: &OperationName) -> Option<&Export> {
        self.exports.iter().find(|export| export.operations.iter().any(|pattern| pattern.matches(name)))
    }

    /// What a kind of resource of the peer's is called here.
    pub(super) fn kind(&self, kind: &str) -> Arc<str> {
        format!("{}/{kind}", self.prefix).into()
    }

    /// Keeps the names for as long as the peer is away.
    pub(super) fn reserve(&self, registry: &Registry) -> Vec<Reservation> {
        let names = |export: &Export| {
            let access = export.access();
            let patterns = export.operations.iter().filter_map(|pattern| pattern.prefixed(&self.prefix).ok());
            patterns.map(|pattern| registry.reserve(pattern, access.clone())).collect::<Vec<_>>()
        };
        self.exports.iter().flat_map(names).collect()
    }
}

impl Export {
    /// What is asked of callers of what is not known yet.
    fn access(&self) -> Access {
        match self.required_scopes.is_empty() {
            true => Access::Identified,
            false => Access::Scopes(self.required_scopes.clone()),
        }
    }
}

impl InvalidExport {
    fn taken(export: Export, mount: &Mount) -> Self {
        let (other, other_prefix) = (mount.peer.clone(), mount.prefix.clone());
        Self::PrefixTaken { peer: export.peer, prefix: export.prefix, other, other_prefix }
    }
}
