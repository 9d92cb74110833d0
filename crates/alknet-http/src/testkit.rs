//! What the tests of this crate share.

use std::sync::Arc;

use alknet_call::{Access, CallError, CallerInfo, ErrorCode, OperationContext, OperationSpec, Registry};
use alknet_core::{Alpn, AuthContext, Connection, Identity, MemoryIdentities, Peer, SingleStream, TokenHash};
use serde_json::{Value, json};
use tokio::io::{DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use crate::Caller;

/// A registry with a stand-in for `node/info`, which fails for the input `"fail"` and hangs for `"hang"`.
pub(crate) fn registry() -> Arc<Registry> {
    let info = async |context: OperationContext, input: Value| match input.as_str() {
        Some("fail") => Err(CallError::new(ErrorCode::Unavailable, "")),
        Some("hang") => std::future::pending().await,
        Some("slow") => {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok(json!("slow"))
        }
        _ => Ok(json!({ "caller": context.identity.map(|identity| identity.id.to_string()), "input": input })),
    };
    let registry = Registry::new();
    let spec = OperationSpec::new("node/info".parse().unwrap()).with_access(Access::Identified);
    registry.register(spec, info).unwrap();
    Arc::new(registry)
}

/// A client without a key, at a node that knows alice by the token `alk_alice`.
pub(crate) fn auth() -> AuthContext {
    let alice = Peer {
        identity: Arc::new(Identity { id: "alice".into(), scopes: vec![], resources: Default::default() }),
        fingerprints: vec![],
        tokens: vec![TokenHash::of("alk_alice")],
        enabled: true,
    };
    AuthContext::new([], Arc::new(MemoryIdentities::new(vec![alice]).unwrap()))
}

pub(crate) fn pipe(alpn: &str, draining: CancellationToken) -> (DuplexStream, Connection) {
    let (near, far) = duplex(64 * 1024);
    (near, Connection::with_draining(SingleStream::new("pipe", far), Alpn::new(alpn).unwrap(), draining))
}

pub(crate) fn stranger() -> Caller {
    Caller::new(auth(), CallerInfo::of(&pipe("h2", CancellationToken::new()).1, &auth()))
}
