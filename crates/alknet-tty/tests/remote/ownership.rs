//! Whose terminal it is, and what others see of it: nothing.

use alknet_call::ErrorCode;
use serde_json::{Value, json};

use crate::common::{Node, within};

/// As long and of the same form as one that was given out.
const NEVER: &str = "t-aaaaaaaaaaaaaaaa";

/// Everything that can be done with a terminal whose id is known.
fn touches(id: &str) -> [(&'static str, Value); 5] {
    [
        ("tty/write", json!({ "id": id, "text": "x" })),
        ("tty/resize", json!({ "id": id, "rows": 5, "cols": 5 })),
        ("tty/signal", json!({ "id": id, "signal": "KILL" })),
        ("tty/kill", json!({ "id": id })),
        ("tty/attach", json!({ "id": id })),
    ]
}

#[tokio::test]
async fn what_is_anothers_looks_like_what_never_was() {
    let node = Node::new();
    let (alice, bob) = (node.client(Some("alice")), node.client(Some("bob")));
    let id = alice.sh("exec cat").await;
    let refusals = async |id: &str| {
        let mut refusals = Vec::new();
        for (operation, input) in touches(id) {
            let refusal = match operation {
                "tty/attach" => bob.first(&input).await.unwrap_err(),
                _ => bob.refusal(operation, input).await,
            };
            assert_eq!(refusal.code, ErrorCode::Forbidden, "{operation}");
            refusals.push(serde_json::to_string(&refusal).unwrap());
        }
        refusals
    };
    let anothers = refusals(&id).await;
    assert_eq!(anothers, refusals(NEVER).await);
    let alices = node.terminals.get(&id).unwrap();
    assert_eq!((alices.rows, alices.attachments), (24, 0), "something was done all the same");
    // What was is what never was, too, even to who had it.
    alice.call("tty/kill", json!({ "id": id })).await;
    assert_eq!(anothers, refusals(&id).await);
    let own = alice.refusal("tty/write", json!({ "id": id, "text": "x" })).await;
    assert_eq!(serde_json::to_string(&own).unwrap(), anothers[0]);
}

#[tokio::test]
async fn nothing_passes_once_a_kill_has_answered() {
    let node = Node::new();
    let alice = node.client(Some("alice"));
    let id = alice.sh("trap '' HUP; exec sleep 1000").await;
    assert_eq!(alice.call("tty/kill", json!({ "id": id })).await, json!({}));
    assert!(alice.list().await.is_empty());
    assert_eq!(alice.call("resources/list", Value::Null).await, json!({ "resources": [] }));
    for (operation, input) in touches(&id) {
        assert_eq!(alice.refusal(operation, input).await.code, ErrorCode::Forbidden, "{operation}");
    }
}

#[tokio::test]
async fn a_list_shows_the_callers_own() {
    let node = Node::new();
    let (alice, bob) = (node.client(Some("alice")), node.client(Some("bob")));
    let first = alice.sh("exec cat").await;
    let spawn = json!({ "args": ["-c", "exec cat"], "rows": 40, "cols": 100 });
    let spawned = alice.call_for("tty/spawn", spawn, Some("carol")).await.unwrap();
    bob.sh("exec cat").await;
    let listed = alice.list().await;
    assert_eq!(
        listed.iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(),
        [&*first, spawned["id"].as_str().unwrap()]
    );
    for field in ["id", "command", "pid", "rows", "cols"] {
        assert_eq!(listed[1][field], spawned[field], "{field}");
    }
    let numbers = ["output_bytes", "attachments"].map(|field| listed[1][field].as_u64().unwrap());
    assert_eq!((numbers, &listed[1]["claim"]), ([0, 0], &json!({ "id": "carol" })));
    assert!(listed[1]["started"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(listed[0]["claim"], Value::Null);
    let schema = node.operations.specs().find(|spec| spec.name.op() == "list").unwrap().output.clone().unwrap();
    schema.validate(&json!({ "terminals": listed })).unwrap();
}

#[tokio::test]
async fn every_operation_needs_its_scope() {
    let node = Node::new();
    let id = node.client(Some("alice")).sh("exec cat").await;
    let mut all = touches(&id).to_vec();
    all.extend([("tty/spawn", json!({})), ("tty/list", Value::Null)]);
    node.set_peers(&[("alice", &["ssh:exec"])]);
    for (operation, input) in all {
        let scope = match operation {
            "tty/spawn" | "tty/attach" | "tty/list" => operation.replace('/', ":"),
            _ => "tty:write".to_owned(),
        };
        let refused = node.client(Some("alice")).refusal(operation, input.clone()).await;
        assert_eq!(refused.to_string(), format!("FORBIDDEN: /{operation} needs the scope {scope}"));
        let refused = node.client(None).refusal(operation, input).await;
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
    }
}

#[tokio::test]
async fn a_watcher_is_told_of_the_spawn_and_of_the_exit() {
    let node = Node::new();
    let hub = node.client(Some("hub"));
    let mut watch = within(hub.0.subscribe("resources/watch", &Value::Null)).await.unwrap();
    let mut next = async || within(watch.next()).await.unwrap().unwrap();
    assert_eq!(next().await, json!({ "snapshot": [] }));
    let script = json!({ "args": ["-c", "read go; exit 3"] });
    let id = hub.call_for("tty/spawn", script, Some("alice")).await.unwrap()["id"].clone();
    let resource = json!({ "type": "tty", "id": id, "claim": { "id": "alice" } });
    assert_eq!(next().await, json!({ "recorded": resource }));
    hub.write(id.as_str().unwrap(), "\n").await;
    assert_eq!(next().await, json!({ "revoked": { "type": "tty", "id": id } }));
    assert_eq!(hub.refusal("tty/kill", json!({ "id": id })).await.code, ErrorCode::Forbidden);
    assert!(hub.list().await.is_empty());
}
