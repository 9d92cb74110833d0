//! A spoke whose service spawns things, a hub, and its users.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alknet_core::{MemoryOwnership, OwnershipProvider as _, OwnershipRecord, OwnershipStore};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::builtin::{self, BuiltinSources};
use crate::testkit::{Wire, auth_of, client_of, remote, serving, spec, until};
use crate::{
    Access, Bundle, CallClient, CallError, CallHandler, CallLimits, ErrorCode, Export, Hub, OperationContext,
    OperationSpec, Peers, Registry, Subscription,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A registry with the operations that every node has.
pub(super) fn registry(store: &Arc<MemoryOwnership>) -> Arc<Registry> {
    let registry = Arc::new(Registry::new().with_ownership(store.clone()));
    let facts = || unreachable!("nobody asks");
    builtin::register(&registry, BuiltinSources { facts, peers: Vec::new }).unwrap();
    registry
}

/// A node that others reach through hubs.
pub(super) struct Spoke {
    pub(super) registry: Arc<Registry>,
    pub(super) store: Arc<MemoryOwnership>,
    pub(super) handler: Arc<CallHandler>,
    pub(super) pace: Arc<Pace>,
}

/// Lets a spawn go on, before and after it has spawned.
pub(super) struct Pace {
    next: AtomicU64,
    pub(super) spawning: AtomicU64,
    pub(super) begin: Notify,
    pub(super) answer: Notify,
}

impl Spoke {
    pub(super) fn new() -> Self {
        let store = Arc::new(MemoryOwnership::default());
        let registry = registry(&store);
        let pace = Arc::new(Pace {
            next: AtomicU64::new(1),
            spawning: AtomicU64::new(0),
            begin: Notify::new(),
            answer: Notify::new(),
        });
        things(&registry, &store, &pace);
        Self { handler: serving(&registry), registry, store, pace }
    }

    /// The end of a thing by itself.
    pub(super) async fn end(&self, id: &str) {
        self.store.revoke("thing", id).await;
    }

    /// What `owner` owns here, each with its claim.
    pub(super) fn owned_by(&self, owner: &str) -> Vec<(String, Value)> {
        let records = self.store.watch(Some(owner)).snapshot;
        let claim = |record: &OwnershipRecord| serde_json::from_str(record.claim.as_deref().unwrap_or("null")).unwrap();
        records.iter().map(|record| (record.id.to_string(), claim(record))).collect()
    }
}

fn own(name: &'static str) -> OperationSpec {
    spec(name, Access::Identified)
}

fn on_thing(name: &'static str, action: &'static str) -> OperationSpec {
    own(name).with_resource("thing", action, Some("/id".parse().unwrap()))
}

fn things(registry: &Registry, store: &Arc<MemoryOwnership>, pace: &Arc<Pace>) {
    let (spawned, pace) = (store.clone(), pace.clone());
    let spawn = move |context: OperationContext, input: Value| spawn(spawned.clone(), pace.clone(), context, input);
    registry.register(own("thing/spawn").with_spawns("thing", "/thing/id".parse().unwrap()), spawn).unwrap();
    let used = async |_: OperationContext, input: Value| Ok(json!({ "used": input["id"] }));
    registry.register(on_thing("thing/use", "use"), used).unwrap();
    let watched = |_: OperationContext, input: Value| {
        stream::once(async move { Ok(input["id"].clone()) }).chain(stream::pending())
    };
    let watch = on_thing("thing/watch", "watch").with_resumes("/next".parse().unwrap(), "/from".parse().unwrap());
    registry.add(Bundle::subscription(watch, watched)).unwrap();
    let listed = store.clone();
    let list = move |context: OperationContext, _: Value| {
        let owned = listed.owned_resources(&context.identity.unwrap(), Some("thing"));
        let things: Vec<_> = owned.iter().map(|record| json!({ "id": &*record.id })).collect();
        std::future::ready(Ok(json!({ "things": things })))
    };
    let all = || own("thing/list").with_resource("thing", "list", None);
    let lists = |spec: OperationSpec| spec.with_lists("thing", "/things".parse().unwrap(), "/id".parse().unwrap());
    registry.register(lists(all()), list.clone()).unwrap();
    registry.register(OperationSpec { name: "thing/names".parse().unwrap(), ..all() }, list).unwrap();
    let tail = |_: OperationContext, _: Value| stream::pending();
    let named = |name: &str| OperationSpec { name: name.parse().unwrap(), ..lists(own("thing/x")) };
    registry.add(Bundle::subscription(named("thing/tail"), tail)).unwrap();
    let elsewhere = async |_: OperationContext, _: Value| Ok(json!({ "items": [{ "id": "t-1" }] }));
    registry.register(named("thing/lost"), elsewhere).unwrap();
    let ended = store.clone();
    let end = move |_: OperationContext, input: Value| {
        let ended = ended.clone();
        async move {
            ended.revoke("thing", input["id"].as_str().unwrap()).await;
            Ok(Value::Null)
        }
    };
    registry.register(on_thing("thing/end", "end"), end).unwrap();
    registry.register(own("plain/echo"), async |_: OperationContext, input: Value| Ok(input)).unwrap();
}

/// Spawns a thing for the caller. `"slow"` has it wait for the test, at both ends.
async fn spawn(
    store: Arc<MemoryOwnership>,
    pace: Arc<Pace>,
    context: OperationContext,
    input: Value,
) -> Result<Value, CallError> {
    let is_slow = input == "slow";
    if is_slow {
        pace.spawning.fetch_add(1, Ordering::SeqCst);
        pace.begin.notified().await;
    }
    let id = format!("t-{}", pace.next.fetch_add(1, Ordering::SeqCst));
    let owner = context.identity.unwrap().id.clone();
    let claim = context.forwarded_for.map(|claim| claim.to_string());
    store.record(OwnershipRecord::new("thing", &*id, owner).with_claim(claim)).await.map_err(CallError::internal)?;
    if is_slow {
        pace.answer.notified().await;
    }
    Ok(json!({ "thing": { "id": id } }))
}

/// A node that exports what is at its peers.
pub(super) struct HubNode {
    pub(super) registry: Arc<Registry>,
    pub(super) store: Arc<MemoryOwnership>,
    pub(super) handler: Arc<CallHandler>,
    pub(super) peers: Arc<Peers>,
    pub(super) hub: Option<Hub>,
}

/// Everything of the peer `worker-<prefix>`.
pub(super) fn export(prefix: &str) -> Export {
    Export {
        peer: format!("worker-{prefix}").into(),
        operations: vec!["**".parse().unwrap()],
        prefix: prefix.to_owned(),
        required_scopes: vec!["thing:use".parse().unwrap()],
    }
}

impl HubNode {
    pub(super) fn exporting(exports: Vec<Export>) -> Self {
        let store = Arc::new(MemoryOwnership::default());
        let (registry, peers) = (registry(&store), Peers::new());
        let handler = CallHandler::new(registry.clone(), CallLimits::default()).with_watcher(peers.clone());
        let mut node = Self { handler: Arc::new(handler), registry, store, peers, hub: None };
        node.export(exports);
        node
    }

    pub(super) fn new() -> Self {
        Self::exporting(vec![export("a")])
    }

    /// Exports this and nothing else, as after a reload.
    pub(super) fn export(&mut self, exports: Vec<Export>) {
        let ownership: Arc<dyn OwnershipStore> = self.store.clone();
        self.hub = None;
        self.hub = Some(Hub::start(exports, &self.registry, &ownership, &self.peers));
    }

    /// A connection that a spoke has dialed, to whom this node is `hub`.
    pub(super) fn dialed_by(&self, spoke: &Arc<CallHandler>, peer: &str) -> Wire {
        Wire::new((spoke, auth_of(peer, &[])), (&self.handler, auth_of("hub", &["deep:use"])))
    }

    /// Connects the peer `worker-a`, and waits until its operations are there.
    pub(super) async fn join(&self, spoke: &Spoke) -> Wire {
        self.join_as(spoke, "a").await
    }

    pub(super) async fn join_as(&self, spoke: &Spoke, prefix: &str) -> Wire {
        let wire = self.dialed_by(&spoke.handler, &format!("worker-{prefix}"));
        self.has(&format!("{prefix}/thing/use")).await;
        wire
    }

    /// Waits until an operation is there.
    pub(super) async fn has(&self, operation: &str) {
        until(|| self.registry.spec(operation).is_some()).await;
    }

    pub(super) async fn lacks(&self, operation: &str) {
        until(|| self.registry.spec(operation).is_none()).await;
    }

    pub(super) fn user(&self, id: &'static str) -> User {
        User(client_of(&self.handler, auth_of(id, &["thing:use"])))
    }

    /// What the books say: kind, id and owner.
    pub(super) fn books(&self) -> BTreeSet<(String, String, String)> {
        let records = self.store.watch(None).snapshot;
        let row =
            |record: &Arc<OwnershipRecord>| (record.kind.to_string(), record.id.to_string(), record.owner.to_string());
        records.iter().map(row).collect()
    }
}

/// A row of the books.
pub(super) fn row(kind: &str, id: &str, owner: &str) -> (String, String, String) {
    (kind.to_owned(), id.to_owned(), owner.to_owned())
}

/// Somebody who calls a hub.
#[derive(Clone)]
pub(super) struct User(pub(super) CallClient);

impl User {
    pub(super) async fn call(&self, operation: &str, input: Value) -> Result<Value, CallError> {
        match self.0.call(operation, &input).await {
            Ok(output) => Ok(output),
            Err(error) => Err(remote::<()>(Err(error))),
        }
    }

    /// Spawns a thing under a prefix and gives its id.
    pub(super) async fn spawn(&self, prefix: &str) -> String {
        let output = self.call(&format!("{prefix}/thing/spawn"), Value::Null).await.unwrap();
        output["thing"]["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn uses(&self, prefix: &str, id: &str) -> Result<Value, CallError> {
        self.call(&format!("{prefix}/thing/use"), json!({ "id": id })).await
    }

    /// Subscribes to a thing and waits for its first event.
    pub(super) async fn watch(&self, prefix: &str, id: &str) -> Result<Subscription, CallError> {
        let mut events = self.0.subscribe(&format!("{prefix}/thing/watch"), &json!({ "id": id })).await.unwrap();
        match events.next().await.unwrap() {
            Ok(first) => assert_eq!(first, id),
            Err(error) => return Err(remote::<()>(Err(error))),
        }
        Ok(events)
    }

    pub(super) async fn list(&self, prefix: &str) -> Vec<String> {
        let output = self.call(&format!("{prefix}/thing/list"), Value::Null).await.unwrap();
        output["things"].as_array().unwrap().iter().map(|thing| thing["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// The error that a subscription ends with, within the second that revocations may take.
pub(super) async fn end_of(events: &mut Subscription) -> CallError {
    let end = tokio::time::timeout(Duration::from_secs(1), events.next()).await.expect("it goes on for too long");
    remote(end.expect("it has ended without an error"))
}

pub(super) fn code(result: &Result<Value, CallError>) -> Option<ErrorCode> {
    result.as_ref().err().map(|error| error.code.clone())
}
