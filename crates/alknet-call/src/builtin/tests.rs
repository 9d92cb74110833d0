use super::*;
use crate::testkit::{context, identity, next, spec};
use crate::{Access, CallError, ErrorCode, EventStream, Visibility};
use alknet_core::{Alpn, Fingerprint, Identity, MemoryOwnership, OwnershipRecord, OwnershipStore};
use serde_json::json;
use std::time::Instant;

fn registry_with(registry: Registry) -> Arc<Registry> {
    let registry = Arc::new(registry);
    let facts = || NodeFacts {
        name: "hub".to_owned(),
        version: "1.2.3".to_owned(),
        fingerprint: Fingerprint::Ed25519([7; 32]),
        alpns: vec![Alpn::new("alknet/call").unwrap()],
        listen: vec!["[::]:4433".parse().unwrap()],
        started: Instant::now(),
        connections: 3,
    };
    let peers = || {
        let away = PeerStatus { id: "b".to_owned(), connected: false, transport: None, operations: 0, since: None };
        let since = Some(Instant::now());
        vec![PeerStatus { id: "a".to_owned(), connected: true, transport: Some("quic"), operations: 7, since }, away]
    };
    register(&registry, BuiltinSources { facts, peers }).unwrap();
    let never = |_, _| std::future::pending();
    let scoped = Access::Scopes(vec!["tty:spawn".parse().unwrap()]);
    registry.register(spec("tty/spawn", scoped).with_description("Starts a terminal"), never).unwrap();
    registry.register(spec("a/hidden", Access::Public).with_visibility(Visibility::Internal), never).unwrap();
    registry
}

fn registry() -> Arc<Registry> {
    registry_with(Registry::new())
}

fn owning() -> (Arc<Registry>, Arc<MemoryOwnership>) {
    let store = Arc::new(MemoryOwnership::default());
    (registry_with(Registry::new().with_ownership(store.clone())), store)
}

fn who(scopes: &[&str]) -> Option<Identity> {
    Some(identity("alice", scopes))
}

/// Runs a call, and checks its output against the schema that it has.
async fn call_on(registry: &Registry, name: &str, input: Value, who: Option<Identity>) -> Result<Value, CallError> {
    let output = registry.invoke(name, input, context(who)).await?;
    registry.spec(name).unwrap().output.as_ref().unwrap().validate(&output).unwrap();
    Ok(output)
}

async fn call(name: &str, input: Value, who: Option<Identity>) -> Result<Value, CallError> {
    call_on(&registry(), name, input, who).await
}

