//! How many terminals there are, in all and of each owner.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::iter::successors;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::{TtyConfig, TtyError};

/// Counts terminals.
#[derive(Default)]
pub(crate) struct Slots(Mutex<HashMap<Holder, u32>>);

/// Whom a terminal counts for: its owner, or if that spawns for others, the one of these whom it is for. So no user of a
/// hub can use up what the hub may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Holder {
    owner: Arc<str>,
    /// The ids in the claim, from the one that the owner serves to the one at the end of a chain of hubs.
    users: Vec<String>,
}

impl Holder {
    fn of(owner: &Arc<str>, claim: Option<&str>) -> Self {
        let claim: Value = claim.and_then(|claim| serde_json::from_str(claim).ok()).unwrap_or_default();
        let chain = successors(Some(&claim), |claim| claim.get("forwarded_for"));
        let users = chain.filter_map(|claim| Some(claim.get("id")?.as_str()?.to_owned())).collect();
        Self { owner: owner.clone(), users }
    }
}

/// Room for one terminal; dropping it gives the room back.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    holder: Holder,
}

impl Slots {
    pub(crate) fn take(
        self: &Arc<Self>,
        owner: &Arc<str>,
        claim: Option<&str>,
        config: &TtyConfig,
    ) -> Result<Slot, TtyError> {
        let holder = Holder::of(owner, claim);
        let mut counts = self.counts();
        let own = counts.get(&holder).copied().unwrap_or_default();
        if own >= config.max_terminals_per_owner {
            return Err(TtyError::TooManyOfOwner { limit: config.max_terminals_per_owner });
        }
        // Whoever spawns says for whom, so that alone must not get anybody more and more of them.
        let limit = config.max_terminals_per_peer.max(config.max_terminals_per_owner);
        if counts.iter().filter(|(other, _)| other.owner == *owner).map(|(_, count)| count).sum::<u32>() >= limit {
            return Err(TtyError::TooManyOfPeer { limit });
        }
        if counts.values().sum::<u32>() >= config.max_terminals {
            return Err(TtyError::TooManyTerminals { limit: config.max_terminals });
        }
        counts.insert(holder.clone(), own + 1);
        Ok(Slot { slots: self.clone(), holder })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Holder, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Entry::Occupied(mut own) = self.slots.counts().entry(self.holder.clone()) {
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
        let held = [&alice, &alice].map(|owner| slots.take(owner, None, &config).unwrap());
        assert!(matches!(slots.take(&alice, None, &config), Err(TtyError::TooManyOfOwner { limit: 2 })));
        let third = slots.take(&bob, None, &config).unwrap();
        assert!(matches!(slots.take(&bob, None, &config), Err(TtyError::TooManyTerminals { limit: 3 })));
        drop((held, third));
        assert!(slots.counts().is_empty());
    }
    fn config(per_owner: u32, per_peer: u32) -> TtyConfig {
        TtyConfig { max_terminals_per_owner: per_owner, max_terminals_per_peer: per_peer, ..TtyConfig::default() }
    }

    #[test]
    fn the_users_of_a_hub_count_apart_however_many_hubs_are_between() {
        let (slots, hub, config) = (Arc::new(Slots::default()), Arc::from("hub"), config(1, 9));
        let claims = [
            None,
            Some(r#"{"id":"alice"}"#),
            Some(r#"{"id":"bob"}"#),
            Some(r#"{"id":"hub-2","forwarded_for":{"id":"alice"}}"#),
            Some(r#"{"id":"hub-2","forwarded_for":{"id":"bob"}}"#),
        ];
        let held = claims.map(|claim| slots.take(&hub, claim, &config).unwrap());
        for claim in claims {
            assert!(
                matches!(slots.take(&hub, claim, &config), Err(TtyError::TooManyOfOwner { limit: 1 })),
                "{claim:?}"
            );
        }
        // What else stands in a claim makes nobody else of anybody, and what is no claim is the owner's own.
        for same in [r#"{"id":"alice","n":1}"#, "{", "[]", r#"{"id":7}"#, "null"] {
            assert!(slots.take(&hub, Some(same), &config).is_err(), "{same}");
        }
        drop(held);
        assert!(slots.counts().is_empty());
    }

    #[test]
    fn who_spawns_for_many_has_a_limit_too() {
        let (slots, hub, other) = (Arc::new(Slots::default()), Arc::from("hub"), Arc::from("other"));
        let claim = |n: u32| format!(r#"{{"id":"user-{n}"}}"#);
        let config = config(1, 3);
        let held: Vec<_> = (0..3).map(|n| slots.take(&hub, Some(&claim(n)), &config).unwrap()).collect();
        assert!(matches!(slots.take(&hub, Some(&claim(3)), &config), Err(TtyError::TooManyOfPeer { limit: 3 })));
        assert!(slots.take(&other, Some(&claim(3)), &config).is_ok());
        // The limit of one owner is never the greater one.
        assert!(slots.take(&hub, None, &self::config(5, 3)).is_ok());
        drop(held);
    }
}
