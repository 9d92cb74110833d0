//! What a store of ownership promises, sentence by sentence.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::index::{BACKLOG, Index, OWNER_BACKLOG};
use super::*;

fn somebody(id: &str) -> Identity {
    Identity { id: id.into(), scopes: vec![], resources: Default::default() }
}

fn record(store: &MemoryOwnership, kind: &str, id: &str, owner: &str) -> Result<(), OwnershipError> {
    store.record(OwnershipRecord::new(kind, id, owner)).now_or_never().expect("the store waits for nothing")
}

fn revoke(store: &MemoryOwnership, kind: &str, id: &str) -> Option<Arc<OwnershipRecord>> {
    store.revoke(kind, id).now_or_never().expect("the store waits for nothing")
}

/// What has been sent and not been received yet.
fn pending(watch: &mut OwnershipWatch) -> Vec<String> {
    let mut events = Vec::new();
    while let Some(Some(event)) = watch.next().now_or_never() {
        events.push(match event {
            OwnershipEvent::Recorded(record) => format!("+{}", record.id),
            OwnershipEvent::Revoked(record) => format!("-{}", record.id),
            OwnershipEvent::Missed => "missed".into(),
        });
    }
    events
}

fn names(records: &[Arc<OwnershipRecord>]) -> Vec<String> {
    records.iter().map(|record| format!("{} {}", record.kind, record.id)).collect()
}

#[test]
fn what_was_spawned_is_its_spawners_and_nobody_elses() {
    let store = MemoryOwnership::default();
    record(&store, "tty", "1", "alice").unwrap();
    assert!(store.owns(&somebody("alice"), "tty", "1", "write"));
    assert!(store.owns_any(&somebody("alice"), "tty"));
    assert!(!store.owns(&somebody("bob"), "tty", "1", "write"));
    assert!(!store.owns_any(&somebody("bob"), "tty"));
    assert!(store.owned_resources(&somebody("bob"), None).is_empty());
}

#[test]
fn what_is_not_there_nobody_owns() {
    let store = MemoryOwnership::default();
    record(&store, "tty", "1", "alice").unwrap();
    assert!(!store.owns(&somebody("alice"), "tty", "2", "write"));
    assert!(!store.owns(&somebody("alice"), "container", "1", "write"));
    assert!(!store.owns_any(&somebody("alice"), "container"));
}

#[test]
fn a_kind_and_an_id_do_not_run_into_each_other() {
    let store = MemoryOwnership::default();
    record(&store, "tty", "s1", "alice").unwrap();
    assert!(!store.owns(&somebody("alice"), "ttys", "1", "write"));
    assert!(!store.owns_any(&somebody("alice"), "tt"));
    assert!(!store.owns_any(&somebody("alice"), "ttys"));
    record(&store, "ttys", "1", "alice").unwrap();
    assert_eq!(names(&store.owned_resources(&somebody("alice"), Some("tty"))), ["tty s1"]);
}

#[test]
fn an_id_that_is_taken_is_refused_and_nothing_changes() {
    let store = MemoryOwnership::default();
    record(&store, "tty", "1", "alice").unwrap();
    let mut watch = store.watch(None);
    for second in ["bob", "alice"] {
        let refusal = record(&store, "tty", "1", second).unwrap_err();
        assert_eq!(refusal.to_string(), "there is a tty \"1\" already; an id names one resource");
    }
    assert!(store.owns(&somebody("alice"), "tty", "1", "write"));
    assert!(!store.owns_any(&somebody("bob"), "tty"));
    assert!(pending(&mut watch).is_empty());
}

