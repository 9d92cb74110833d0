//! What the tests of this crate share.

use std::sync::Arc;

use alknet_call::{
    Access, Bundle, CallError, CallHandler, CallLimits, ErrorCode, ErrorSpec, OperationContext, OperationSpec,
    Registry, Schema,
};
use alknet_core::{
    Alpn, AuthContext, Connection, HandlerError, Identity, MemoryIdentities, Peer, ProtocolHandler as _, SingleStream,
    TokenHash,
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{HttpConfig, HttpHandler, HttpHandlerBuilder};

/// A registry with a stand-in for `node/info`, which fails for the input `"fail"` and `"busy"` and hangs for `"hang"`, and
/// with operations to follow and to be refused.
pub(crate) fn registry() -> Arc<Registry> {
    let info = async |context: OperationContext, input: Value| match input.as_str() {
        Some("fail") => Err(CallError::new(ErrorCode::Unavailable, "")),
        Some("busy") => Err(CallError::declared("BUSY", "later")),
        Some("hang") => std::future::pending().await,
        Some("slow") => {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            Ok(json!("slow"))
        }
        Some("request") => Ok(json!(&*context.request_id)),
        _ => Ok(json!({ "caller": context.identity.map(|identity| identity.id.to_string()), "input": input })),
    };
    let registry = Registry::new();
    let spec = OperationSpec::new("node/info".parse().unwrap()).with_access(Access::Identified);
    registry.register(spec.with_error(ErrorSpec::new("BUSY", "Later")), info).unwrap();
    let public = OperationSpec::new("a/tty/list".parse().unwrap()).with_access(Access::Public);
    registry.register(public, async |_: OperationContext, _: Value| Ok(json!([]))).unwrap();
    let scoped = |name: &str| {
        let access = Access::Scopes(vec!["demo:use".parse().unwrap()]);
        OperationSpec::new(name.parse().unwrap()).with_access(access)
    };
    registry.register(scoped("demo/scoped"), async |_: OperationContext, _: Value| Ok(json!("done"))).unwrap();
    let count = scoped("demo/count").with_resumes("/next".parse().unwrap(), "/from".parse().unwrap());
    let input = json!({ "type": "object", "properties": { "from": { "type": "integer" } }, "required": ["to"] });
    registry.add(Bundle::subscription(count.with_input(Schema::new(input).unwrap()), counted)).unwrap();
    let endless = |_: OperationContext, input: Value| stream::repeat_with(move || Ok(input.clone()));
    registry.add(Bundle::subscription(scoped("demo/endless"), endless)).unwrap();
    let quiet = |_: OperationContext, _: Value| stream::once(async { Ok(json!("first")) }).chain(stream::pending());
    registry.add(Bundle::subscription(scoped("demo/quiet"), quiet)).unwrap();
    Arc::new(registry)
}

/// Counts from `from` to `to`. At 13 it fails, at once if it begins there.
fn counted(
    _: OperationContext,
    input: Value,
) -> impl futures_util::Stream<Item = Result<Value, CallError>> + Send + 'static {
    let (from, to) = (input["from"].as_u64().unwrap_or(0), input["to"].as_u64().unwrap_or(0));
    stream::iter(from..to).map(|number| match number {
        13 => Err(CallError::new(ErrorCode::Unavailable, "no thirteen")),
        number => Ok(json!({ "number": number, "next": number + 1 })),
    })
}

fn peer(id: &str, scopes: &[&str]) -> Peer {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    Peer {
        identity: Arc::new(Identity { id: id.into(), scopes, resources: Default::default() }),
        fingerprints: vec![],
        tokens: vec![TokenHash::of(&format!("alk_{id}"))],
        enabled: true,
    }
}

/// A node's peers: alice has no scopes, bob has `metrics:read` and `demo:use`. Their tokens are `alk_alice` and `alk_bob`.
pub(crate) fn identities() -> Arc<MemoryIdentities> {
    let identities = MemoryIdentities::default();
    read_again(&identities);
    Arc::new(identities)
}

