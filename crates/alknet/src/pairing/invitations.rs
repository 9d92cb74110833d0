//! The invitations that are open.

use std::collections::BTreeMap;

use alknet_core::{Scope, TokenHash};
use serde::{Deserialize, Serialize};

use super::PairingError;
use crate::config::{Parsed, PeerId};

/// How many invitations can be open at a time.
pub const MAX_INVITATIONS: usize = 256;

/// That whoever has a token may come, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// As whom.
    pub id: PeerId,
    /// What it may do then.
    pub scopes: Vec<Scope>,
    /// On which named things, by resource type.
    pub resources: BTreeMap<String, Vec<String>>,
    /// The hash of the token.
    pub token: TokenHash,
    /// Until when, in seconds since 1970.
    pub expires: u64,
}

/// Open invitations, at most one for each id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invitations(Vec<Invitation>);

impl Invitations {
    /// Adds an invitation, in the place of an older one for the same id. Forgets what has expired.
    ///
    /// # Errors
    /// When there are too many; then nothing is added.
    pub fn add(&mut self, invitation: Invitation, now: u64) -> Result<(), PairingError> {
        self.0.retain(|other| other.expires > now && other.id != invitation.id);
        if self.0.len() >= MAX_INVITATIONS {
            return Err(PairingError::TooMany);
        }
        self.0.push(invitation);
        Ok(())
    }

    /// The open invitation that a token is for.
    pub fn find(&self, token: &TokenHash, now: u64) -> Option<&Invitation> {
        self.open(now).find(|invitation| invitation.token == *token)
    }

    /// Takes an invitation away. Says whether there was one.
    pub fn remove(&mut self, id: &PeerId) -> bool {
        let before = self.0.len();
        self.0.retain(|invitation| invitation.id != *id);
        self.0.len() < before
    }

    /// Those that have not expired.
    pub fn open(&self, now: u64) -> impl Iterator<Item = &Invitation> {
        self.0.iter().filter(move |invitation| invitation.expires > now)
    }

    /// As [`from_json`](Self::from_json) reads it.
    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let invitations = self.0.iter().map(|invitation| Written {
            id: invitation.id.as_str(),
            scopes: invitation.scopes.iter().map(Scope::as_str).collect(),
            resources: &invitation.resources,
            token_sha256: invitation.token.to_string(),
            expires: invitation.expires,
        });
        let mut text = serde_json::to_vec_pretty(&File { invitations: invitations.collect() })?;
        text.push(b'\n');
        Ok(text)
    }

    pub(super) fn from_json(text: &[u8]) -> serde_json::Result<Self> {
        let File { invitations } = serde_json::from_slice::<File<Read>>(text)?;
        let invitation = |read: Read| Invitation {
            id: read.id.0,
            scopes: read.scopes.into_iter().map(|scope| scope.0).collect(),
            resources: read.resources,
            token: read.token_sha256.0,
            expires: read.expires,
        };
        Ok(Self(invitations.into_iter().map(invitation).collect()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<T> {
    invitations: Vec<T>,
}

#[derive(Serialize)]
struct Written<'i> {
    id: &'i str,
    scopes: Vec<&'i str>,
    resources: &'i BTreeMap<String, Vec<String>>,
    token_sha256: String,
    expires: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    id: Parsed<PeerId>,
    scopes: Vec<Parsed<Scope>>,
    resources: BTreeMap<String, Vec<String>>,
    token_sha256: Parsed<TokenHash>,
    expires: u64,
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn invitation(id: &str, token: u32, expires: u64) -> Invitation {
        Invitation {
            id: id.parse().unwrap(),
            scopes: vec!["tty:use".parse().unwrap()],
            resources: BTreeMap::from([("repo".to_owned(), vec!["site".to_owned()])]),
            token: TokenHash::of(&token.to_string()),
            expires,
        }
    }

    #[test]
    fn there_is_a_limit_that_what_has_expired_does_not_count_for() {
        let mut invitations = Invitations::default();
        for number in 0..MAX_INVITATIONS {
            invitations.add(invitation(&format!("p{number}"), number as u32, 10), 0).unwrap();
        }
        assert!(matches!(invitations.add(invitation("one", 999, 10), 9), Err(PairingError::TooMany)));
        invitations.add(invitation("p7", 999, 10), 9).unwrap();
        invitations.add(invitation("one", 1000, 20), 10).unwrap();
        assert_eq!(invitations.open(10).count(), 1);
    }

    #[test]
    fn they_read_back_from_their_file_and_no_token_is_in_it() {
        let mut invitations = Invitations::default();
        let token = super::super::JoinToken::generate().unwrap();
        let entry = Invitation { token: token.hash(), ..invitation("worker", 0, u64::MAX) };
        invitations.add(entry, 0).unwrap();
        let text = String::from_utf8(invitations.to_json().unwrap()).unwrap();
        assert!(!text.contains(&*token.reveal()), "{text}");
        assert_eq!(Invitations::from_json(text.as_bytes()).unwrap(), invitations);
        for damage in ["", "{}", &text[..40], &text.replace("worker", "a/b"), &text.replace("expires", "expired")] {
            assert!(Invitations::from_json(damage.as_bytes()).is_err(), "{damage}");
        }
    }

    /// What can happen to invitations.
    #[derive(Debug, Clone)]
    enum Step {
        Add { id: u8, lifetime: u64 },
        Remove { id: u8 },
        Find { token: u32 },
        Wait { seconds: u64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0u8..4, 1u64..100).prop_map(|(id, lifetime)| Step::Add { id, lifetime }),
            (0u8..4).prop_map(|id| Step::Remove { id }),
            (0u32..40).prop_map(|token| Step::Find { token }),
            (0u64..60).prop_map(|seconds| Step::Wait { seconds }),
        ];
        proptest::collection::vec(step, 0..40)
    }

    proptest! {
        /// The model: for each id the last token, until it is removed or its time is over.
        #[test]
        fn a_token_is_good_until_another_takes_its_place_or_it_is_removed_or_expires(steps in steps()) {
            let (mut invitations, mut model) = (Invitations::default(), HashMap::<u8, (u32, u64)>::new());
            let (mut now, mut next) = (1000, 0u32);
            for step in steps {
                match step {
                    Step::Add { id, lifetime } => {
                        invitations.add(invitation(&id.to_string(), next, now + lifetime), now).unwrap();
                        model.insert(id, (next, now + lifetime));
                        next += 1;
                    }
                    Step::Remove { id } => {
                        invitations.remove(&id.to_string().parse().unwrap());
                        model.remove(&id);
                    }
                    Step::Find { token } => {
                        let found = invitations.find(&TokenHash::of(&token.to_string()), now);
                        let good = model.iter().find(|(_, (of, until))| *of == token && *until > now);
                        prop_assert_eq!(found.map(|found| found.id.to_string()), good.map(|(id, _)| id.to_string()));
                    }
                    Step::Wait { seconds } => now += seconds,
                }
                let open = model.values().filter(|(_, until)| *until > now).count();
                prop_assert_eq!(invitations.open(now).count(), open);
            }
        }
    }
}
