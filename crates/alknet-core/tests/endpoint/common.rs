//! A node in this process, and the handlers that the tests give it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alknet_core::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Long enough for any machine: what a test waits for either happens or is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const BOTH: [TransportChoice; 2] = [TransportChoice::Quic, TransportChoice::Tcp];

pub(crate) fn alpn(name: &str) -> Alpn {
    Alpn::new(name).unwrap()
}

pub(crate) fn key(seed: u8) -> NodeKey {
    NodeKey::from_seed(&[seed; 32]).unwrap()
}

pub(crate) fn peer(id: &str, key: &NodeKey) -> Peer {
    let identity = Identity { id: id.into(), scopes: vec![], resources: Default::default() };
    Peer { identity: Arc::new(identity), fingerprints: vec![key.fingerprint()], tokens: vec![], enabled: true }
}

pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    pub(crate) registry: Arc<HandlerRegistry>,
    pub(crate) identities: Arc<MemoryIdentities>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) key: NodeKey,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let (registry, identities) = (Arc::new(HandlerRegistry::new()), Arc::new(MemoryIdentities::default()));
        registry.add(Echo::handler("echo")).unwrap();
        let key = key(1);
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let mut config = EndpointConfig::new(listen, key.clone(), registry.clone(), identities.clone());
        change(&mut config);
        let certificates = config.certificates.clone();
        Self { endpoint: Endpoint::bind(config).unwrap(), registry, identities, certificates, key }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.endpoint.local_addresses()[0]
    }

    pub(crate) fn destination(&self) -> Destination {
        let identity = ServerIdentity::Pinned(vec![self.key.fingerprint()]);
        Destination { address: self.address().to_string(), identity }
    }

    pub(crate) async fn dial(&self, name: &str, transport: TransportChoice) -> Result<Connection, DialError> {
        self.dial_as(None, name, transport).await
    }

    pub(crate) async fn dial_as(
        &self,
        key: Option<NodeKey>,
        name: &str,
        transport: TransportChoice,
    ) -> Result<Connection, DialError> {
        Dialer::new(key).dial(&self.destination(), &alpn(name), transport, PATIENCE).await
    }
}

/// Sends back what it gets on every stream, after a line that says who the client is.
pub(crate) struct Echo(Alpn);

impl Echo {
    pub(crate) fn handler(name: &str) -> Arc<dyn ProtocolHandler> {
        Arc::new(Self(alpn(name)))
    }
}

impl ProtocolHandler for Echo {
    fn alpns(&self) -> Vec<Alpn> {
        vec![self.0.clone()]
    }

    fn handle(
        self: Arc<Self>,
        connection: Connection,
        auth: AuthContext,
    ) -> BoxFuture<'static, Result<(), HandlerError>> {
        Box::pin(async move {
            let mut streams = tokio::task::JoinSet::new();
            loop {
                let stream = tokio::select! {
                    stream = connection.accept_bi() => stream,
                    () = connection.draining() => break,
                };
                let Ok(stream) = stream else { break };
                let label = auth.label();
                streams.spawn(async move {
                    let (mut send, mut recv) = stream.split();
                    send.write_all(format!("{label}\n").as_bytes()).await?;
                    tokio::io::copy(&mut recv, &mut send).await?;
                    send.shutdown().await
                });
            }
            while streams.join_next().await.is_some() {}
            Ok(())
        })
    }
}

/// Sends `text` to an echo and returns who it took us for.
pub(crate) async fn echo(connection: &Connection, text: &str) -> std::io::Result<String> {
    let mut stream = connection.open_bi().await?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (label, echoed) = answer.split_once('\n').expect("a line that says who we are");
    assert_eq!(echoed, text);
    Ok(label.to_owned())
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
