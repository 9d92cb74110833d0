//! Following, typing, and coming back.

use alknet_call::ErrorCode;
use alknet_tty::TtyConfig;
use serde_json::json;

use crate::common::{Node, config, within};

#[tokio::test]
async fn the_exit_is_the_last_event() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    for (script, exit) in [("exit 3", json!({ "code": 3 })), ("kill -SEGV $$", json!({ "signal": "SEGV" }))] {
        let id = alice.sh(&format!("read go; echo last words; {script}")).await;
        let mut follower = alice.follow(json!({ "id": id })).await;
        alice.write(&id, "go\n").await;
        assert_eq!(follower.end().await, json!({ "exit": exit }));
        assert_eq!(follower.text(), "go\r\nlast words\r\n");
    }
}

#[tokio::test]
async fn events_are_what_the_description_says() {
    let node = Node::with(TtyConfig { scrollback_bytes: 4096, ..config() });
    let alice = node.client(Some("alice"));
    let id = alice.sh("read go; printf '%05000d' 0; read go; exit 1").await;
    alice.write(&id, "\n").await;
    let enough = || node.terminals.get(&id).unwrap().output_bytes > 5000;
    crate::common::eventually("everything is put out", enough).await;
    let spec = node.operations.specs().find(|spec| spec.name.op() == "attach").unwrap().clone();
    let mut subscription = within(alice.0.subscribe("tty/attach", &json!({ "id": id, "from": 0 }))).await.unwrap();
    alice.write(&id, "\n").await;
    let mut kinds = Vec::new();
    while let Some(event) = within(subscription.next()).await {
        let event = event.unwrap();
        spec.output.as_ref().unwrap().validate(&event).unwrap();
        let kind = ["skipped", "output", "exit"].into_iter().find(|kind| event.get(kind).is_some()).unwrap();
        kinds.push(kind);
    }
    kinds.dedup();
    assert_eq!(kinds, ["skipped", "output", "exit"]);
}

#[tokio::test]
async fn a_terminal_is_there_when_its_user_comes_back() {
    let node = Node::new();
    let first = node.client(Some("alice"));
    let id = first.sh("echo before; read line; echo got $line; read go").await;
    let mut follower = first.follow(json!({ "id": id })).await;
    follower.until("before\r\n").await;
    let offset = follower.offset.unwrap();
    drop((follower, first));

    let second = node.client(Some("alice"));
    second.write(&id, "this\n").await;
    let mut all = second.follow(json!({ "id": id })).await;
    assert_eq!(all.until("got this\r\n").await, "before\r\nthis\r\ngot this\r\n");
    let mut missed = second.follow(json!({ "id": id, "from": offset })).await;
    assert_eq!(missed.until("got this\r\n").await, "this\r\ngot this\r\n");
    let mut live = second.follow(json!({ "id": id, "scrollback": false })).await;
    crate::common::eventually("all are attached", || node.terminals.get(&id).unwrap().attachments >= 3).await;
    second.write(&id, "\n").await;
    assert_eq!((live.end().await, live.text()), (json!({ "exit": { "code": 0 } }), "\r\n".to_owned()));
}

#[tokio::test]
async fn a_terminal_can_be_typed_into_resized_and_signalled() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    let id = alice.sh("trap 'stty size' USR1; echo ready; while :; do read -r line && echo got $line; done").await;
    let mut follower = alice.follow(json!({ "id": id })).await;
    follower.until("ready\r\n").await;
    assert_eq!(alice.call("tty/write", json!({ "id": id, "data": "YWI=" })).await, json!({}));
    alice.write(&id, "c\n").await;
    follower.until("got abc\r\n").await;
    assert_eq!(alice.call("tty/resize", json!({ "id": id, "rows": 33, "cols": 111 })).await, json!({}));
    assert_eq!(alice.call("tty/signal", json!({ "id": id, "signal": "SIGUSR1" })).await, json!({}));
    alice.write(&id, "\n").await;
    follower.until("33 111\r\n").await;
    assert_eq!(alice.list().await[0]["cols"], 111);
    assert_eq!(alice.call("tty/signal", json!({ "id": id, "signal": "kill" })).await, json!({}));
    assert_eq!(follower.end().await, json!({ "exit": { "signal": "KILL" } }));
}

#[tokio::test]
async fn who_is_attached_sees_a_kill_as_an_exit() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    let id = alice.sh("echo ready; exec sleep 1000").await;
    let mut follower = alice.follow(json!({ "id": id })).await;
    follower.until("ready\r\n").await;
    alice.call("tty/kill", json!({ "id": id })).await;
    assert_eq!(follower.end().await, json!({ "exit": { "signal": "HUP" } }));
}

#[tokio::test]
async fn the_operations_can_go_while_terminals_stay() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    let id = alice.sh("exec cat").await;
    drop(node.operations);
    assert_eq!(alice.refusal("tty/kill", json!({ "id": id })).await.code, ErrorCode::NotFound);
    assert!(node.terminals.get(&id).is_ok());
}
