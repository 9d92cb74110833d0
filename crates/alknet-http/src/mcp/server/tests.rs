use std::time::Duration;

use alknet_call::{Access, OperationContext, OperationSpec};
use alknet_core::{AuthContext, MemoryIdentities, ProtocolHandler as _};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::HttpHandler;
use crate::testkit::{demote_bob, identities, pipe, registry};

mod calls;
mod clients;
mod lists;
mod sessions;

/// What every client of 2026-07-28 says of itself with each request.
const MODERN: &str = "2026-07-28";

/// A handler with `/mcp`.
struct World {
    handler: Arc<HttpHandler>,
    registry: Arc<Registry>,
    identities: Arc<MemoryIdentities>,
    sessions: Arc<Sessions>,
    drain: CancellationToken,
    _kept: McpSessions,
}

/// An answer that is being read.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    read: String,
    /// The connection. It is cut when this is dropped.
    _connection: AbortOnDropHandle<()>,
}

/// A session of the generation that has them.
struct Client<'a> {
    world: &'a World,
    who: &'a str,
    id: String,
}

impl World {
    fn new() -> Self {
        Self::with("")
    }

    /// With some of `[http.mcp]`.
    fn with(mcp: &str) -> Self {
        Self::of(&toml::from_str(&format!("[mcp]\n{mcp}")).unwrap())
    }

    fn of(config: &HttpConfig) -> Self {
        let (registry, kept) = (registry(), McpSessions::new());
        let server = McpServer::new(registry.clone(), "Tested", config, &kept);
        let handler = HttpHandler::builder(registry.clone(), config.clone()).nest(server.router()).build();
        let (identities, sessions) = (identities(), kept.shared());
        let drain = CancellationToken::new();
        Self { handler: Arc::new(handler), registry, identities, sessions, drain, _kept: kept }
    }

    /// A request over a connection of its own.
    async fn send(&self, who: &str, method: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let (io, connection) = pipe("http/1.1", self.drain.clone());
        let auth = AuthContext::new([], self.identities.clone());
        tokio::spawn(self.handler.clone().handle(connection, auth));
        let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.unwrap();
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let mut request = Request::builder().method(method).uri(PATH).header("host", "node.example:4433");
        let token = format!("Bearer alk_{who}");
        let usual = [
            ("authorization", &*token),
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
        ];
        for (name, value) in usual.iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let response = sender.send_request(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        Answer { status: head.status, headers: head.headers, body, read: String::new(), _connection: connection }
    }

    /// A request of a client that has no session.
    async fn modern(&self, who: &str, method: &str, params: Value) -> Answer {
        let mut params = params;
        let meta = &mut params["_meta"];
        meta["io.modelcontextprotocol/protocolVersion"] = json!(MODERN);
        meta["io.modelcontextprotocol/clientInfo"] = json!({ "name": "test", "version": "1" });
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let mut headers = vec![("mcp-protocol-version", MODERN), ("mcp-method", method)];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.send(who, "POST", &headers, body.to_string()).await
    }

    /// The answer to such a request.
    async fn ask(&self, who: &str, method: &str, params: Value) -> Value {
        self.modern(who, method, params).await.message().await.unwrap()
    }

    async fn call(&self, who: &str, tool: &str, arguments: Value) -> Value {
        self.ask(who, "tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    async fn open<'a>(&'a self, who: &'a str) -> Client<'a> {
        let mut answer = self.initialize(who).await;
        assert_eq!(answer.message().await.unwrap()["result"]["protocolVersion"], "2025-11-25");
        let client = Client { world: self, who, id: answer.headers[SESSION_ID].to_str().unwrap().to_owned() };
        let answer = client.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        assert_eq!(answer.status, 202);
        client
    }

    async fn initialize(&self, who: &str) -> Answer {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        self.send(who, "POST", &[], body.to_string()).await
    }

    fn add(&self, name: &str) {
        let spec = OperationSpec::new(name.parse().unwrap()).with_access(Access::Identified);
        self.registry.register(spec, async |_: OperationContext, input: Value| Ok(input)).unwrap();
    }

    /// Waits until so many calls are under way. With the clock stopped it gets there in no time, or never.
    async fn until_calls(&self, count: u32) {
        until(|| self.sessions.under_way_of_all().calls == count).await;
    }
}

impl Client<'_> {
    async fn send(&self, message: Value) -> Answer {
        self.request("POST", message.to_string()).await
    }

    async fn request(&self, method: &str, body: String) -> Answer {
        let headers = [(SESSION_ID, &*self.id), ("mcp-protocol-version", "2025-11-25")];
        self.world.send(self.who, method, &headers, body).await
    }

    async fn ask(&self, id: u32, method: &str, params: Value) -> Answer {
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await
    }

    async fn call(&self, id: u32, tool: &str, arguments: Value) -> Answer {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": id } });
        self.ask(id, "tools/call", params).await
    }

    async fn cancel(&self, id: u32) {
        let params = json!({ "requestId": id });
        self.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params })).await;
    }

    async fn listen(&self) -> Answer {
        self.request("GET", String::new()).await
    }
}

impl Answer {
    /// The next message, of events or as the whole; none when there are no more.
    async fn message(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data:"));
                let message =
                    data.map(str::trim).filter(|data| !data.is_empty()).map(|data| serde_json::from_str(data).unwrap());
                self.read = rest.to_owned();
                if message.is_some() {
                    return message;
                }
                continue;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.read += std::str::from_utf8(frame.data_ref().unwrap()).unwrap(),
                _ if self.read.is_empty() => return None,
                _ => return serde_json::from_str(&std::mem::take(&mut self.read)).ok(),
            }
        }
    }

    /// The next event, as it is.
    async fn event(&mut self) -> String {
        while !self.read.contains("\n\n") {
            let frame = self.body.frame().await.unwrap().unwrap();
            self.read += std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
        }
        let (event, rest) = self.read.split_once("\n\n").unwrap();
        let (event, rest) = (event.to_owned(), rest.to_owned());
        self.read = rest;
        event
    }

    /// The whole of it.
    async fn text(self) -> String {
        String::from_utf8(self.body.collect().await.unwrap().to_bytes().into()).unwrap()
    }
}

async fn until(condition: impl Fn() -> bool) {
    let soon = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), soon).await.expect("it never happened");
}

fn names(result: &Value) -> Vec<&str> {
    result["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}
