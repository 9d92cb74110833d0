//! The terminals of those who are no peers any more.

use std::sync::Arc;

use alknet_core::IdentityProvider;
use tokio::select;

use crate::Terminals;

/// Ends the terminals whose owner is no enabled peer (any more), as soon as `identities` changes. To be spawned once for
/// each [`Terminals`]; it goes on until those [shut down](Terminals::shutdown).
///
/// A terminal that is spawned while its owner is being removed ends, too. So does one whose owner never was a peer: a
/// handler that spawns terminals in its own name needs the id of a peer as its
/// [authority](alknet_call::CompositionAuthority).
pub async fn end_orphans(terminals: Terminals, identities: Arc<dyn IdentityProvider>) {
    // Both before the first look, so that whatever changes after it is another reason to look.
    let (mut changes, mut births) = (identities.changes(), terminals.births());
    loop {
        for orphan in terminals.list().into_iter().filter(|info| !identities.is_known(&info.owner)) {
            if terminals.hang_up(&orphan.id) {
                let (terminal, peer) = (&*orphan.id, &*orphan.owner);
                tracing::info!(terminal, peer, "terminal killed: {peer} is no peer any more");
            }
        }
        select! {
            changed = changes.changed() => if changed.is_err() { return },
            born = births.changed() => if born.is_err() { return },
            () = terminals.closing() => return,
        }
    }
}
