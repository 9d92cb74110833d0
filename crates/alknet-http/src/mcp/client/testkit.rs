//! Servers for the tests: one written by hand, which lies as it is told to, and one of the library's.

use std::sync::{Arc, Mutex};

use alknet_call::{
    Access, CallError, CallerInfo, Capabilities, EventStream, OperationAdapter as _, OperationContext, Overlay,
    Registry,
};
use alknet_core::Identity;
use axum::body::Body;
use http::Response;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{FromMcp, McpOptions};
use crate::outbound::testkit::{Mock, Recorded, client, respond};

/// A server of 2025-11-25. `script` answers what it wants to, by method and parameters; for the rest it is a decent server
/// without tools.
pub(super) async fn scripted(
    script: impl Fn(&str, &Value, &Recorded) -> Option<Response<Body>> + Send + Sync + 'static,
) -> Mock {
    Mock::serve(move |request| {
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (method, id) = (message["method"].as_str().unwrap_or_default(), &message["id"]);
        if let Some(response) = script(method, &message, request) {
            return response;
        }
        match method {
            "initialize" => {
                let info = json!({ "name": "scripted", "version": "1" });
                let capabilities = json!({ "tools": { "listChanged": true } });
                let result =
                    json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": info });
                let mut response = answer(id, result);
                response.headers_mut().insert("mcp-session-id", "session-1".parse().unwrap());
                response
            }
            "server/discover" => respond(
                400,
                "application/json",
                r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"no session"}}"#,
            ),
            "tools/list" => answer(id, json!({ "tools": [] })),
            "" => respond(405, "text/plain", ""),
            _ => respond(202, "text/plain", ""),
        }
    })
    .await
}

/// A server with these tools, whose calls are answered by `call` with a result.
pub(super) async fn with_tools(tools: Value, call: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) -> Mock {
    scripted(move |method, message, _| match method {
        "tools/list" => Some(answer(&message["id"], json!({ "tools": tools }))),
        "tools/call" => {
            let params = &message["params"];
            Some(answer(&message["id"], call(params["name"].as_str().unwrap(), &params["arguments"])))
        }
        _ => None,
    })
    .await
}

pub(super) fn answer(id: &Value, result: Value) -> Response<Body> {
    respond(200, "application/json", json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
}

pub(super) fn tool(name: &str) -> Value {
    json!({ "name": name, "inputSchema": { "type": "object" } })
}

/// Options that let everybody in.
pub(super) fn open(operations: &[&str], capabilities: &[(&str, &str)]) -> McpOptions {
    let operations = operations.iter().map(|text| text.parse().unwrap()).collect();
    let capabilities =
        capabilities.iter().fold(Capabilities::default(), |all, (name, secret)| all.with(*name, (*secret).to_owned()));
    McpOptions { operations, access: Access::Public, exported: true, capabilities }
}

/// A node that has imported a server as `m`.
pub(super) struct Node {
    pub(super) registry: Registry,
    pub(super) import: FromMcp,
    overlay: Overlay,
}

impl Node {
    pub(super) async fn new(url: &Url) -> Self {
        Self::with(url, open(&["m/*", "m/*-stream"], &[])).await
    }

    pub(super) async fn with(url: &Url, options: McpOptions) -> Self {
        let import = FromMcp::new("m", url.clone(), options, client()).unwrap();
        let registry = Registry::new();
        let overlay = registry.install(import.import().await.unwrap()).unwrap();
        Self { registry, import, overlay }
    }

    /// Waits for a change, and takes it over.
    pub(super) async fn follow(&mut self) {
        let mut changes = self.import.changes().unwrap();
        loop {
            if let Some(tools) = self.import.news().await.unwrap() {
                return self.overlay.replace(tools.bundles()).unwrap();
            }
            changes.changed().await.unwrap();
        }
    }

    pub(super) async fn call(&self, name: &str, input: Value) -> Result<Value, CallError> {
        self.registry.invoke(name, input, context(None)).await
    }

    pub(super) async fn call_as(&self, who: &str, name: &str, input: Value) -> Result<Value, CallError> {
        self.registry.invoke(name, input, context(Some(who))).await
    }

    pub(super) fn subscribe(&self, name: &str, input: Value) -> EventStream {
        self.registry.subscribe(name, input, context(None)).unwrap()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.registry.specs().iter().map(|spec| spec.name.to_string()).collect()
    }
}

/// A call on behalf of mallory, whatever that is worth.
pub(super) fn context(who: Option<&str>) -> OperationContext {
    let identity = |id: &str| Arc::new(Identity { id: id.into(), scopes: Vec::new(), resources: Default::default() });
    let mut context = OperationContext::new("1", who.map(identity), CallerInfo::in_process(), Duration::from_secs(30));
    context.forwarded_for = Some(json!({ "id": "mallory" }));
    context
}

/// A server of the library's, of both generations.
pub(super) struct Real {
    pub(super) url: Url,
    pub(super) state: Arc<State>,
    _serving: AbortOnDropHandle<()>,
}

/// What a test can see and change of the server.
pub(super) struct State {
    pub(super) tools: watch::Sender<Vec<&'static str>>,
    /// How many calls of `hang` are running.
    pub(super) hanging: watch::Sender<usize>,
    pub(super) calls: Mutex<Vec<String>>,
}

impl Real {
    pub(super) async fn serve() -> Self {
        let state = Arc::new(State {
            tools: watch::Sender::new(vec!["add", "hang", "steps"]),
            hanging: watch::Sender::default(),
            calls: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap()).parse().unwrap();
        let handler = Handler(state.clone());
        let service = StreamableHttpService::new(
            move || Ok(handler.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let serve = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper_util::service::TowerToHyperService::new(service.clone());
                connections.spawn(async move {
                    let io = hyper_util::rt::TokioIo::new(stream);
                    // How a connection ends is the client's business.
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                });
            }
        };
        Self { url, state, _serving: AbortOnDropHandle::new(tokio::spawn(serve)) }
    }
}

#[derive(Clone)]
struct Handler(Arc<State>);

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({ "type": "object" }).as_object().unwrap().clone();
        let tools = self.0.tools.borrow().iter().map(|name| Tool::new(*name, "", schema.clone())).collect();
        Ok(ListToolsResult { tools, ..ListToolsResult::default() })
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.0.calls.lock().unwrap().push(request.name.to_string());
        let arguments = Value::from(request.arguments.unwrap_or_default());
        let text = match &*request.name {
            "add" => (arguments["a"].as_i64().unwrap_or(0) + arguments["b"].as_i64().unwrap_or(0)).to_string(),
            "steps" => {
                let token = context.meta.get_progress_token().unwrap();
                for step in 1..=3 {
                    let progress = ProgressNotificationParam::new(token.clone(), f64::from(step)).with_total(3.0);
                    context.peer.notify_progress(progress).await.unwrap();
                }
                "done".to_owned()
            }
            "hang" => {
                let running = Running::begin(&self.0);
                context.ct.cancelled().await;
                drop(running);
                "cancelled".to_owned()
            }
            name => return Err(ErrorData::invalid_params(format!("no tool {name}"), None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut tools = self.0.tools.subscribe();
        loop {
            tokio::select! {
                _ = context.cancelled() => return Ok(()),
                _ = tools.changed() => context.sink().notify_tool_list_changed().await.unwrap(),
            }
        }
    }
}

struct Running(Arc<State>);

impl Running {
    fn begin(state: &Arc<State>) -> Self {
        state.hanging.send_modify(|running| *running += 1);
        Self(state.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.hanging.send_modify(|running| *running -= 1);
    }
}
