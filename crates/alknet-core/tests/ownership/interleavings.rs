//! Threads at the index of the store, in thousands of orders. Wherever one can see what another does (locks,
//! channels, cancellations), the checker may go on with another thread. A failure prints the schedule that led to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::broadcast::Receiver;

use crate::index::Index;
use crate::sync::CancellationToken;
use crate::{OwnershipError, OwnershipEvent, OwnershipRecord};

/// How many orders each scenario is run in, by each of two ways of choosing them.
const ORDERS: usize = 1_000;
/// How many changes of thread a bug may need for the second way to look for it: it puts that many where they matter.
const DEPTH: usize = 4;

type Records = Vec<Arc<OwnershipRecord>>;
type Tokens = Arc<Mutex<Vec<CancellationToken>>>;
type Thread = Box<dyn FnOnce(&Index) + Send>;

/// Runs a scenario in many orders. One shard makes everything meet in the same locks; with four, most things do not.
fn explore(scenario: impl Fn(Index) + Copy + Send + Sync + 'static) {
    shuttle::check_random(move || scenario(Index::new(1)), ORDERS);
    shuttle::check_pct(move || scenario(Index::new(1)), ORDERS, DEPTH);
    shuttle::check_random(move || scenario(Index::new(4)), ORDERS / 10);
}

/// Runs the threads to their ends, and gives the index as it then is.
fn together(index: Index, threads: impl IntoIterator<Item = Thread>) -> Arc<Index> {
    let index = Arc::new(index);
    let run = |thread: Thread| {
        let index = index.clone();
        shuttle::thread::spawn(move || thread(&index))
    };
    let threads: Vec<_> = threads.into_iter().map(run).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    index
}

fn thread(work: impl FnOnce(&Index) + Send + 'static) -> Thread {
    Box::new(work)
}

fn tty(id: &str, owner: &str) -> OwnershipRecord {
    OwnershipRecord::new("tty", id, owner)
}

fn ids(records: &Records) -> Vec<&str> {
    records.iter().map(|record| &*record.id).collect()
}

#[test]
fn no_check_passes_that_starts_after_a_revocation_returned() {
    explore(|index| {
        index.record(tty("1", "alice")).unwrap();
        let revoked = Arc::new(AtomicBool::new(false));
        let revoker = |revoked: Arc<AtomicBool>| {
            thread(move |index| {
                index.revoke("tty", "1");
                revoked.store(true, Ordering::SeqCst);
            })
        };
        let checker = |revoked: Arc<AtomicBool>| {
            thread(move |index| {
                for _ in 0..2 {
                    let before = revoked.load(Ordering::SeqCst);
                    assert!(!(index.owns("alice", "tty", "1") && before));
                    let before = revoked.load(Ordering::SeqCst);
                    assert!(!(index.owns_any("alice", "tty") && before));
                    let before = revoked.load(Ordering::SeqCst);
                    assert!(index.owned("alice", None).is_empty() || !before);
                }
            })
        };
        // Two who revoke: for the one that comes second it has to be as true when it returns.
        together(index, [revoker(revoked.clone()), revoker(revoked.clone()), checker(revoked)]);
    });
}

#[test]
fn what_was_asked_for_before_a_check_that_passed_is_cancelled_by_the_revocation() {
    explore(|index| {
        index.record(tty("1", "alice")).unwrap();
        let (asked, passed): (Tokens, Tokens) = Default::default();
        let user = || {
            let (asked, passed) = (asked.clone(), passed.clone());
            thread(move |index| {
                let token = index.revocation("tty", "1");
                asked.lock().unwrap().push(token.clone());
                if index.owns("alice", "tty", "1") {
                    passed.lock().unwrap().push(token);
                }
            })
        };
        let revoker = || {
            let passed = passed.clone();
            thread(move |index| {
                index.revoke("tty", "1");
                assert!(are_cancelled(&passed));
            })
        };
        together(index, [user(), user(), revoker(), revoker()]);
        assert!(are_cancelled(&asked));
    });
}

#[test]
fn of_two_that_record_one_id_exactly_one_wins() {
    explore(|index| {
        let winners: Arc<Mutex<Vec<&str>>> = Arc::default();
        let recorder = |owner| {
            let winners = winners.clone();
            thread(move |index| match index.record(tty("1", owner)) {
                Ok(()) => {
                    assert!(index.owns(owner, "tty", "1"));
                    winners.lock().unwrap().push(owner);
                }
                Err(OwnershipError::Taken { .. }) => assert!(!index.owns(owner, "tty", "1")),
                Err(other) => panic!("{other}"),
            })
        };
        let index = together(index, [recorder("alice"), recorder("bob")]);
        let winners = winners.lock().unwrap().clone();
        assert_eq!(winners.len(), 1);
        for owner in ["alice", "bob"] {
            assert_eq!(index.owned(owner, None).len(), usize::from(winners == [owner]));
        }
        assert_halves_agree(&index);
    });
}

#[test]
fn of_two_that_revoke_one_id_exactly_one_is_given_the_record() {
    explore(|index| {
        index.record(tty("1", "alice")).unwrap();
        let given: Arc<Mutex<Records>> = Arc::default();
        let revoker = || {
            let given = given.clone();
            thread(move |index| given.lock().unwrap().extend(index.revoke("tty", "1")))
        };
        let index = together(index, [revoker(), revoker()]);
        assert_eq!(ids(&given.lock().unwrap()), ["1"]);
        assert_halves_agree(&index);
    });
}

