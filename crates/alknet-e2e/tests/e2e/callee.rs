//! A node of the libraries alone, in this process, with operations that no real node has: they wait until they are told,
//! never end, give events without end, or call their caller.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alknet_call::builtin::{self, BuiltinSources, NodeFacts};
use alknet_call::{
    Bundle, CallClient, CallError, CallHandler, CallLimits, ClientError, ErrorCode, OperationContext, OperationSpec,
    Registry, Schema,
};
use alknet_core::{
    Endpoint, EndpointConfig, Fingerprint, HandlerRegistry, Identity, MemoryIdentities, MemoryOwnership, NodeKey,
    OwnershipRecord, OwnershipStore as _, Peer, Token,
};
use anyhow::Context as _;
use futures_util::{Stream, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What the callee's resources are called.
const KIND: &str = "thing";

/// It serves until it is dropped.
pub(crate) struct Callee {
    pub(crate) port: u16,
    pub(crate) fingerprint: Fingerprint,
    /// A bearer token of the peer `alice`.
    pub(crate) token: String,
    /// One of the peer `bob`.
    pub(crate) other_token: String,
    _endpoint: Endpoint,
    _runtime: Runtime,
}

impl Callee {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let _inside = runtime.enter();
        let key = NodeKey::from_seed(&[9; 32])?;
        let fingerprint = key.fingerprint();
        let [alice, bob] = [Token::generate()?, Token::generate()?];
        let identities = MemoryIdentities::new(vec![peer("alice", &alice), peer("bob", &bob)])?;
        let handlers = Arc::new(HandlerRegistry::new());
        handlers.add(Arc::new(CallHandler::new(operations(fingerprint)?, CallLimits::default())))?;
        let config = EndpointConfig::new(vec!["127.0.0.1:0".parse()?], key, handlers, Arc::new(identities));
        let endpoint = Endpoint::bind(config)?;
        let port = endpoint.local_addresses().first().context("the callee has no address")?.port();
        let [token, other_token] = [alice, bob].map(|token| token.reveal().to_owned());
        drop(_inside);
        Ok(Self { port, fingerprint, token, other_token, _endpoint: endpoint, _runtime: runtime })
    }
}

fn peer(id: &str, token: &Token) -> Peer {
    let scopes = vec!["metrics:read".parse().expect("it is a scope")];
    let identity = Arc::new(Identity { id: id.into(), scopes, resources: Default::default() });
    Peer { identity, fingerprints: Vec::new(), tokens: vec![token.hash()], enabled: true }
}

fn operations(fingerprint: Fingerprint) -> anyhow::Result<Arc<Registry>> {
    let ownership = Arc::new(MemoryOwnership::default());
    let registry = Arc::new(Registry::new().with_ownership(ownership.clone()));
    let started = std::time::Instant::now();
    let facts = move || NodeFacts {
        name: "callee".to_owned(),
        version: String::new(),
        fingerprint,
        alpns: Vec::new(),
        listen: Vec::new(),
        started,
        connections: 0,
    };
    builtin::register(&registry, BuiltinSources { facts, peers: Vec::new })?;
    registry.register(spec("test/echo"), |_: OperationContext, input: Value| async { Ok(input) })?;
    registry.register(spec("test/repeat"), |_: OperationContext, input: Value| async move { repeat(&input) })?;
    registry.register(spec("test/ask"), ask)?;
    register_gates(&registry)?;
    register_what_never_ends(&registry)?;
    register_things(&registry, &ownership)?;
    Ok(registry)
}

fn spec(name: &'static str) -> OperationSpec {
    OperationSpec::new(alknet_call::OperationName::from_static(name))
}

/// The text so many times.
fn repeat(input: &Value) -> Result<Value, CallError> {
    let times = input["times"].as_u64().and_then(|times| usize::try_from(times).ok());
    match (input["text"].as_str(), times) {
        (Some(text), Some(times)) => Ok(text.repeat(times).into()),
        _ => Err(CallError::invalid_input("the input has no text or no times")),
    }
}

/// Calls an operation of the caller's, or subscribes to it, and tells what came of that.
async fn ask(context: OperationContext, input: Value) -> Result<Value, CallError> {
    let caller = context.caller().ok_or_else(|| CallError::internal("the call came over no connection"))?;
    let operation =
        input["operation"].as_str().ok_or_else(|| CallError::invalid_input("the input has no operation"))?;
    if input["subscribe"] == true {
        return Ok(ask_for_many(&caller, operation, &input["input"]).await);
    }
    Ok(match caller.call(operation, &input["input"]).await {
        Ok(output) => json!({ "output": output }),
        Err(error) => json!({ "error": error_of(error) }),
    })
}

