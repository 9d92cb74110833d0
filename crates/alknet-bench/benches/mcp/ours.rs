//! alknet's HTTP handler, with one operation.

use std::sync::Arc;

use alknet_call::{OperationContext, OperationSpec, Registry, Schema};
use alknet_core::{
    Alpn, AuthContext, Connection, Identity, MemoryIdentities, Peer, ProtocolHandler as _, SingleStream, TokenHash,
};
use alknet_http::{HttpConfig, HttpHandler, McpServer, McpSessions};
use serde_json::{Value, json};
use tokio::io::{DuplexStream, duplex};

use crate::{OPERATION, TOKEN};

/// Serves one connection, until the program ends.
pub(crate) fn serve() -> DuplexStream {
    let registry = Arc::new(Registry::new());
    let input = Schema::new(json!({ "type": "object", "properties": { "text": { "type": "string" } } })).unwrap();
    let spec = OperationSpec::new(OPERATION.parse().unwrap()).with_input(input);
    registry.register(spec, async |_: OperationContext, input: Value| Ok(input)).unwrap();
    let (config, sessions) = (HttpConfig::default(), McpSessions::new());
    let server = McpServer::new(registry.clone(), "bench", &config, &sessions);
    let handler = Arc::new(HttpHandler::builder(registry, config).nest(server.router()).build());
    let identity = Arc::new(Identity { id: "bench".into(), scopes: Vec::new(), resources: Default::default() });
    let peer = Peer { identity, fingerprints: Vec::new(), tokens: vec![TokenHash::of(TOKEN)], enabled: true };
    let identities = Arc::new(MemoryIdentities::new(vec![peer]).unwrap());
    let (near, far) = duplex(64 * 1024);
    let connection = Connection::new(SingleStream::new("pipe", far), Alpn::new("http/1.1").unwrap());
    tokio::spawn(async move {
        let _sessions = sessions;
        handler.handle(connection, AuthContext::new([], identities)).await
    });
    near
}
