//! The measured side: an `Endpoint` with a `CallHandler`, as a node has it, and a `CallClient` that it knows.

mod events;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alknet_call::{ALPN, CallClient, CallHandler, CallLimits, OperationContext, OperationSpec, Registry};
use alknet_core::{
    Alpn, Destination, Dialer, Endpoint, EndpointConfig, HandlerRegistry, Identity, Limits, MemoryIdentities, NodeKey,
    Peer, ServerIdentity, TransportChoice,
};
use serde_json::Value;

use crate::caller::Caller;
use crate::memory::MANY;
use crate::note::Note;

const SERVER_SEED: [u8; 32] = [1; 32];
const CLIENT_SEED: [u8; 32] = [2; 32];

const ECHO: &str = "bench/echo";
const HANG: &str = "bench/hang";
const HANGING: &str = "bench/hanging";

/// How long to dial.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the server, within a runtime.
pub(crate) fn serve() -> (Endpoint, String) {
    let handlers = Arc::new(HandlerRegistry::new());
    handlers.add(Arc::new(CallHandler::new(operations(), call_limits()))).unwrap();
    let client = Peer {
        identity: Arc::new(Identity { id: "client".into(), scopes: Vec::new(), resources: Default::default() }),
        fingerprints: vec![NodeKey::from_seed(&CLIENT_SEED).unwrap().fingerprint()],
        tokens: Vec::new(),
        enabled: true,
    };
    let identities = Arc::new(MemoryIdentities::new(vec![client]).unwrap());
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let mut config = EndpointConfig::new(listen, NodeKey::from_seed(&SERVER_SEED).unwrap(), handlers, identities);
    config.limits = Limits::default();
    config.limits.max_streams_per_connection = MANY as u32;
    let endpoint = Endpoint::bind(config).unwrap();
    let address = endpoint.local_addresses()[0].to_string();
    (endpoint, address)
}

fn operations() -> Arc<Registry> {
    let registry = Arc::new(Registry::new());
    let spec = |name: &str| OperationSpec::new(name.parse().unwrap());
    registry.register(spec(ECHO), async |_: OperationContext, input: Value| Ok(input)).unwrap();
    let counter = Arc::new(AtomicU64::new(0));
    let hanging = counter.clone();
    let hang = move |_: OperationContext, _: Value| {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::pending()
    };
    registry.register(spec(HANG), hang).unwrap();
    let count = move |_: OperationContext, _: Value| std::future::ready(Ok(hanging.load(Ordering::Relaxed).into()));
    registry.register(spec(HANGING), count).unwrap();
    events::register(&registry);
    registry
}

/// As they are by default, but for the calls that wait while their memory is measured.
fn call_limits() -> CallLimits {
    CallLimits { max_concurrent_calls: MANY as u32, call_timeout_seconds: 300, ..CallLimits::default() }
}

/// A client. Its dialer has the socket of a QUIC connection.
#[derive(Clone)]
pub(crate) struct Ours {
    client: CallClient,
    _dialer: Arc<Dialer>,
}

impl Ours {
    pub(crate) async fn connect(address: &str, transport: TransportChoice) -> Self {
        let server = NodeKey::from_seed(&SERVER_SEED).unwrap().fingerprint();
        let node = Destination { address: address.to_owned(), identity: ServerIdentity::Pinned(vec![server]) };
        let dialer = Dialer::new(Some(NodeKey::from_seed(&CLIENT_SEED).unwrap()));
        let connection = dialer.dial(&node, &Alpn::new(ALPN).unwrap(), transport, PATIENCE).await.unwrap();
        Self { client: CallClient::with_limits(connection, call_limits()), _dialer: Arc::new(dialer) }
    }
}

impl Caller for Ours {
    async fn echo(&self, note: &Note) {
        let answer = self.client.call(ECHO, note).await.unwrap();
        assert_eq!(answer["text"].as_str().map(str::len), Some(note.text.len()));
    }

    async fn hang(&self, note: &Note) {
        let answer = self.client.call(HANG, note).await;
        panic!("a call that has no answer was answered: {answer:?}");
    }

    async fn hanging(&self) -> u64 {
        self.client.call(HANGING, &()).await.unwrap().as_u64().unwrap()
    }

    async fn events(&self, count: u64) -> Result<(), String> {
        events::read(&self.client, count).await
    }
}
