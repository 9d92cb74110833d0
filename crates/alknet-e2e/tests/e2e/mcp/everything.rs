//! A node of the libraries alone, in this process, with operations that no real node has: those that the conformance suite
//! asks for, one that never answers, and one that never ends. The node under test offers them as its own.

use std::sync::Arc;
use std::time::Duration;

use alknet_call::builtin::{self, BuiltinSources, NodeFacts};
use alknet_call::{
    Access, Bundle, CallError, CallHandler, CallLimits, OperationContext, OperationSpec, Registry, Schema,
};
use alknet_core::{
    Endpoint, EndpointConfig, Fingerprint, HandlerRegistry, Identity, MemoryIdentities, MemoryOwnership, NodeKey, Peer,
};
use anyhow::Context as _;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::node::{Node, free_port};

/// What stands before the names of its tools at the node under test.
pub(super) const PREFIX: &str = "every.thing.";

/// The node under test, and what it offers.
pub(super) struct Everything {
    pub(super) node: Node,
    _endpoint: Endpoint,
    _runtime: Runtime,
}

impl Everything {
    /// With more lines in the configuration of the node under test.
    pub(super) fn start(more: &str) -> anyhow::Result<Self> {
        let mut node = Node::make(&[], &free_port()?.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let _inside = runtime.enter();
        let key = NodeKey::from_seed(&[11; 32])?;
        let fingerprint = key.fingerprint();
        let handlers = Arc::new(HandlerRegistry::new());
        handlers.add(Arc::new(CallHandler::new(operations(fingerprint)?, CallLimits::default())))?;
        let identities = Arc::new(MemoryIdentities::new(vec![hub(&node)?])?);
        let config = EndpointConfig::new(vec!["127.0.0.1:0".parse()?], key, handlers, identities);
        let endpoint = Endpoint::bind(config)?;
        let port = endpoint.local_addresses().first().context("it has no address")?.port();
        drop(_inside);
        node.add_to_config(&format!(
            "{more}\n[[peers]]\nid = \"everything\"\nfingerprints = [\"{fingerprint}\"]\naddress = \"127.0.0.1:{port}\"\n\
            [[hub.reexport]]\npeer = \"everything\"\noperations = [\"thing/*\"]\nprefix = \"every\"\n"
        ))?;
        // An allocator that gives back what it can: what a node holds is to be compared.
        node.serve_with(&[("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "0")])?;
        node.wait_for_log(&["exporting", "every/thing/test_simple_text"])?;
        Ok(Self { node, _endpoint: endpoint, _runtime: runtime })
    }
}

fn hub(node: &Node) -> anyhow::Result<Peer> {
    let identity = Arc::new(Identity { id: "hub".into(), scopes: Vec::new(), resources: Default::default() });
    Ok(Peer { identity, fingerprints: vec![node.fingerprint.parse()?], tokens: Vec::new(), enabled: true })
}

fn spec(name: &str) -> anyhow::Result<OperationSpec> {
    Ok(OperationSpec::new(name.parse()?).with_access(Access::Public).with_description("What the suite asks for"))
}

fn operations(fingerprint: Fingerprint) -> anyhow::Result<Arc<Registry>> {
    let registry = Arc::new(Registry::new().with_ownership(Arc::new(MemoryOwnership::default())));
    let started = std::time::Instant::now();
    let facts = move || NodeFacts {
        name: "everything".to_owned(),
        version: String::new(),
        fingerprint,
        alpns: Vec::new(),
        listen: Vec::new(),
        started,
        connections: 0,
    };
    builtin::register(&registry, BuiltinSources { facts, peers: Vec::new })?;
    registry.register(spec("thing/test_simple_text")?, async |_: OperationContext, _: Value| {
        Ok(json!("This is a simple text response for testing."))
    })?;
    registry.register(spec("thing/test_error_handling")?, async |_: OperationContext, _: Value| {
        Err(CallError::declared("INTENDED", "This tool intentionally returns an error for testing"))
    })?;
    let keywords = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": { "name": { "type": "string" }, "address": { "$ref": "#/$defs/address" } },
        "additionalProperties": false,
    });
    let keywords = spec("thing/json_schema_2020_12_tool")?.with_input(Schema::new(keywords)?);
    registry.register(keywords, async |_: OperationContext, input: Value| Ok(input))?;
    registry.register(spec("thing/hang")?, async |_: OperationContext, _: Value| std::future::pending().await)?;
    let three = |_: OperationContext, _: Value| ticks(3);
    registry.add(Bundle::subscription(spec("thing/test_tool_with_progress")?, three))?;
    let endless = |_: OperationContext, _: Value| ticks(u64::MAX);
    registry.add(Bundle::subscription(spec("thing/ticks")?, endless))?;
    Ok(registry)
}

fn ticks(count: u64) -> impl futures_util::Stream<Item = Result<Value, CallError>> + Send + 'static {
    stream::unfold(0, move |number| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        (number < count).then(|| (Ok(json!(number)), number + 1))
    })
}