fn names(list: &Value) -> String {
    let names = list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_list_has_what_this_caller_may_call() {
    let listed = async |who| names(&call("services/list", Value::Null, who).await.unwrap()["services"]);
    assert_eq!(listed(None).await, "/services/list /services/schema");
    assert_eq!(listed(who(&[])).await, "/node/info /services/list /services/schema /services/watch");
    assert_eq!(listed(who(&["tty:*"])).await, "/node/info /services/list /services/schema /services/watch /tty/spawn");
    let all = "/metrics/list /node/info /services/list /services/list-peers /services/schema /services/watch";
    assert_eq!(listed(who(&["node:admin", "metrics:read"])).await, all);
    let (owning, _) = owning();
    let list = call_on(&owning, "services/list", Value::Null, who(&[])).await.unwrap();
    let owned = "/node/info /resources/list /resources/watch /services/list /services/schema /services/watch";
    assert_eq!(names(&list["services"]), owned);
    assert_eq!(list["services"][2]["kind"], "subscription");
}

#[tokio::test]
async fn the_list_has_descriptions() {
    let list = call("services/list", Value::Null, who(&["tty:*"])).await.unwrap();
    let expected = json!({ "name": "/tty/spawn", "description": "Starts a terminal", "kind": "call" });
    assert_eq!(list["services"][4], expected);
}

#[tokio::test]
async fn a_description_is_for_those_who_may_call() {
    let described = async |input, who| call("services/schema", input, who).await;
    let all = described(Value::Null, who(&[])).await.unwrap();
    assert_eq!(names(&all["operations"]), "/node/info /services/list /services/schema /services/watch");
    assert_eq!(described(json!({}), who(&[])).await.unwrap(), all);
    assert!(all["operations"][0]["output_schema"].is_object());
    for name in ["/tty/spawn", "tty/spawn"] {
        let one = described(json!({ "name": name }), who(&["tty:*"])).await.unwrap();
        assert_eq!(names(&one["operations"]), "/tty/spawn");
        let refused = described(json!({ "name": name }), who(&[])).await.unwrap_err();
        assert_eq!(refused.to_string(), "NOT_FOUND: there is no operation \"/tty/spawn\"");
    }
    for name in ["/a/hidden", "/no/such", "", "//"] {
        assert_eq!(described(json!({ "name": name }), who(&[])).await.unwrap_err().code, ErrorCode::NotFound);
    }
    assert_eq!(described(json!({ "name": 5 }), None).await.unwrap_err().code, ErrorCode::InvalidInput);
}

#[tokio::test]
async fn who_watches_is_told_of_what_concerns_it() {
    let registry = registry();
    let watch = |who| registry.subscribe("services/watch", Value::Null, context(who)).unwrap();
    let (mut alice, mut operator) = (watch(who(&[])), watch(who(&["tty:*"])));
    let told = async |events: &mut EventStream| next(events).await.unwrap().unwrap()["operations"].clone();
    assert_eq!((told(&mut alice).await, told(&mut operator).await), (json!(4), json!(5)));
    let removed = registry.remove("tty/spawn").unwrap();
    assert_eq!(told(&mut operator).await, json!(4));
    // Alice was not allowed to it.
    let never = |_, _| std::future::pending();
    registry.register(spec("new/public", Access::Public), never).unwrap();
    assert_eq!((told(&mut alice).await, told(&mut operator).await), (json!(5), json!(5)));
    // Another operation of the same name is a change, too.
    registry.remove("new/public").unwrap();
    registry.register(spec("new/public", Access::Public).with_description("Other"), never).unwrap();
    assert_eq!(told(&mut alice).await, json!(5));
    registry.register(OperationSpec::clone(&removed), never).unwrap();
    // What happened before anybody asked is told as one.
    assert_eq!(told(&mut operator).await, json!(6));
    let refused = registry.subscribe("services/watch", Value::Null, context(None)).err().unwrap();
    assert_eq!(refused.code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn the_operator_sees_the_peers() {
    let peers = call("services/list-peers", Value::Null, who(&["node:admin"])).await.unwrap();
    let expected = json!({ "peers": [
        { "id": "a", "connected": true, "transport": "quic", "operations": 7, "since_seconds": 0 },
        { "id": "b", "connected": false, "transport": null, "operations": 0, "since_seconds": null },
    ] });
    assert_eq!(peers, expected);
    assert_eq!(call("services/list-peers", Value::Null, who(&[])).await.unwrap_err().code, ErrorCode::Forbidden);
}

#[tokio::test]
async fn a_known_peer_learns_which_node_this_is_and_who_it_is_itself() {
    let info = call("node/info", Value::Null, who(&["tty:*"])).await.unwrap();
    let expected = json!({
        "name": "hub",
        "version": "1.2.3",
        "fingerprint": format!("ed25519:{}", "07".repeat(32)),
        "alpns": ["alknet/call"],
        "uptime_seconds": 0,
        "caller": { "id": "alice", "scopes": ["tty:*"], "fingerprint": null, "transport": "pipe", "remote": null },
    });
    assert_eq!(info, expected);
    assert!(call("node/info", Value::Null, None).await.is_err());
}

#[tokio::test]
async fn an_admin_learns_more() {
    let info = call("node/info", Value::Null, who(&["node:admin"])).await.unwrap();
    assert_eq!((&info["listen"], &info["connections"]), (&json!(["[::]:4433"]), &json!(3)));
}

async fn record(store: &MemoryOwnership, kind: &str, id: &str, owner: &str) {
    let record = OwnershipRecord::new(kind, id, owner).with_claim(Some(r#"{"id":"bob"}"#));
    store.record(record).await.unwrap();
}

#[tokio::test]
async fn a_caller_sees_its_own_resources() {
    let (registry, store) = owning();
    record(&store, "tty", "t-1", "alice").await;
    record(&store, "container", "c-1", "alice").await;
    record(&store, "tty", "t-2", "mallory").await;
    let list = async |input| call_on(&registry, "resources/list", input, who(&[])).await.unwrap();
    let (tty, container) = (
        json!({ "type": "tty", "id": "t-1", "claim": { "id": "bob" } }),
        json!({ "type": "container", "id": "c-1", "claim": { "id": "bob" } }),
    );
    assert_eq!(list(Value::Null).await, json!({ "resources": [container, tty] }));
    assert_eq!(list(json!({ "type": "tty" })).await, json!({ "resources": [tty] }));
    assert!(call_on(&registry, "resources/list", Value::Null, None).await.is_err());
}

#[tokio::test]
async fn a_watcher_sees_the_state_and_each_change_of_its_own() {
    let (registry, store) = owning();
    record(&store, "tty", "t-1", "alice").await;
    let mut events = registry.subscribe("resources/watch", Value::Null, context(who(&[]))).unwrap();
    let schema = registry.spec("resources/watch").unwrap().output.clone().unwrap();
    let next = async |events: &mut EventStream| {
        let event = next(events).await.unwrap().unwrap();
        schema.validate(&event).unwrap();
        event
    };
    let resource = |id: &str| json!({ "type": "tty", "id": id, "claim": { "id": "bob" } });
    assert_eq!(next(&mut events).await, json!({ "snapshot": [resource("t-1")] }));
    record(&store, "tty", "t-2", "mallory").await;
    record(&store, "tty", "t-3", "alice").await;
    store.revoke("tty", "t-1").await;
    assert_eq!(next(&mut events).await, json!({ "recorded": resource("t-3") }));
    assert_eq!(next(&mut events).await, json!({ "revoked": { "type": "tty", "id": "t-1" } }));
    for n in 0..2000 {
        let id = format!("x-{n}");
        record(&store, "tty", &id, "alice").await;
        store.revoke("tty", &id).await;
    }
    record(&store, "tty", "t-4", "alice").await;
    assert_eq!(
        next(&mut events).await,
        json!({ "snapshot": [resource("t-3"), resource("t-4")] }),
        "it was too slow for the changes"
    );
}

#[tokio::test]
async fn what_is_counted_is_shown_in_order() {
    let registry = registry();
    let list = call_on(&registry, "metrics/list", Value::Null, who(&["metrics:read"])).await.unwrap();
    let metrics = list["metrics"].as_array().unwrap();
    let running = metrics.iter().find(|metric| metric["name"] == "alknet_runs_running").unwrap();
    let help = "Operations that run at this moment";
    let expected = json!({ "name": "alknet_runs_running", "kind": "gauge", "labels": { "kind": "call" }, "value": 1, "help": help });
    assert_eq!(*running, expected, "this call itself");
    let mut names: Vec<_> = metrics.iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    names.dedup();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "metrics of one name stand together");
    assert!(call("metrics/list", Value::Null, who(&["node:admin"])).await.is_err());
}

#[test]
fn every_built_in_operation_has_its_schemas() {
    let (registry, _) = owning();
    let specs: Vec<_> =
        registry.specs().into_iter().filter(|spec| !["tty", "a"].contains(&spec.name.service())).collect();
    assert_eq!(specs.len(), 8);
    for spec in specs {
        assert!(spec.input.is_some() && spec.output.is_some() && !spec.description.is_empty(), "{}", spec.name);
    }
}

#[test]
fn the_registry_does_not_hold_itself() {
    let (registry, store) = owning();
    let weak = Arc::downgrade(&registry);
    drop(registry);
    assert!(weak.upgrade().is_none());
    assert_eq!(Arc::strong_count(&store), 1, "nor do its operations");
}
