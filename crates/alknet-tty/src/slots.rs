//! How many terminals there are, in all and of each owner.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{TtyConfig, TtyError};

/// Counts terminals.
#[derive(Default)]
pub(crate) struct Slots(Mutex<HashMap<Arc<str>, u32>>);

/// Room for one terminal; dropping it gives the room back.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    owner: Arc<str>,
}

impl Slots {
    pub(crate) fn take(self: &Arc<Self>, owner: &Arc<str>, config: &TtyConfig) -> Result<Slot, TtyError> {
        let mut counts = self.counts();
        let own = counts.get(owner).copied().unwrap_or_default();
        if own >= config.max_terminals_per_owner {
            return Err(TtyError::TooManyOfOwner { limit: config.max_terminals_per_owner });
        }
        if counts.values().sum::<u32>() >= config.max_terminals {
            return Err(TtyError::TooManyTerminals { limit: config.max_terminals });
        }
        counts.insert(owner.clone(), own + 1);
        Ok(Slot { slots: self.clone(), owner: owner.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Arc<str>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut own) = self.slots.counts().entry(self.owner.clone()) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_in_all_and_of_one_owner() {
        let config = TtyConfig { max_terminals: 3, max_terminals_per_owner: 2, ..TtyConfig::default() };
        let (slots, alice, bob) = (Arc::new(Slots::default()), Arc::from("alice"), Arc::from("bob"));
        let held = [&alice, &alice].map(|owner| slots.take(owner, &config).unwrap());
        assert!(matches!(slots.take(&alice, &config), Err(TtyError::TooManyOfOwner { limit: 2 })));
        let third = slots.take(&bob, &config).unwrap();
        assert!(matches!(slots.take(&bob, &config), Err(TtyError::TooManyTerminals { limit: 3 })));
        drop((held, third));
        assert!(slots.counts().is_empty());
    }
}
