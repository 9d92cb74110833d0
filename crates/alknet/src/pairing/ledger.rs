//! The rules of pairing.

use std::collections::BTreeMap;

use alknet_core::{Fingerprint, Scope, TokenHash};

use super::{Invitation, Invitations, Joined, PairingError};
use crate::config::{Address, PeerEntry, PeerId};

/// Who has joined, and who may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Who has.
    pub joined: Joined,
    /// Who may.
    pub invitations: Invitations,
}

/// A node to be a peer of this one.
#[derive(Debug, Clone)]
pub struct Addition {
    /// As whom.
    pub id: PeerId,
    /// Its key.
    pub key: Fingerprint,
    /// Where this node dials it.
    pub address: Option<Address>,
    /// What it may do here; as before, if nothing is said.
    pub scopes: Option<Vec<Scope>>,
    /// On which named things; as before, if nothing is said.
    pub resources: Option<BTreeMap<String, Vec<String>>>,
    /// Whether this node stays connected with it.
    pub connect: bool,
}

/// What the rules have to know besides.
#[derive(Debug, Clone)]
pub struct Known {
    /// The peers of the configuration.
    pub configured: Vec<PeerEntry>,
    /// The node's own key.
    pub own: Fingerprint,
    /// The time, in seconds since 1970.
    pub now: u64,
}

impl Ledger {
    /// Whether there is a peer of that id, whether configured or joined.
    pub fn has(&self, id: &PeerId, known: &Known) -> bool {
        known.has(id) || self.joined.peer(id).is_some()
    }

    /// Opens an invitation. Says whether whoever takes it will take the place of a peer that has joined.
    ///
    /// # Errors
    /// When the id is the configuration's, or too many are open.
    pub fn invite(&mut self, invitation: Invitation, known: &Known) -> Result<bool, PairingError> {
        let id = invitation.id.clone();
        if known.has(&id) {
            return Err(PairingError::Configured { id });
        }
        self.invitations.add(invitation, known.now)?;
        Ok(self.joined.peer(&id).is_some())
    }

    /// Closes an invitation.
    ///
    /// # Errors
    /// When there is none.
    pub fn uninvite(&mut self, id: &PeerId, known: &Known) -> Result<(), PairingError> {
        let is_open = self.invitations.open(known.now).any(|invitation| invitation.id == *id);
        self.invitations.remove(id);
        if is_open { Ok(()) } else { Err(PairingError::NotInvited { id: id.clone() }) }
    }

    /// Lets the holder of `key` in, who has shown a token, and uses that up. Gives the new peer.
    ///
    /// # Errors
    /// When the token is not good; or when the configuration has the id, or the key has another one, and then the token
    /// stays good.
    pub fn join(&mut self, token: &TokenHash, key: Fingerprint, known: &Known) -> Result<PeerEntry, PairingError> {
        let invitation = self.invitations.find(token, known.now).ok_or(PairingError::Refused)?.clone();
        let id = &invitation.id;
        self.check_key(&key, id, known)?;
        let old = self.joined.peer(id).filter(|old| old.fingerprints.contains(&key));
        let peer = PeerEntry {
            id: id.clone(),
            fingerprints: vec![key],
            tokens: Vec::new(),
            scopes: invitation.scopes,
            resources: invitation.resources,
            address: old.and_then(|old| old.address.clone()),
            connect: old.is_some_and(|old| old.connect),
            enabled: true,
        };
        self.invitations.remove(&peer.id);
        self.joined.put(peer.clone());
        Ok(peer)
    }

    /// Adds a peer that this node has joined, or brings its entry up to date.
    ///
    /// # Errors
    /// When its key has another id, or its id another key.
    pub fn add(&mut self, addition: Addition, known: &Known) -> Result<(), PairingError> {
        let Addition { id, key, address, scopes, resources, connect } = addition;
        self.check_key(&key, &id, known)?;
        let old = self.joined.peer(&id).cloned();
        if old.as_ref().is_some_and(|old| !old.fingerprints.contains(&key)) {
            return Err(PairingError::IdTaken { id });
        }
        self.joined.put(PeerEntry {
            id,
            fingerprints: vec![key],
            tokens: Vec::new(),
            scopes: scopes.or_else(|| old.as_ref().map(|old| old.scopes.clone())).unwrap_or_default(),
            resources: resources.or_else(|| old.map(|old| old.resources)).unwrap_or_default(),
            address,
            connect,
            enabled: true,
        });
        Ok(())
    }

