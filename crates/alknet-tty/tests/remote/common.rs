use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alknet_call::builtin::{self, BuiltinSources, NodeFacts};
use alknet_call::{ALPN, CallClient, CallHandler, CallLimits, ErrorCode, Overlay, Registry};
use alknet_core::{
    Alpn, AuthContext, Connection, Fingerprint, HandlerError, Identity, MemoryIdentities, Peer, ProtocolHandler,
    SingleStream, TokenHash,
};
use alknet_tty::wire::{Attached, Header, Reply, Target};
use alknet_tty::{SpawnInput, Terminals, TtyConfig, TtyHandler};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::gate::Gate;

/// The peers of the node, whose keys are their places in this list and whose tokens are `alk_<id>`.
pub(crate) const PEERS: [&str; 3] = ["alice", "bob", "hub"];

pub(crate) fn config() -> TtyConfig {
    TtyConfig { commands: vec!["/bin/sh".into()], ..TtyConfig::default() }
}

/// A node with terminals.
pub(crate) struct Node {
    pub(crate) terminals: Terminals,
    pub(crate) store: Arc<Gate>,
    pub(crate) identities: Arc<MemoryIdentities>,
    pub(crate) operations: Overlay,
    handler: Arc<CallHandler>,
    pub(crate) streams: Arc<TtyHandler>,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: TtyConfig) -> Self {
        let store = Arc::new(Gate::default());
        let terminals = Terminals::new(config, store.clone());
        let registry = Arc::new(Registry::new().with_ownership(store.clone()));
        builtin::register(&registry, BuiltinSources { facts, peers: Vec::new }).unwrap();
        let operations = registry.install(alknet_tty::bundles(&terminals)).unwrap();
        let handler = Arc::new(CallHandler::new(registry, CallLimits::default()));
        let streams = Arc::new(TtyHandler::new(terminals.clone()));
        let node = Self { terminals, store, identities: Arc::default(), operations, handler, streams };
        node.set_peers(&PEERS.map(|peer| (peer, &["tty:*"][..])));
        node
    }

    /// Who is a peer, with which scopes.
    pub(crate) fn set_peers(&self, peers: &[(&str, &[&str])]) {
        let peer = |(id, scopes): &(&str, &[&str])| {
            let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
            let identity = Identity { id: (*id).into(), scopes, resources: Default::default() };
            Peer {
                identity: Arc::new(identity),
                fingerprints: vec![key(id)],
                tokens: vec![TokenHash::of(&format!("alk_{id}"))],
                enabled: true,
            }
        };
        self.identities.set(peers.iter().map(peer).collect()).unwrap();
    }

    fn auth(&self, who: Option<&str>) -> AuthContext {
        let fingerprints: Vec<_> = who.map(key).into_iter().collect();
        AuthContext::new(fingerprints, self.identities.clone())
    }

    /// A connection of `who`; a stranger's, if nobody's.
    pub(crate) fn client(&self, who: Option<&str>) -> Client {
        let (near, far) = duplex(64 * 1024);
        tokio::spawn(self.handler.clone().handle(connection(far, ALPN), self.auth(who)));
        Client(CallClient::new(connection(near, ALPN)))
    }

    /// A stream of `alknet/tty` of `who`, and what becomes of the handler.
    pub(crate) fn raw(&self, who: Option<&str>) -> (DuplexStream, JoinHandle<Result<(), HandlerError>>) {
        self.draining_raw(who, CancellationToken::new())
    }

    pub(crate) fn draining_raw(
        &self,
        who: Option<&str>,
        draining: CancellationToken,
    ) -> (DuplexStream, JoinHandle<Result<(), HandlerError>>) {
        let (near, far) = duplex(4096);
        let transport = SingleStream::new("pipe", far);
        let connection = Connection::with_draining(transport, Alpn::new(alknet_tty::ALPN).unwrap(), draining);
        let handler = self.streams.clone();
        let auth = self.auth(who);
        let served = tokio::spawn(async move {
            let result = handler.handle(connection.clone(), auth).await;
            // As the endpoint does.
            connection.finish().await;
            result
        });
        (near, served)
    }

    /// A stream that has sent this header, and the answer.
    pub(crate) async fn open(&self, who: Option<&str>, header: Header) -> (DuplexStream, Reply) {
        let (mut stream, _) = self.raw(who);
        stream.write_all(&header.encode().unwrap()).await.unwrap();
        let reply = reply(&mut stream).await;
        (stream, reply)
    }

    pub(crate) async fn attach(&self, who: &str, id: &str) -> DuplexStream {
        let (stream, reply) = self.open(Some(who), Header::of(Target::Attach(id.into()))).await;
        assert!(matches!(&reply, Reply::Attached(attached) if attached.id == id), "{reply:?}");
        stream
    }
}

pub(crate) fn key(peer: &str) -> Fingerprint {
    let place = PEERS.iter().position(|known| *known == peer).unwrap();
    Fingerprint::Ed25519([place as u8; 32])
}

fn connection(io: DuplexStream, alpn: &str) -> Connection {
    Connection::new(SingleStream::new("pipe", io), Alpn::new(alpn).unwrap())
}

fn facts() -> NodeFacts {
    NodeFacts {
        name: "node".into(),
        version: "1".into(),
        fingerprint: Fingerprint::Ed25519([9; 32]),
        alpns: vec![],
        listen: vec![],
        started: Instant::now(),
        connections: 0,
    }
}

pub(crate) async fn reply(stream: &mut DuplexStream) -> Reply {
    Reply::parse(&frame(stream).await).unwrap()
}

pub(crate) async fn frame(stream: &mut DuplexStream) -> Vec<u8> {
    let length = within(stream.read_u32()).await.unwrap();
    let mut json = vec![0; length as usize];
    within(stream.read_exact(&mut json)).await.unwrap();
    json
}

/// Reads until `text` has come, and gives everything up to its end.
pub(crate) async fn until(stream: &mut (impl AsyncReadExt + Unpin), text: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(text.as_bytes()) {
        let byte = within(stream.read_u8()).await;
        seen.push(
            byte.unwrap_or_else(|_| panic!("the stream ends without {text:?}: {}", String::from_utf8_lossy(&seen))),
        );
    }
    String::from_utf8(seen).unwrap()
}

/// Everything up to the end of the stream.
pub(crate) async fn rest(stream: &mut DuplexStream) -> String {
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    String::from_utf8(rest).unwrap()
}

/// A wait with a limit that only a hang reaches.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this hangs")
}

/// Waits for a condition that nobody announces.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never comes that {what}");
}

pub(crate) fn runs(pid: u64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub(crate) fn attach(id: &str) -> Header {
    Header::of(Target::Attach(id.into()))
}

pub(crate) fn script(script: &str) -> Header {
    let args = Some(vec!["-c".into(), script.into()]);
    Header::of(Target::Spawn(SpawnInput { args, ..SpawnInput::default() }))
}

pub(crate) fn refused(reply: Reply) -> (ErrorCode, String) {
    let Reply::Refused { error } = reply else { panic!("{reply:?}") };
    (error.code, error.message)
}

pub(crate) fn attached(reply: Reply) -> Attached {
    let Reply::Attached(attached) = reply else { panic!("{reply:?}") };
    attached
}