/// Puts the peers in that were there, as a reload does when nothing of them has changed.
pub(crate) fn read_again(identities: &MemoryIdentities) {
    identities.set(vec![peer("alice", &[]), peer("bob", &["metrics:read", "demo:use"])]).unwrap();
}

/// Takes bob's scopes away.
pub(crate) fn demote_bob(identities: &MemoryIdentities) {
    identities.set(vec![peer("alice", &[]), peer("bob", &[])]).unwrap();
}

/// Takes bob's token away.
pub(crate) fn forget_bob(identities: &MemoryIdentities) {
    identities.set(vec![peer("alice", &[])]).unwrap();
}

/// A client without a key, at a node that knows alice and bob.
pub(crate) fn auth() -> AuthContext {
    AuthContext::new([], identities())
}

pub(crate) fn pipe(alpn: &str, draining: CancellationToken) -> (DuplexStream, Connection) {
    let (near, far) = duplex(64 * 1024);
    (near, Connection::with_draining(SingleStream::new("pipe", far), Alpn::new(alpn).unwrap(), draining))
}

/// A client that speaks HTTP by hand.
pub(crate) struct Raw {
    pub(crate) io: DuplexStream,
    pub(crate) served: JoinHandle<Result<(), HandlerError>>,
    pub(crate) drain: CancellationToken,
    pub(crate) identities: Arc<MemoryIdentities>,
}

pub(crate) fn connect(alpn: &str) -> Raw {
    connect_with(alpn, HttpConfig::default())
}

/// A connection to a handler that serves calls, too.
pub(crate) fn connect_with(alpn: &str, config: HttpConfig) -> Raw {
    connect_to(alpn, config, |handler| handler)
}

/// The same, with more about the handler.
pub(crate) fn connect_to(
    alpn: &str,
    config: HttpConfig,
    more: impl FnOnce(HttpHandlerBuilder) -> HttpHandlerBuilder,
) -> Raw {
    connect_as(alpn, config, identities(), more)
}

/// The same, to a node that knows these.
pub(crate) fn connect_as(
    alpn: &str,
    config: HttpConfig,
    identities: Arc<MemoryIdentities>,
    more: impl FnOnce(HttpHandlerBuilder) -> HttpHandlerBuilder,
) -> Raw {
    let (registry, drain) = (registry(), CancellationToken::new());
    let (io, connection) = pipe(alpn, drain.clone());
    let calls = Arc::new(CallHandler::new(registry.clone(), CallLimits::default()));
    let handler = more(HttpHandler::builder(registry, config).calls(calls)).build();
    let served = tokio::spawn(Arc::new(handler).handle(connection, AuthContext::new([], identities.clone())));
    Raw { io, served, drain, identities }
}

impl Raw {
    pub(crate) async fn rest(&mut self) -> String {
        let mut text = Vec::new();
        self.io.read_to_end(&mut text).await.unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What comes up to and including `end`.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(self.io.read_u8().await.unwrap().into());
        }
        text
    }
}

/// The frame of a call, as `alknet/call` has it.
pub(crate) fn call_frame(operation: &str, input: Value) -> Vec<u8> {
    let payload = json!({ "operationId": operation, "input": input });
    let json = json!({ "type": "call.requested", "id": "1", "payload": payload }).to_string();
    [&(json.len() as u32).to_be_bytes(), json.as_bytes()].concat()
}

/// Reads the text exposition format, as strictly as it is described: the samples and their values. A family is described
/// before its samples, which stand together.
pub(crate) fn exposition(text: &str) -> Vec<(String, u64)> {
    let mut families: Vec<String> = Vec::new();
    let mut samples = Vec::new();
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n').peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap().to_owned();
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap();
            let kind = kind.strip_prefix(&format!("{name} ")).unwrap();
            assert!(["counter", "gauge"].contains(&kind), "{line}");
            assert!(!families.contains(&name), "{name} is described twice");
            families.push(name);
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let name = sample.split('{').next().unwrap();
        assert_eq!(Some(name), families.last().map(String::as_str), "{line} stands outside of its family");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
        assert_eq!(sample.contains('{'), sample.ends_with('}'), "{line}");
        samples.push((sample.to_owned(), value.parse().unwrap()));
    }
    samples
}