    /// Removes a peer that has joined, and the invitation by which it could come back.
    ///
    /// # Errors
    /// When it has not.
    pub fn remove(&mut self, id: &PeerId) -> Result<(), PairingError> {
        if !self.joined.remove(id) {
            return Err(PairingError::NotJoined { id: id.clone() });
        }
        self.invitations.remove(id);
        Ok(())
    }

    /// Whether a key can be that of the peer `id`.
    fn check_key(&self, key: &Fingerprint, id: &PeerId, known: &Known) -> Result<(), PairingError> {
        if *key == known.own {
            return Err(PairingError::OwnKey);
        }
        let mut others = known.configured.iter().chain(self.joined.owner(key).filter(|owner| owner.id != *id));
        if let Some(other) = others.find(|other| other.fingerprints.contains(key)) {
            return Err(PairingError::KeyKnown { id: other.id.clone() });
        }
        if known.has(id) { Err(PairingError::Configured { id: id.clone() }) } else { Ok(()) }
    }
}

impl Known {
    fn has(&self, id: &PeerId) -> bool {
        self.configured.iter().any(|peer| peer.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pairing::joined::tests::{key, peer};

    const OWN: u8 = 255;

    fn known(configured: &[PeerEntry]) -> Known {
        Known { configured: configured.to_vec(), own: key(OWN), now: 100 }
    }

    fn addition(id: &str, byte: u8) -> Addition {
        let id = id.parse().unwrap();
        Addition { id, key: key(byte), address: None, scopes: None, resources: None, connect: false }
    }

    fn token(text: &str) -> TokenHash {
        TokenHash::of(text)
    }

    fn invited(id: &str, secret: &str) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.invite(invitation(id, secret), &known(&[])).unwrap();
        ledger
    }

    fn invitation(id: &str, secret: &str) -> Invitation {
        Invitation {
            id: id.parse().unwrap(),
            scopes: vec!["tty:use".parse().unwrap()],
            resources: Default::default(),
            token: token(secret),
            expires: 200,
        }
    }

    #[test]
    fn a_token_lets_one_in_as_the_invitation_says() {
        let mut ledger = invited("worker", "t");
        let joined = ledger.join(&token("t"), key(1), &known(&[])).unwrap();
        assert_eq!(joined, PeerEntry { scopes: vec!["tty:use".parse().unwrap()], ..peer("worker", 1) });
        assert_eq!(ledger.joined.owner(&key(1)), Some(&joined));
        for (secret, who) in [("t", 2), ("t", 1), ("guess", 3)] {
            let refused = ledger.join(&token(secret), key(who), &known(&[])).unwrap_err();
            assert!(matches!(refused, PairingError::Refused), "{refused}");
        }
    }

    #[test]
    fn an_invitation_is_good_until_it_expires() {
        let at = |now| invited("worker", "t").join(&token("t"), key(1), &Known { now, ..known(&[]) });
        assert!(at(199).is_ok());
        assert!(matches!(at(200), Err(PairingError::Refused)));
    }

    #[test]
    fn what_is_known_already_does_not_use_the_token_up() {
        let mut ledger = invited("worker", "t");
        ledger.joined.put(peer("bob", 7));
        let before = ledger.clone();
        for (who, configured, text) in [
            (7, vec![], "this key is the peer \"bob\" here already"),
            (8, vec![peer("carol", 8)], "this key is the peer \"carol\" here already"),
            (8, vec![PeerEntry { enabled: false, ..peer("dave", 8) }], "this key is the peer \"dave\" here already"),
            (9, vec![peer("worker", 1)], "the configuration has a peer \"worker\""),
            (OWN, vec![], "the node's own key"),
        ] {
            let error = ledger.join(&token("t"), key(who), &known(&configured)).unwrap_err().to_string();
            assert!(error.starts_with(text) || error.contains(text), "{error}");
            assert_eq!(ledger, before);
        }
        ledger.join(&token("t"), key(1), &known(&[])).unwrap();
    }

    #[test]
    fn a_second_invitation_brings_the_same_node_up_to_date_or_another_one_in_its_place() {
        let mut ledger = invited("worker", "one");
        let address = Some("worker.example:4433".parse().unwrap());
        ledger.join(&token("one"), key(1), &known(&[])).unwrap();
        ledger.add(Addition { address: address.clone(), connect: true, ..addition("worker", 1) }, &known(&[])).unwrap();
        let kept = ledger.joined.owner(&key(1)).unwrap();
        assert_eq!(kept.scopes, ["tty:use".parse().unwrap()], "it may what it might before");
        assert!(ledger.invite(invitation("worker", "two"), &known(&[])).unwrap());
        let again = ledger.join(&token("two"), key(1), &known(&[])).unwrap();
        assert_eq!((again.address, again.connect), (address, true));
        ledger.invite(invitation("worker", "three"), &known(&[])).unwrap();
        let other = ledger.join(&token("three"), key(2), &known(&[])).unwrap();
        assert_eq!((other.address, other.connect), (None, false));
        assert!(ledger.joined.owner(&key(1)).is_none());
    }

    #[test]
    fn removal_takes_the_way_back_too() {
        let mut ledger = invited("worker", "one");
        ledger.join(&token("one"), key(1), &known(&[])).unwrap();
        ledger.invite(invitation("worker", "two"), &known(&[])).unwrap();
        ledger.remove(&"worker".parse().unwrap()).unwrap();
        assert!(matches!(ledger.join(&token("two"), key(1), &known(&[])), Err(PairingError::Refused)));
        assert!(matches!(ledger.remove(&"worker".parse().unwrap()), Err(PairingError::NotJoined { .. })));
        assert_eq!(ledger, Ledger::default());
    }

    #[test]
    fn an_id_that_is_taken_is_not_taken_over() {
        let mut ledger = Ledger::default();
        ledger.add(addition("hub", 1), &known(&[])).unwrap();
        assert!(matches!(ledger.add(addition("hub", 2), &known(&[])), Err(PairingError::IdTaken { .. })));
        assert!(matches!(ledger.add(addition("bub", 1), &known(&[])), Err(PairingError::KeyKnown { .. })));
        assert!(matches!(ledger.add(addition("x", 3), &known(&[peer("x", 4)])), Err(PairingError::Configured { .. })));
        let invited = ledger.invite(invitation("x", "t"), &known(&[peer("x", 4)]));
        assert!(matches!(invited, Err(PairingError::Configured { .. })));
    }

    proptest! {
        /// Whatever happens, no two peers share an id or a key, and nobody comes in without a token that is open.
        #[test]
        fn peers_stay_apart(steps in proptest::collection::vec((0u8..5, 0u8..4, 0u8..6), 0..60)) {
            let mut ledger = Ledger::default();
            let known = known(&[peer("0", 0)]);
            for (kind, id, which) in steps {
                let (name, before) = (id.to_string(), ledger.clone());
                let changed = match kind {
                    0 => ledger.invite(invitation(&name, &which.to_string()), &known).is_ok(),
                    1 => {
                        let hash = token(&which.to_string());
                        let was_open = before.invitations.find(&hash, known.now).is_some();
                        let joined = ledger.join(&hash, key(id), &known).is_ok();
                        prop_assert!(was_open || !joined);
                        prop_assert!(!joined || ledger.invitations.open(known.now).count() + 1 == before.invitations.open(known.now).count());
                        joined
                    }
                    2 => ledger.add(addition(&name, which), &known).is_ok(),
                    3 => ledger.remove(&name.parse().unwrap()).is_ok(),
                    _ => ledger.uninvite(&name.parse().unwrap(), &known).is_ok(),
                };
                prop_assert!(changed || ledger == before);
                let text = crate::config::edit::peers_text(ledger.joined.peers());
                prop_assert_eq!(&crate::config::parse_peers(&text, "x".as_ref()).unwrap(), ledger.joined.peers());
                prop_assert!(ledger.joined.merge(&known.configured, Some(known.own)).warnings.is_empty());
            }
        }
    }
}
