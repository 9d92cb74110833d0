//! Who owns what in the measurements, and the questions.

use std::sync::Arc;

use alknet_core::Identity;

use crate::rivals::Ownership;

pub(crate) const RESOURCES: usize = 1_000_000;
pub(crate) const OWNERS: usize = 1000;
const KINDS: [&str; 2] = ["tty", "container"];

pub(crate) struct Population {
    kinds: Vec<Arc<str>>,
    pub(crate) owners: Vec<Identity>,
    /// Every resource once, in an order that has nothing to do with that in which they were recorded. With the ids in it,
    /// so that reading the questions costs next to nothing.
    pub(crate) questions: Vec<Question>,
}

pub(crate) struct Question {
    id: [u8; 16],
    kind: u8,
    owner: u16,
}

impl Question {
    /// The resource with this number. Ids are like those that handlers make: random.
    fn about(number: usize) -> Self {
        let mut id = [0; 16];
        let random = scramble(number as u64);
        for (place, digit) in id.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(random >> (4 * place)) as usize & 15];
        }
        Self { id, kind: (number / OWNERS % KINDS.len()) as u8, owner: (number % OWNERS) as u16 }
    }

    pub(crate) fn id(&self) -> &str {
        str::from_utf8(&self.id).unwrap()
    }

    pub(crate) fn kind(&self) -> &'static str {
        KINDS[usize::from(self.kind)]
    }

    pub(crate) fn owner(&self) -> usize {
        usize::from(self.owner)
    }
}

impl Population {
    pub(crate) fn new() -> Self {
        let identity = |number| Identity {
            id: format!("owner-{number:04}").into(),
            scopes: vec![],
            resources: Default::default(),
        };
        let mut questions: Vec<_> = (0..RESOURCES).map(Question::about).collect();
        for place in (1..RESOURCES).rev() {
            questions.swap(place, scramble(!(place as u64)) as usize % (place + 1));
        }
        let kinds = KINDS.map(Into::into).into();
        Self { kinds, owners: (0..OWNERS).map(identity).collect(), questions }
    }

    /// Puts every resource into the store, by number. The texts of kinds and owners share their memory.
    pub(crate) fn fill<S: Ownership>(&self, mut store: S) -> S {
        for number in 0..RESOURCES {
            let question = Question::about(number);
            let kind = self.kinds[usize::from(question.kind)].clone();
            store.put(kind, question.id().into(), self.owners[question.owner()].id.clone());
        }
        store
    }
}

/// Different numbers give different ones without any order (the finalizer of SplitMix64).
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