#[test]
fn the_owner_is_shown_its_own_by_kind_and_id_with_the_claims() {
    let store = MemoryOwnership::default();
    for (kind, id) in [("tty", "b"), ("container", "c"), ("tty", "a")] {
        record(&store, kind, id, "alice").unwrap();
    }
    record(&store, "tty", "aa", "bob").unwrap();
    let claimed = OwnershipRecord::new("tty", "d", "alice").with_claim(Some(r#"{"sub":"carol"}"#));
    store.record(claimed.clone()).now_or_never().unwrap().unwrap();

    let alice = somebody("alice");
    assert_eq!(names(&store.owned_resources(&alice, None)), ["container c", "tty a", "tty b", "tty d"]);
    assert_eq!(names(&store.owned_resources(&alice, Some("container"))), ["container c"]);
    let ttys = store.owned_resources(&alice, Some("tty"));
    assert_eq!(names(&ttys), ["tty a", "tty b", "tty d"]);
    assert_eq!(*ttys[2], claimed);
}

#[test]
fn equal_texts_of_an_owner_are_kept_once() {
    let store = MemoryOwnership::default();
    record(&store, "tty", "1", "alice").unwrap();
    record(&store, "tty", "2", "alice").unwrap();
    let owned = store.owned_resources(&somebody("alice"), None);
    assert!(Arc::ptr_eq(&owned[0].owner, &owned[1].owner));
    assert!(Arc::ptr_eq(&owned[0].kind, &owned[1].kind));
}

#[test]
fn after_a_revocation_no_check_passes_and_the_record_is_given_once() {
    let store = MemoryOwnership::default();
    record(&store, "tty", "1", "alice").unwrap();
    record(&store, "tty", "2", "alice").unwrap();
    assert_eq!(*revoke(&store, "tty", "1").unwrap(), OwnershipRecord::new("tty", "1", "alice"));
    let alice = somebody("alice");
    assert!(!store.owns(&alice, "tty", "1", "write"));
    assert!(store.owns(&alice, "tty", "2", "write"));
    assert_eq!(names(&store.owned_resources(&alice, None)), ["tty 2"]);
    assert_eq!(revoke(&store, "tty", "1"), None);
    revoke(&store, "tty", "2").unwrap();
    assert!(!store.owns_any(&alice, "tty"));
}

#[test]
fn whoever_waits_for_a_revocation_is_told_by_it() {
    let store = MemoryOwnership::default();
    record(&store, "tty", "1", "alice").unwrap();
    record(&store, "tty", "2", "alice").unwrap();
    let (first, second, other) =
        (store.revocation("tty", "1"), store.revocation("tty", "1"), store.revocation("tty", "2"));
    assert!(!first.is_cancelled() && !second.is_cancelled());
    revoke(&store, "tty", "1").unwrap();
    assert!(first.is_cancelled() && second.is_cancelled());
    assert!(!other.is_cancelled());
}

#[test]
fn the_revocation_of_what_is_not_there_has_been() {
    let store = MemoryOwnership::default();
    assert!(store.revocation("tty", "1").is_cancelled());
    record(&store, "tty", "1", "alice").unwrap();
    revoke(&store, "tty", "1").unwrap();
    assert!(store.revocation("tty", "1").is_cancelled());
}

#[test]
fn a_future_that_is_never_polled_changes_nothing() {
    let store = MemoryOwnership::default();
    drop(store.record(OwnershipRecord::new("tty", "1", "alice")));
    assert!(!store.owns_any(&somebody("alice"), "tty"));
    record(&store, "tty", "1", "alice").unwrap();
    drop(store.revoke("tty", "1"));
    assert!(store.owns(&somebody("alice"), "tty", "1", "write"));
}

#[test]
fn a_watch_begins_with_the_state_and_goes_on_with_the_changes() {
    let store = MemoryOwnership::default();
    for (id, owner) in [("2", "bob"), ("3", "alice"), ("1", "alice")] {
        record(&store, "tty", id, owner).unwrap();
    }
    let (mut alices, mut all) = (store.watch(Some("alice")), store.watch(None));
    assert_eq!(names(&alices.snapshot), ["tty 1", "tty 3"]);
    assert_eq!(names(&all.snapshot), ["tty 1", "tty 2", "tty 3"]);
    record(&store, "tty", "4", "alice").unwrap();
    revoke(&store, "tty", "2").unwrap();
    revoke(&store, "tty", "4").unwrap();
    assert_eq!(pending(&mut alices), ["+4", "-4"]);
    assert_eq!(pending(&mut all), ["+4", "-2", "-4"]);
}

#[test]
fn an_owner_can_be_watched_before_it_has_anything_and_after_it_has_nothing_left() {
    let store = MemoryOwnership::default();
    let mut watch = store.watch(Some("alice"));
    assert!(watch.snapshot.is_empty());
    for _ in 0..2 {
        record(&store, "tty", "1", "alice").unwrap();
        revoke(&store, "tty", "1").unwrap();
    }
    assert_eq!(pending(&mut watch), ["+1", "-1", "+1", "-1"]);
}

#[tokio::test]
async fn a_watcher_that_waits_is_woken_and_told_when_the_store_is_gone() {
    let store = MemoryOwnership::default();
    for mut watch in [store.watch(Some("alice")), store.watch(None)] {
        let waiting = tokio::spawn(async move { watch.next().await });
        tokio::task::yield_now().await;
        record(&store, "tty", "1", "alice").unwrap();
        assert!(matches!(waiting.await.unwrap(), Some(OwnershipEvent::Recorded(_))));
        revoke(&store, "tty", "1").unwrap();
    }
    let (mut alices, mut all) = (store.watch(Some("alice")), store.watch(None));
    drop(store);
    assert_eq!((alices.next().await, all.next().await), (None, None));
}

#[test]
fn a_watcher_that_is_too_slow_learns_that_it_has_missed_changes() {
    for (owner, backlog) in [(Some("alice"), OWNER_BACKLOG), (None, BACKLOG)] {
        let store = MemoryOwnership::default();
        let (mut in_time, mut late) = (store.watch(owner), store.watch(owner));
        for id in 0..backlog {
            record(&store, "tty", &id.to_string(), "alice").unwrap();
        }
        assert_eq!(pending(&mut in_time).len(), backlog);
        record(&store, "tty", "one more", "alice").unwrap();
        assert_eq!(pending(&mut in_time), ["+one more"]);
        let seen = pending(&mut late);
        assert_eq!(seen[0], "missed");
        assert_eq!(seen.iter().filter(|event| *event == "missed").count(), 1);
        assert_eq!(store.watch(owner).snapshot.len(), backlog + 1);
    }
}

#[test]
fn what_others_do_makes_no_watcher_late() {
    let store = MemoryOwnership::default();
    let mut watch = store.watch(Some("alice"));
    for id in 0..2 * BACKLOG {
        record(&store, "tty", &id.to_string(), "bob").unwrap();
    }
    record(&store, "tty", "mine", "alice").unwrap();
    assert_eq!(pending(&mut watch), ["+mine"]);
}

#[test]
fn memory_comes_back_after_revocations() {
    const RECORDS: usize = 100_000;
    let index = Index::new(16);
    for id in 0..RECORDS {
        index.record(OwnershipRecord::new("tty", id.to_string(), format!("owner {}", id % 1000))).unwrap();
    }
    let full = index.sizes();
    assert_eq!(full.owners, 1000);
    assert!(full.room >= RECORDS && full.room < 4 * RECORDS, "there is room for {}", full.room);
    for id in 10..RECORDS {
        index.revoke("tty", &id.to_string()).unwrap();
    }
    let sizes = index.sizes();
    assert_eq!(sizes.owners, 10);
    assert!(sizes.room <= 16 * 16, "there is room for {}", sizes.room);
    assert!((0..10).all(|id| index.owns(&format!("owner {id}"), "tty", &id.to_string())));
}

#[test]
fn watchers_that_have_gone_leave_nothing_behind() {
    let index = Index::new(1);
    let kept: Vec<_> = (0..10).map(|owner| index.watch(Some(&format!("kept {owner}")))).collect();
    for owner in 0..1000 {
        index.watch(Some(&format!("gone {owner}")));
    }
    let channels = index.sizes().channels;
    assert!((10..=20).contains(&channels), "there are {channels} channels");
    drop(kept);

    let index = Index::new(1);
    index.watch(Some("alice"));
    assert_eq!(index.sizes().channels, 1);
    index.record(OwnershipRecord::new("tty", "1", "alice")).unwrap();
    assert_eq!(index.sizes().channels, 0);
}
