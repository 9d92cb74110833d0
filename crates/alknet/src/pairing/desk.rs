//! What a node that runs has of pairing.

use std::sync::{Mutex, PoisonError};

use alknet_core::TokenHash;

use super::{Clock, Invitations, Ledger, PairingError, Store};

/// The files, and in memory what strangers can ask for: whoever guesses tokens costs the node no look at the disk.
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    open: Mutex<Invitations>,
}

impl Desk {
    /// Reads the files.
    pub(crate) fn open(store: Store, clock: Clock) -> Result<(Self, Ledger), PairingError> {
        let ledger = store.read()?;
        let open = Mutex::new(ledger.invitations.clone());
        Ok((Self { store, clock, open }, ledger))
    }

    /// Takes note of what is on disk now.
    pub(crate) fn follow(&self, ledger: &Ledger) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = ledger.invitations.clone();
    }

    /// Whether a token may be good. That it is, the disk says.
    pub(crate) fn may_open(&self, token: &TokenHash) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.find(token, self.clock.now()).is_some()
    }
}
