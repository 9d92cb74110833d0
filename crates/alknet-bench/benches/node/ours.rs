//! The measured side: an `Endpoint` with one handler, as a node has it.

use std::net::SocketAddr;
use std::sync::Arc;

use alknet_core::{
    Alpn, AuthContext, BoxFuture, Connection, Endpoint, EndpointConfig, HandlerError, HandlerRegistry, Identity,
    Limits, MemoryIdentities, NodeKey, Peer, ProtocolHandler,
};
use tokio::runtime::Runtime;

use crate::exchange::answer;
use crate::tls::{CLIENT_SEED, SERVER_SEED};

/// Starts it on the port that it returns. It knows the client's key.
pub(crate) fn serve(runtime: &Runtime, alpn: &str) -> (Endpoint, SocketAddr) {
    let registry = Arc::new(HandlerRegistry::new());
    registry.add(Arc::new(Answering(Alpn::new(alpn).unwrap()))).unwrap();
    let client = Peer {
        identity: Arc::new(Identity { id: "client".into(), scopes: Vec::new(), resources: Default::default() }),
        fingerprints: vec![NodeKey::from_seed(&CLIENT_SEED).unwrap().fingerprint()],
        tokens: Vec::new(),
        enabled: true,
    };
    let identities = Arc::new(MemoryIdentities::new(vec![client]).unwrap());
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let mut config = EndpointConfig::new(listen, NodeKey::from_seed(&SERVER_SEED).unwrap(), registry, identities);
    config.limits = limits();
    let _inside = runtime.enter();
    let endpoint = Endpoint::bind(config).unwrap();
    let address = endpoint.local_addresses()[0];
    (endpoint, address)
}

/// Everything comes from one address here; the other side has no limits at all.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_connections = 100_000;
    limits.max_connections_per_address = 100_000;
    limits.retry_above_handshakes = 100_000;
    limits
}

struct Answering(Alpn);

impl ProtocolHandler for Answering {
    fn alpns(&self) -> Vec<Alpn> {
        vec![self.0.clone()]
    }

    fn handle(self: Arc<Self>, connection: Connection, _: AuthContext) -> BoxFuture<'static, Result<(), HandlerError>> {
        Box::pin(async move {
            while let Ok(mut stream) = connection.accept_bi().await {
                // The client is in this process: what goes wrong is seen there.
                let _ = answer(&mut stream).await;
            }
            Ok(())
        })
    }
}