#[test]
fn whatever_changed_at_once_both_halves_of_the_index_agree_at_rest() {
    explore(|index| {
        index.record(tty("1", "alice")).unwrap();
        index.record(tty("2", "bob")).unwrap();
        let index = together(index, changes());
        assert_halves_agree(&index);
        assert_eq!(index.sizes().channels, 0);
    });
}

#[test]
fn a_watcher_of_one_owner_sees_each_change_once_and_in_order() {
    explore(|index| {
        index.record(tty("1", "alice")).unwrap();
        let watched: Arc<Mutex<Option<(Records, Receiver<_>)>>> = Arc::default();
        let watcher = {
            let watched = watched.clone();
            thread(move |index| *watched.lock().unwrap() = Some(index.watch(Some("alice"))))
        };
        let index = together(index, changes().into_iter().chain([watcher]));
        let (snapshot, mut events) = watched.lock().unwrap().take().unwrap();
        let mut state = by_id(snapshot);
        for event in received(&mut events) {
            match event {
                OwnershipEvent::Recorded(record) => assert_eq!(state.insert(record.id.to_string(), record), None),
                OwnershipEvent::Revoked(record) => assert_eq!(state.remove(&*record.id), Some(record)),
                OwnershipEvent::Missed => panic!("missed a change"),
            }
        }
        assert_eq!(state, by_id(index.owned("alice", None)));
    });
}

#[test]
fn a_watcher_of_everybody_sees_the_changes_of_each_resource_in_order_and_ends_with_the_state() {
    explore(|index| {
        index.record(tty("1", "alice")).unwrap();
        let watched: Arc<Mutex<Option<(Records, Receiver<_>)>>> = Arc::default();
        let watcher = {
            let watched = watched.clone();
            thread(move |index| *watched.lock().unwrap() = Some(index.watch(None)))
        };
        let index = together(index, changes().into_iter().chain([watcher]));
        let (snapshot, mut events) = watched.lock().unwrap().take().unwrap();
        let mut state = by_id(snapshot);
        let mut last = BTreeMap::new();
        for event in received(&mut events) {
            let (record, is_there) = match event {
                OwnershipEvent::Recorded(record) => (record, true),
                OwnershipEvent::Revoked(record) => (record, false),
                OwnershipEvent::Missed => panic!("missed a change"),
            };
            // A resource comes and goes in turns, and goes from who had it.
            if let Some((owner, was_there)) = last.insert(record.id.clone(), (record.owner.clone(), is_there)) {
                assert_ne!(was_there, is_there);
                assert!(is_there || owner == record.owner);
            }
            match is_there {
                true => state.insert(record.id.to_string(), record),
                false => state.remove(&*record.id),
            };
        }
        assert_eq!(state, by_id(index.watch(None).0));
    });
}

#[test]
fn who_hears_of_a_change_finds_that_checks_answer_as_it_says() {
    explore(|index| {
        index.record(tty("1", "alice")).unwrap();
        let watcher = |owner: Option<&str>| {
            let (_, mut events) = index.watch(owner);
            thread(move |index| {
                // As often as it takes the others in most orders; each lock on the way lets them go on.
                for _ in 0..8 {
                    for event in received(&mut events) {
                        match event {
                            OwnershipEvent::Recorded(record) => assert!(index.owns("alice", "tty", &record.id)),
                            OwnershipEvent::Revoked(record) => assert!(!index.owns("alice", "tty", &record.id)),
                            OwnershipEvent::Missed => panic!("missed a change"),
                        }
                    }
                    shuttle::thread::yield_now();
                }
            })
        };
        let watchers = [watcher(Some("alice")), watcher(None)];
        let recorder = thread(|index| index.record(tty("2", "alice")).unwrap());
        let revoker = thread(|index| assert!(index.revoke("tty", "1").is_some()));
        together(index, watchers.into_iter().chain([recorder, revoker]));
    });
}

/// Three threads that record and revoke the same few ids for two owners, who take them from each other.
fn changes() -> [Thread; 3] {
    [
        thread(|index| {
            index.revoke("tty", "1");
            let _ = index.record(tty("1", "bob"));
            index.revoke("tty", "2");
        }),
        thread(|index| {
            let _ = index.record(tty("2", "alice"));
            index.revoke("tty", "1");
            let _ = index.record(tty("1", "alice"));
        }),
        thread(|index| {
            let _ = index.record(tty("3", "alice"));
            index.revoke("tty", "2");
            index.revoke("tty", "3");
        }),
    ]
}

/// The table, which `owns` reads and of which a watch of everybody begins, and the lists by owner.
fn assert_halves_agree(index: &Index) {
    let all = index.watch(None).0;
    let mut listed: Records = ["alice", "bob"].iter().flat_map(|owner| index.owned(owner, None)).collect();
    listed.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(all, listed);
    for record in all {
        assert!(index.owns(&record.owner, &record.kind, &record.id));
        assert!(index.owns_any(&record.owner, &record.kind));
        assert!(!index.revocation(&record.kind, &record.id).is_cancelled());
    }
    let owners: std::collections::BTreeSet<_> = listed.iter().map(|record| &record.owner).collect();
    assert_eq!(index.sizes().owners, owners.len());
}

fn are_cancelled(tokens: &Tokens) -> bool {
    tokens.lock().unwrap().iter().all(CancellationToken::is_cancelled)
}

fn by_id(records: Records) -> BTreeMap<String, Arc<OwnershipRecord>> {
    records.into_iter().map(|record| (record.id.to_string(), record)).collect()
}

fn received(events: &mut Receiver<OwnershipEvent>) -> Vec<OwnershipEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}
