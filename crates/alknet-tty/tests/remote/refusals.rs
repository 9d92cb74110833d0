//! What bad input gets.

use alknet_call::ErrorCode;
use alknet_tty::TtyConfig;
use serde_json::{Value, json};

use crate::common::{Node, config};

#[tokio::test]
async fn what_cannot_be_spawned_says_why() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    for (input, words) in [
        (json!({ "command": "/bin/bash" }), r#""/bin/bash" may not be started here; what may: /bin/sh"#),
        (json!({ "environment": { "LD_PRELOAD": "x" } }), r#""LD_PRELOAD" may not be set here"#),
        (json!({ "args": ["a\0b"] }), "an argument has a NUL byte"),
        (json!({ "rows": 0 }), "/rows"),
        (json!({ "cols": 5000 }), "/cols"),
        (json!({ "args": "-c" }), "/args"),
        (json!({ "rows": 24.0 }), "24.0"),
        (json!([]), "type"),
    ] {
        let refused = alice.refusal("tty/spawn", input.clone()).await;
        assert!(refused.code == ErrorCode::InvalidInput && refused.message.contains(words), "{input}: {refused}");
    }
    assert!(node.terminals.list().is_empty());
}

#[tokio::test]
async fn a_node_that_cannot_or_does_not_want_to_says_so() {
    let nothing = Node::with(TtyConfig::default()).client(Some("alice")).refusal("tty/spawn", Value::Null).await;
    assert_eq!(nothing.code, ErrorCode::Forbidden);
    let broken = Node::with(TtyConfig { commands: vec!["/no/such/program".into()], ..config() });
    let error = broken.client(Some("alice")).refusal("tty/spawn", Value::Null).await;
    assert_eq!((error.wire_code(), error.retryable), ("SPAWN_FAILED", false));
    assert!(error.message.starts_with(r#""/no/such/program" cannot be started"#), "{error}");
    let spec = broken.operations.specs().find(|spec| spec.name.op() == "spawn").unwrap().clone();
    assert_eq!(&*spec.errors[0].code, error.wire_code(), "it is declared");
    let node = Node::new();
    node.terminals.shutdown().await;
    let error = node.client(Some("alice")).refusal("tty/spawn", Value::Null).await;
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
}

#[tokio::test]
async fn bad_input_to_a_terminal_does_nothing_to_it() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    let id = alice.sh("exec cat").await;
    for (operation, input, words) in [
        ("tty/write", json!({ "id": id }), "oneOf"),
        ("tty/write", json!({ "id": id, "data": "%" }), "data is not base64"),
        ("tty/write", json!({ "id": id, "text": "ä".repeat(65536) }), "131072 bytes are too many for one write"),
        ("tty/write", json!({ "text": "x" }), "/id"),
        ("tty/resize", json!({ "id": id, "rows": 24 }), "cols"),
        ("tty/resize", json!({ "id": id, "rows": 24, "cols": 0 }), "/cols"),
        ("tty/signal", json!({ "id": id, "signal": "9" }), r#""9" is no signal"#),
    ] {
        let refused = alice.refusal(operation, input.clone()).await;
        assert!(refused.code == ErrorCode::InvalidInput && refused.message.contains(words), "{input}: {refused}");
    }
    let ahead = alice.first(&json!({ "id": id, "from": 7 })).await.unwrap_err();
    assert_eq!(ahead.to_string(), "INVALID_INPUT: the output ends at 0: there is nothing to begin with at 7");
    let info = node.terminals.get(&id).unwrap();
    assert_eq!((info.rows, info.cols, info.output_bytes), (24, 80, 0));
}

#[tokio::test]
async fn what_there_is_no_room_for_may_be_tried_again() {
    let node = Node::with(TtyConfig { max_terminals_per_owner: 1, max_attachments: 1, ..config() });
    let alice = node.client(Some("alice"));
    let id = alice.sh("exec cat").await;
    let refused = alice.refusal("tty/spawn", Value::Null).await;
    assert_eq!((refused.code, refused.retryable), (ErrorCode::ResourceExhausted, true));
    let _held = node.terminals.attach(&id, Default::default()).unwrap();
    let refused = alice.first(&json!({ "id": id })).await.unwrap_err();
    assert_eq!((refused.code, refused.retryable), (ErrorCode::ResourceExhausted, true));
}

#[tokio::test]
async fn the_users_of_a_hub_have_a_limit_each() {
    let node = Node::with(TtyConfig { max_terminals_per_owner: 2, max_terminals_per_peer: 5, ..config() });
    let hub = node.client(Some("hub"));
    let spawn = async |whom| hub.call_for("tty/spawn", Value::Null, Some(whom)).await;
    for whom in ["alice", "bob"] {
        spawn(whom).await.unwrap();
        spawn(whom).await.unwrap();
        assert_eq!(spawn(whom).await.unwrap_err().code, ErrorCode::ResourceExhausted);
    }
    spawn("carol").await.unwrap();
    let full = spawn("dave").await.unwrap_err();
    assert!(full.message.starts_with("you have 5 terminals for all whom you serve"), "{full}");
}
