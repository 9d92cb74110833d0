//! Spawners that give up, and for whom others spawn.

use alknet_call::CallOptions;
use alknet_core::OwnershipStore;
use serde_json::{Value, json};

use crate::common::{Node, eventually, within};

#[tokio::test]
async fn a_spawn_that_is_aborted_leaves_nothing() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    node.store.shut();
    let input = json!({ "args": ["-c", "exec sleep 3001"] });
    tokio::select! {
        biased;
        answer = alice.0.call("tty/spawn", &input) => panic!("{answer:?}"),
        () = within(node.store.asked.cancelled()) => {}
    }
    // Aborts are handled in the order in which they come, so after this one's answer that one has been.
    assert!(alice.list().await.is_empty());
    node.store.open();
    let runs = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut commands = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
        commands.any(|command| command.contains("sleep\x003001") || command.contains("sleep 3001"))
    };
    eventually("the program is gone", || !runs()).await;
    eventually("the record is gone", || node.store.watch(None).snapshot.is_empty()).await;
    assert!(node.terminals.list().is_empty());
    assert_eq!(within(node.terminals.shutdown()).await, 0);
}

#[tokio::test]
async fn a_claim_that_is_too_long_is_refused_and_not_cut() {
    let node = Node::new();
    let hub = node.client(Some("hub"));
    let longest = "x".repeat(2048 - json!({ "id": "" }).to_string().len());
    let refused = hub.call_for("tty/spawn", Value::Null, Some(&format!("{longest}x"))).await.unwrap_err();
    assert_eq!(refused.to_string(), "INVALID_INPUT: forwarded_for has 2049 bytes; the most is 2048");
    hub.call_for("tty/spawn", Value::Null, Some(&longest)).await.unwrap();
    assert_eq!(hub.list().await[0]["claim"]["id"], longest);
    let null = CallOptions::new().forwarded_for(Value::Null);
    within(hub.0.call_with("tty/spawn", &Value::Null, null)).await.unwrap();
    assert_eq!(hub.list().await[1]["claim"], Value::Null);
}