async fn ask_for_many(caller: &CallClient, operation: &str, input: &Value) -> Value {
    let mut outputs = Vec::new();
    let failed = match caller.subscribe(operation, input).await {
        Ok(mut events) => loop {
            match events.next().await {
                Some(Ok(output)) => outputs.push(output),
                Some(Err(error)) => break error,
                None => return json!({ "outputs": outputs }),
            }
        },
        Err(error) => error,
    };
    json!({ "outputs": outputs, "error": error_of(failed) })
}

fn error_of(error: ClientError) -> CallError {
    error.into_call_error()
}

/// `test/gate` answers when `test/open` has opened what it names.
fn register_gates(registry: &Registry) -> anyhow::Result<()> {
    let (opened, open) = (Arc::new(watch::Sender::new(BTreeSet::new())), spec("test/open"));
    let gates = opened.clone();
    registry.register(spec("test/gate"), move |_: OperationContext, input: Value| {
        let mut opened = gates.subscribe();
        async move {
            let is_open = |open: &BTreeSet<String>| input.as_str().is_some_and(|key| open.contains(key));
            opened.wait_for(is_open).await.map_err(CallError::internal)?;
            Ok(input)
        }
    })?;
    registry.register(open, move |_: OperationContext, input: Value| {
        opened.send_modify(|open| open.extend(input.as_str().map(ToOwned::to_owned)));
        async { Ok(Value::Null) }
    })?;
    Ok(())
}

/// Counted as held until it is dropped.
struct Held(Arc<AtomicU64>);

impl Held {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// `test/hang`, `test/ticks` and, if it is told to, `test/count`. `test/held` says how many of them run, `test/produced` how
/// many ticks there were.
fn register_what_never_ends(registry: &Registry) -> anyhow::Result<()> {
    let (held, produced) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let count = held.clone();
    registry.register(spec("test/hang"), move |_: OperationContext, _| {
        let held = Held::new(&count);
        async move {
            let _held = held;
            std::future::pending().await
        }
    })?;
    let (count, ticked) = (held.clone(), produced.clone());
    registry.add(Bundle::subscription(spec("test/ticks"), move |_: OperationContext, input| {
        ticks(&input, Held::new(&count), ticked.clone())
    }))?;
    let count = held.clone();
    registry.add(Bundle::subscription(spec("test/count"), move |_: OperationContext, input| {
        count_to(&input, Held::new(&count))
    }))?;
    for (name, counter) in [("test/held", held), ("test/produced", produced)] {
        registry.register(spec(name), move |_: OperationContext, _| {
            let count = counter.load(Ordering::SeqCst);
            async move { Ok(count.into()) }
        })?;
    }
    Ok(())
}

/// As fast as they are taken, each with so many bytes.
fn ticks(input: &Value, held: Held, produced: Arc<AtomicU64>) -> impl Stream<Item = Result<Value, CallError>> + use<> {
    let padding = "x".repeat(input["size"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(0));
    stream::iter(0_u64..).map(move |n| {
        let _held = &held;
        produced.fetch_add(1, Ordering::SeqCst);
        Ok(json!({ "n": n, "padding": padding }))
    })
}

/// So many numbers; then the end, an error, or nothing at all.
fn count_to(input: &Value, held: Held) -> impl Stream<Item = Result<Value, CallError>> + use<> {
    let to = input["to"].as_u64().unwrap_or(0);
    let error = CallError::declared("TEST_BROKE", "it was told to").with_details(json!({ "at": to }));
    let last = (input["fail"] == true).then_some(Err(error));
    let hangs = input["hang"] == true;
    let end = stream::iter(last).chain(stream::once(std::future::pending()).take(usize::from(hangs)));
    stream::iter(0..to).map(|n| Ok(n.into())).chain(end).inspect(move |_| {
        let _held = &held;
    })
}

/// `test/spawn` and `test/end`: things that the caller owns.
fn register_things(registry: &Registry, ownership: &Arc<MemoryOwnership>) -> anyhow::Result<()> {
    let name = Schema::new(json!({ "type": "string" }))?;
    let store = ownership.clone();
    let spawn = spec("test/spawn").with_input(name.clone()).with_spawns(KIND, "".parse()?);
    registry.register(spawn, move |context: OperationContext, input: Value| {
        let store = store.clone();
        async move {
            let owner = context.identity.as_ref().map(|identity| identity.id.clone()).unwrap_or_default();
            let claim = context.forwarded_for.as_ref().map(Value::to_string);
            let record = OwnershipRecord::new(KIND, input.as_str().unwrap_or_default(), owner).with_claim(claim);
            let taken = |error: alknet_core::OwnershipError| CallError::new(ErrorCode::InvalidInput, error.to_string());
            store.record(record).await.map_err(taken)?;
            Ok(input)
        }
    })?;
    let store = ownership.clone();
    let end = spec("test/end").with_input(name).with_resource(KIND, "end", Some("".parse()?));
    registry.register(end, move |_: OperationContext, input: Value| {
        let store = store.clone();
        async move {
            store.revoke(KIND, input.as_str().unwrap_or_default()).await;
            Ok(Value::Null)
        }
    })?;
    Ok(())
}
