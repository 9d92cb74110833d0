//! The operations that every node has: `services/list` and `node/info`.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Instant;

use alknet_core::{Alpn, Fingerprint, Identity, Scope};
use serde_json::{Value, json};

use crate::access::check;
use crate::{Access, CallError, NameTaken, OperationContext, OperationName, OperationSpec, Registry};

/// What a node can say of itself.
#[derive(Debug, Clone)]
pub struct NodeFacts {
    /// Its name in the fleet.
    pub name: String,
    /// The version of the program.
    pub version: String,
    /// The name of its key.
    pub fingerprint: Fingerprint,
    /// What it serves, the preferred first.
    pub alpns: Vec<Alpn>,
    /// Where it listens. Shown to holders of `node:admin` only.
    pub listen: Vec<SocketAddr>,
    /// When it started.
    pub started: Instant,
    /// How many connections are open. Shown to holders of `node:admin` only.
    pub connections: usize,
}

/// Registers the built-in operations in `registry`. `facts` is asked on each `node/info`, so that what changes while the
/// node runs is never stale.
///
/// - `services/list`, for anybody: `{"services": [{"name": "/node/info", "description": …}, …]}`, by name, of what this
///   caller may call.
/// - `node/info`, for known peers: `name`, `version`, `fingerprint`, `alpns`, `uptime_seconds` and `caller` (`id`,
///   `scopes`, `fingerprint`, `transport`, `remote`), and to holders of `node:admin` also `listen` and `connections`.
///
/// # Errors
/// When one of the names is taken.
pub fn register(
    registry: &Arc<Registry>,
    facts: impl Fn() -> NodeFacts + Send + Sync + 'static,
) -> Result<(), NameTaken> {
    // A strong reference would make the registry hold itself.
    let listed = Arc::downgrade(registry);
    let list = OperationSpec::new(OperationName::from_static("services/list"))
        .with_description("Lists the operations that the caller may call")
        .with_access(Access::Public);
    registry.register(list, move |context: OperationContext, _| {
        let output = services_list(&listed, context.identity.as_deref());
        async { Ok(output) }
    })?;
    let info = OperationSpec::new(OperationName::from_static("node/info"))
        .with_description("Says which node this is and whom it takes the caller for")
        .with_access(Access::Identified);
    registry.register(info, move |context: OperationContext, _| {
        let output = node_info(&facts(), &context);
        async { output }
    })
}

fn services_list(registry: &Weak<Registry>, identity: Option<&Identity>) -> Value {
    let specs = registry.upgrade().map(|registry| registry.specs()).unwrap_or_default();
    let callable = specs.iter().filter(|spec| check(spec, identity).is_ok());
    let services: Vec<_> =
        callable.map(|spec| json!({ "name": spec.name.wire(), "description": spec.description })).collect();
    json!({ "services": services })
}

fn node_info(facts: &NodeFacts, context: &OperationContext) -> Result<Value, CallError> {
    let identity = context.identity.as_ref().ok_or_else(|| CallError::internal("node/info ran without an identity"))?;
    let mut info = json!({
        "name": facts.name,
        "version": facts.version,
        "fingerprint": facts.fingerprint.to_string(),
        "alpns": texts(&facts.alpns),
        "uptime_seconds": facts.started.elapsed().as_secs(),
        "caller": {
            "id": &*identity.id,
            "scopes": texts(&identity.scopes),
            "fingerprint": context.peer.fingerprint.map(|fingerprint| fingerprint.to_string()),
            "transport": context.peer.transport,
            "remote": context.peer.remote,
        },
    });
    if let (Some(object), true) = (info.as_object_mut(), identity.has_scope(&Scope::node_admin())) {
        object.insert("listen".to_owned(), json!(facts.listen));
        object.insert("connections".to_owned(), json!(facts.connections));
    }
    Ok(info)
}

fn texts(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Visibility;
    use crate::testkit::{context, identity, spec};

    fn registry() -> Arc<Registry> {
        let registry = Arc::new(Registry::new());
        let facts = || NodeFacts {
            name: "hub".to_owned(),
            version: "1.2.3".to_owned(),
            fingerprint: Fingerprint::Ed25519([7; 32]),
            alpns: vec![Alpn::new("alknet/call").unwrap()],
            listen: vec!["[::]:4433".parse().unwrap()],
            started: Instant::now(),
            connections: 3,
        };
        register(&registry, facts).unwrap();
        let never = |_, _| std::future::pending();
        let scoped = Access::Scopes(vec!["tty:spawn".parse().unwrap()]);
        registry.register(spec("tty/spawn", scoped).with_description("Starts a terminal"), never).unwrap();
        registry.register(spec("a/hidden", Access::Public).with_visibility(Visibility::Internal), never).unwrap();
        registry
    }

    async fn call(name: &str, who: Option<Identity>) -> Result<Value, CallError> {
        registry().invoke(name, Value::Null, context(who)).await
    }

    #[tokio::test]
    async fn the_list_has_what_this_caller_may_call() {
        let names = async |who| {
            let list = call("services/list", who).await.unwrap();
            let names = list["services"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(None).await, "/services/list");
        assert_eq!(names(Some(identity("alice", &[]))).await, "/node/info /services/list");
        assert_eq!(names(Some(identity("alice", &["tty:*"]))).await, "/node/info /services/list /tty/spawn");
    }

    #[tokio::test]
    async fn the_list_has_descriptions() {
        let list = call("services/list", Some(identity("alice", &["tty:*"]))).await.unwrap();
        assert_eq!(list["services"][2], json!({ "name": "/tty/spawn", "description": "Starts a terminal" }));
    }

    #[tokio::test]
    async fn a_known_peer_learns_which_node_this_is_and_who_it_is_itself() {
        let info = call("node/info", Some(identity("alice", &["tty:*"]))).await.unwrap();
        let expected = json!({
            "name": "hub",
            "version": "1.2.3",
            "fingerprint": format!("ed25519:{}", "07".repeat(32)),
            "alpns": ["alknet/call"],
            "uptime_seconds": 0,
            "caller": { "id": "alice", "scopes": ["tty:*"], "fingerprint": null, "transport": "pipe", "remote": null },
        });
        assert_eq!(info, expected);
        assert!(call("node/info", None).await.is_err());
    }

    #[tokio::test]
    async fn an_admin_learns_more() {
        let info = call("node/info", Some(identity("root", &["node:admin"]))).await.unwrap();
        assert_eq!((&info["listen"], &info["connections"]), (&json!(["[::]:4433"]), &json!(3)));
    }

    #[test]
    fn the_registry_does_not_hold_itself() {
        let weak = Arc::downgrade(&registry());
        assert!(weak.upgrade().is_none());
    }
}
