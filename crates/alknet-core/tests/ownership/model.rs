//! Random sequences of changes, and after each of them every question that can be asked.

use std::collections::{BTreeMap, BTreeSet};

use alknet_core::{
    Identity, MemoryOwnership, OwnershipEvent, OwnershipProvider as _, OwnershipRecord, OwnershipStore as _,
    OwnershipWatch,
};
use futures_util::FutureExt as _;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

const OWNERS: [&str; 3] = ["alice", "bob", ""];
/// Such that one is the beginning of another, and that kind and id together may read the same.
const KINDS: [&str; 4] = ["tty", "ttys", "container", ""];
const IDS: [&str; 4] = ["1", "s1", "", "2"];

/// Kind, id and owner.
type Fact = (String, String, String);

#[derive(Debug, Clone)]
enum Step {
    Record {
        kind: &'static str,
        id: &'static str,
        owner: &'static str,
    },
    Revoke {
        kind: &'static str,
        id: &'static str,
    },
    AskForRevocation {
        kind: &'static str,
        id: &'static str,
    },
    Watch {
        owner: Option<&'static str>,
    },
    /// The watchers, who are not asked after each step, catch up.
    Receive,
}

fn step() -> impl Strategy<Value = Step> {
    let owner = || prop::sample::select(&OWNERS[..]);
    let kind = || prop::sample::select(&KINDS[..]);
    let id = || prop::sample::select(&IDS[..]);
    prop_oneof![
        6 => (kind(), id(), owner()).prop_map(|(kind, id, owner)| Step::Record { kind, id, owner }),
        4 => (kind(), id()).prop_map(|(kind, id)| Step::Revoke { kind, id }),
        2 => (kind(), id()).prop_map(|(kind, id)| Step::AskForRevocation { kind, id }),
        1 => prop::option::of(owner()).prop_map(|owner| Step::Watch { owner }),
        1 => Just(Step::Receive),
    ]
}

/// What the store should be, and those who look at it.
#[derive(Default)]
struct Model {
    owner_of: BTreeMap<(&'static str, &'static str), &'static str>,
    watchers: Vec<Watcher>,
    revocations: Vec<Revocation>,
}

struct Watcher {
    owner: Option<&'static str>,
    watch: OwnershipWatch,
    state: BTreeSet<Fact>,
}

struct Revocation {
    kind: &'static str,
    id: &'static str,
    token: CancellationToken,
    is_due: bool,
}

impl Model {
    fn take(&mut self, store: &MemoryOwnership, step: Step) {
        match step {
            Step::Record { kind, id, owner } => {
                let done = store.record(OwnershipRecord::new(kind, id, owner)).now_or_never().unwrap();
                assert_eq!(done.is_ok(), !self.owner_of.contains_key(&(kind, id)));
                self.owner_of.entry((kind, id)).or_insert(owner);
            }
            Step::Revoke { kind, id } => {
                let record = store.revoke(kind, id).now_or_never().unwrap();
                assert_eq!(record.map(|record| fact(&record)), self.facts(|fact| fact.0 == kind && fact.1 == id).pop());
                self.owner_of.remove(&(kind, id));
                let concerned = self.revocations.iter_mut().filter(|one| one.kind == kind && one.id == id);
                concerned.for_each(|one| one.is_due = true);
            }
            Step::AskForRevocation { kind, id } => {
                let is_due = !self.owner_of.contains_key(&(kind, id));
                self.revocations.push(Revocation { kind, id, token: store.revocation(kind, id), is_due });
            }
            Step::Watch { owner } => {
                let watch = store.watch(owner);
                let snapshot: Vec<_> = watch.snapshot.iter().map(|record| fact(record)).collect();
                assert_eq!(snapshot, self.facts(|fact| owner.is_none_or(|owner| fact.2 == owner)));
                self.watchers.push(Watcher { owner, watch, state: snapshot.into_iter().collect() });
            }
            Step::Receive => self.let_watchers_catch_up(),
        }
    }

    fn let_watchers_catch_up(&mut self) {
        let mut watchers = std::mem::take(&mut self.watchers);
        for watcher in &mut watchers {
            watcher.catch_up();
            let owner = watcher.owner;
            let expected = self.facts(|fact| owner.is_none_or(|owner| fact.2 == owner));
            assert_eq!(watcher.state, expected.into_iter().collect());
        }
        self.watchers = watchers;
    }

    /// By kind and id.
    fn facts(&self, which: impl Fn(&Fact) -> bool) -> Vec<Fact> {
        let all = self.owner_of.iter().map(|((kind, id), owner)| ((*kind).into(), (*id).into(), (*owner).into()));
        all.filter(which).collect()
    }

    fn assert_matches(&self, store: &MemoryOwnership) {
        for owner in OWNERS {
            let identity = Identity { id: owner.into(), scopes: vec![], resources: BTreeMap::new() };
            let owned = |kind| store.owned_resources(&identity, kind).iter().map(|r| fact(r)).collect::<Vec<_>>();
            assert_eq!(owned(None), self.facts(|fact| fact.2 == owner));
            for kind in KINDS {
                let expected = self.facts(|fact| fact.2 == owner && fact.0 == kind);
                assert_eq!(store.owns_any(&identity, kind), !expected.is_empty());
                assert_eq!(owned(Some(kind)), expected);
                for id in IDS {
                    let owns = self.owner_of.get(&(kind, id)) == Some(&owner);
                    assert_eq!(store.owns(&identity, kind, id, "write"), owns, "{owner} {kind} {id}");
                }
            }
        }
        for one in &self.revocations {
            assert_eq!(one.token.is_cancelled(), one.is_due, "{} {}", one.kind, one.id);
        }
    }
}

impl Watcher {
    /// Nothing comes twice, nothing goes that is not there, and nothing is missed.
    fn catch_up(&mut self) {
        while let Some(event) = self.watch.next().now_or_never() {
            match event {
                Some(OwnershipEvent::Recorded(record)) => assert!(self.state.insert(fact(&record))),
                Some(OwnershipEvent::Revoked(record)) => assert!(self.state.remove(&fact(&record))),
                other => panic!("{other:?}"),
            }
        }
    }
}

fn fact(record: &OwnershipRecord) -> Fact {
    (record.kind.to_string(), record.id.to_string(), record.owner.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_store_answers_as_the_model_does(steps in prop::collection::vec(step(), 1..120)) {
        let store = MemoryOwnership::default();
        let mut model = Model::default();
        for step in steps {
            model.take(&store, step);
            model.assert_matches(&store);
        }
        model.let_watchers_catch_up();
    }
}
