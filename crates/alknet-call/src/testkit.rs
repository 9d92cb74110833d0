//! What the tests of this crate share.

use std::sync::Arc;
use std::time::Duration;

use alknet_core::{
    Alpn, AuthContext, CloseCode, Connection, Fingerprint, Identity, MemoryIdentities, MemoryOwnership, Peer,
    ProtocolHandler, SingleStream, TokenHash,
};
use serde_json::Value;
use tokio::io::{DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use crate::{
    Access, CallClient, CallError, CallHandler, CallLimits, CallerInfo, EventStream, OperationContext, OperationSpec,
    Registry,
};

pub(crate) fn identity(id: &str, scopes: &[&str]) -> Identity {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    Identity { id: id.into(), scopes, resources: Default::default() }
}

/// A provider that knows one peer: the key of sevens, and the token `alk_<id>`.
fn provider(id: &str, scopes: &[&str]) -> Arc<MemoryIdentities> {
    let peer = Peer {
        identity: Arc::new(identity(id, scopes)),
        fingerprints: vec![Fingerprint::Ed25519([7; 32])],
        tokens: vec![TokenHash::of(&format!("alk_{id}"))],
        enabled: true,
    };
    Arc::new(MemoryIdentities::new(vec![peer]).unwrap())
}

/// A connection of that peer's.
pub(crate) fn auth_of(id: &str, scopes: &[&str]) -> AuthContext {
    AuthContext::new([Fingerprint::Ed25519([7; 32])], provider(id, scopes))
}

/// A stranger's connection to a node that knows that peer.
pub(crate) fn stranger_beside(id: &str, scopes: &[&str]) -> AuthContext {
    AuthContext::new([], provider(id, scopes))
}

pub(crate) fn nobody() -> AuthContext {
    AuthContext::new([], Arc::new(MemoryIdentities::default()))
}

pub(crate) fn pipe(size: usize) -> (DuplexStream, Connection) {
    let (peer, own) = duplex(size);
    (peer, connection(own))
}

pub(crate) fn draining_connection(io: DuplexStream, draining: CancellationToken) -> Connection {
    Connection::with_draining(SingleStream::new("pipe", io), Alpn::new("alknet/call").unwrap(), draining)
}

pub(crate) fn connection(io: DuplexStream) -> Connection {
    Connection::new(SingleStream::new("pipe", io), Alpn::new("alknet/call").unwrap())
}

pub(crate) fn context(identity: Option<Identity>) -> OperationContext {
    let peer = CallerInfo::of(&pipe(1).1, &nobody());
    OperationContext::new("1", identity.map(Arc::new), Arc::new(peer), Duration::from_secs(30))
}

pub(crate) fn spec(name: &'static str, access: Access) -> OperationSpec {
    OperationSpec::new(name.parse().unwrap()).with_access(access)
}

pub(crate) fn frame(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

/// A registry where an ownership store says who owns what, and that store.
pub(crate) fn owning_registry() -> (Registry, Arc<MemoryOwnership>) {
    let store = Arc::new(MemoryOwnership::default());
    (Registry::new().with_ownership(store.clone()), store)
}

/// The next output of a stream; none at its end.
pub(crate) async fn next(events: &mut EventStream) -> Option<Result<Value, CallError>> {
    std::future::poll_fn(|cx| events.as_mut().poll_next(cx)).await
}

/// A handler of what is in `registry`.
pub(crate) fn serving(registry: &Arc<Registry>) -> Arc<CallHandler> {
    Arc::new(CallHandler::new(registry.clone(), CallLimits::default()))
}

/// A connection between two nodes.
pub(crate) struct Wire {
    /// The client of the side that has dialed.
    pub(crate) client: CallClient,
    ends: [Connection; 2],
}

impl Wire {
    /// Connects `dialing`, which to the other side is `caller`, with `dialed`, which to the first is `callee`.
    pub(crate) fn new(
        (dialing, caller): (&Arc<CallHandler>, AuthContext),
        (dialed, callee): (&Arc<CallHandler>, AuthContext),
    ) -> Self {
        let (near, far) = duplex(64 * 1024);
        let ends = [connection(near), connection(far)];
        tokio::spawn(dialed.clone().handle(ends[1].clone(), caller));
        let (client, serving) = dialing.serve(ends[0].clone(), callee);
        tokio::spawn(serving);
        Self { client, ends }
    }

    /// Breaks it, for both sides at once.
    pub(crate) fn cut(&self) {
        self.ends.iter().for_each(|end| end.close(CloseCode::DONE, ""));
    }
}

/// A client of somebody who serves nothing, on a connection to `handler`.
pub(crate) fn client_of(handler: &Arc<CallHandler>, auth: AuthContext) -> CallClient {
    let (near, far) = duplex(64 * 1024);
    tokio::spawn(handler.clone().handle(connection(far), auth));
    CallClient::new(connection(near))
}

/// Waits until something is so. Only the limit of the test runner ends the wait.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The error that the callee has answered with.
pub(crate) fn remote<T: std::fmt::Debug>(result: Result<T, crate::ClientError>) -> CallError {
    match result {
        Err(crate::ClientError::Remote(error)) => error,
        other => panic!("no error of the callee's: {other:?}"),
    }
}
