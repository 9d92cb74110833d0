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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::pairing::joined::tests::key;
    use crate::pairing::{Invitation, Known};

    #[test]
    fn what_is_in_memory_is_what_was_on_disk_last_and_has_not_expired() {
        let folder = tempfile::tempdir().unwrap();
        let (store, now) = (Store::new(folder.path().to_owned()), Arc::new(AtomicU64::new(100)));
        let token = TokenHash::of("t");
        let invitation = Invitation {
            id: "worker".parse().unwrap(),
            scopes: Vec::new(),
            resources: Default::default(),
            token,
            expires: 200,
        };
        let known = Known { configured: Vec::new(), own: key(255), now: 100 };
        let (_, ledger) = store.change(|ledger| ledger.invite(invitation, &known)).unwrap();
        let told = now.clone();
        let clock = Clock::new(move || told.load(Ordering::Relaxed));
        let (desk, read) = Desk::open(store, clock).unwrap();
        assert_eq!(read, ledger);
        assert!(desk.may_open(&token) && !desk.may_open(&TokenHash::of("guess")));
        now.store(200, Ordering::Relaxed);
        assert!(!desk.may_open(&token));
        now.store(100, Ordering::Relaxed);
        desk.follow(&Ledger::default());
        assert!(!desk.may_open(&token));
    }
}
