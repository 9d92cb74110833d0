//! What becomes of the terminals of a peer that is removed.

use alknet_core::{IdentityProvider, OwnershipStore};
use alknet_tty::end_orphans;
use serde_json::{Value, json};

use crate::common::{Node, eventually, runs, within};

const TTY: &[&str] = &["tty:*"];

#[tokio::test]
async fn the_terminals_of_a_removed_peer_end_and_no_others() {
    let node = Node::new();
    let orphans = tokio::spawn(end_orphans(node.terminals.clone(), node.identities.clone()));
    let (alice, bob) = (node.client(Some("alice")), node.client(Some("bob")));
    let mut pids = Vec::new();
    for script in ["exec cat", "trap '' HUP; sleep 1000; sleep 1001"] {
        let spawned = alice.call("tty/spawn", json!({ "args": ["-c", script] })).await;
        pids.push(spawned["pid"].as_u64().unwrap());
    }
    let kept = bob.sh("exec cat").await;
    // A change that takes nobody away ends nothing.
    node.set_peers(&[("bob", TTY), ("alice", &["ssh:exec"])]);
    bob.write(&kept, "x").await;
    assert_eq!(node.terminals.list().len(), 3);
    node.set_peers(&[("bob", TTY)]);
    eventually("hers are gone", || node.terminals.list().len() == 1).await;
    eventually("her records are gone", || node.store.watch(Some("alice")).snapshot.is_empty()).await;
    assert!(!pids.iter().any(|pid| runs(*pid)));
    bob.write(&kept, "x").await;
    within(node.terminals.shutdown()).await;
    within(orphans).await.unwrap();
}

#[tokio::test]
async fn a_terminal_whose_owner_goes_while_it_is_spawned_ends() {
    let node = Node::new();
    tokio::spawn(end_orphans(node.terminals.clone(), node.identities.clone()));
    node.store.shut();
    let spawn = {
        let terminals = node.terminals.clone();
        // Not by an operation: that would be aborted, and what is asked here is what happens if it is too late for that.
        tokio::spawn(async move { terminals.spawn(alknet_tty::SpawnRequest::of("alice")).await })
    };
    within(node.store.asked.cancelled()).await;
    node.set_peers(&[("bob", TTY)]);
    assert!(!node.identities.is_known("alice"));
    node.store.open();
    let spawned = within(spawn).await.unwrap().unwrap();
    eventually("it ends", || node.terminals.get(&spawned.id).is_err()).await;
    eventually("its record is gone", || node.store.watch(None).snapshot.is_empty()).await;
}

#[tokio::test]
async fn a_name_that_is_given_again_has_nothing_of_the_other_one() {
    let node = Node::new();
    tokio::spawn(end_orphans(node.terminals.clone(), node.identities.clone()));
    node.client(Some("alice")).sh("exec cat").await;
    node.set_peers(&[]);
    eventually("it ends", || node.terminals.list().is_empty()).await;
    node.set_peers(&[("alice", TTY)]);
    let alice = node.client(Some("alice"));
    eventually("its record is gone", || node.store.watch(None).snapshot.is_empty()).await;
    assert_eq!(alice.call("resources/list", Value::Null).await, json!({ "resources": [] }));
}
