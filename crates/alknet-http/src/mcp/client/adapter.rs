//! Operations from the tools of a server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alknet_call::{
    Access, AdapterError, Bundle, Capabilities, OperationAdapter, OperationName, OperationPattern, Provenance,
};
use alknet_core::BoxFuture;
use tokio::sync::watch;
use url::Url;

use super::error::McpError;
use super::listing::{Listing, list};
use super::pace::Pace;
use super::server::{Server, common_credential, own};
use super::tools::McpTools;
use crate::HttpClient;
use crate::outbound::is_private;

/// What of a server is imported, and how. It has no `Debug`: there may be secrets in it.
#[derive(Clone)]
pub struct McpOptions {
    /// Which operations: those that one of these names, without the name of the source (`admin/*`) or with it (`shop/list_*`). One whose
    /// pattern ends in `-stream` is about the operations that tell of progress, and no other is. Default: all but those.
    pub operations: Vec<OperationPattern>,
    /// Who can run them. Default: any known peer.
    pub access: Access,
    /// Whether they can be seen from outside. Default: they are internal.
    pub exported: bool,
    /// The secrets to call it with, sent as bearer tokens. The one called `*` is everybody's.
    pub capabilities: Capabilities,
}

impl Default for McpOptions {
    fn default() -> Self {
        Self {
            operations: "**".parse().into_iter().collect(),
            access: Access::default(),
            exported: false,
            capabilities: Capabilities::default(),
        }
    }
}

impl McpOptions {
    /// The name of the capability that only calls of the identity `id` go out with.
    pub fn own(id: &str) -> String {
        own(id)
    }

    pub(super) fn wants(&self, source: &str, name: &OperationName) -> bool {
        self.operations.iter().any(|pattern| matches(pattern, source, name))
    }
}

pub(super) fn matches(pattern: &OperationPattern, source: &str, name: &OperationName) -> bool {
    pattern.matches(name) || pattern.prefixed(source).is_ok_and(|pattern| pattern.matches(name))
}

/// Makes operations of the tools of an MCP server, over streamable HTTP, of the generations of 2026-07-28 and of 2025-11-25
/// and before. Each is called `source/tool`. One called `source/tool-stream`, if a pattern asks for it, is a subscription
/// that tells of the tool's progress, and of its result at last.
///
/// The output is the structured content of a result, checked against the schema that the tool declares; without any, a single
/// text as a string, or `{"content": […]}`. What a tool itself calls an error is the error `TOOL_ERROR`.
///
/// The secrets for a call are the call's [capabilities](alknet_call::OperationContext::capabilities), and come from nowhere else.
///
/// ```no_run
/// use alknet_call::{Capabilities, OperationAdapter, Registry};
/// use alknet_http::{FromMcp, HttpClient, McpOptions, OutboundConfig};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let options = McpOptions {
///     operations: vec!["shop/list_*".parse()?],
///     capabilities: Capabilities::default().with("*", "from the vault".to_owned()),
///     ..McpOptions::default()
/// };
/// let client = HttpClient::new(&OutboundConfig::default())?;
/// let import = FromMcp::new("shop", "https://shop.example/mcp".parse()?, options, client)?;
/// let registry = Registry::new();
/// let mut overlay = registry.install(import.import().await?)?;
/// let mut changes = import.changes().expect("tools come and go");
/// changes.changed().await?;
/// overlay.replace(import.import().await?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FromMcp {
    server: Arc<Server>,
    options: McpOptions,
    /// What the server has listed last.
    listed: Mutex<Option<Arc<Listed>>>,
    pace: tokio::sync::Mutex<Pace>,
}

/// What a server is and has.
#[derive(PartialEq)]
pub(super) struct Listed {
    pub(super) title: String,
    pub(super) version: String,
    pub(super) protocol: String,
    pub(super) listing: Listing,
}

impl FromMcp {
    /// An import from the server at `url`, which is called `name` here. Nothing is sent.
    ///
    /// # Errors
    /// When `name` is no word of an operation's name, or `url` is neither over TLS nor on this machine.
    pub fn new(name: &str, url: Url, options: McpOptions, client: HttpClient) -> Result<Self, McpError> {
        // Any operation would do: what is to be found out is whether the source is a word of a name.
        format!("{name}/x").parse::<OperationName>().map_err(McpError::Name)?;
        if !is_private(&url) {
            return Err(McpError::Insecure { server: url.origin().ascii_serialization() });
        }
        let server = Arc::new(Server::new(name, url, client, &options.capabilities));
        Ok(Self { server, options, listed: Mutex::default(), pace: tokio::sync::Mutex::new(Pace::new()) })
    }

    /// The tools as they were listed to an earlier import from the same server; none if that was another, or is too new to
    /// know. Compiles their schemas, which takes a while at worst.
    pub fn inherit(&self, earlier: &Self) -> Option<McpTools> {
        let listed = earlier.known().filter(|_| earlier.server.url == self.server.url)?;
        self.server.set_away(earlier.server.away());
        self.set_known(listed.clone());
        Some(McpTools::plan(&self.server, &self.options, &listed))
    }

    /// Asks for the tools that there are at this moment.
    ///
    /// # Errors
    /// When the server is away, or says what cannot be understood. Until this succeeds again, calls are UNAVAILABLE.
    pub async fn tools(&self) -> Result<McpTools, McpError> {
        let listed = self.ask().await?;
        self.set_known(listed.clone());
        Ok(self.plan(listed).await)
    }

    /// As [`tools`](Self::tools); none if they are what they were.
    ///
    /// # Errors
    /// As [`tools`](Self::tools).
    pub async fn news(&self) -> Result<Option<McpTools>, McpError> {
        let listed = self.ask().await?;
        if self.known().as_ref() == Some(&listed) {
            return Ok(None);
        }
        self.set_known(listed.clone());
        Ok(Some(self.plan(listed).await))
    }

    async fn ask(&self) -> Result<Arc<Listed>, McpError> {
        self.pace.lock().await.wait().await;
        let credential = common_credential(&self.options.capabilities);
        let asked = async {
            let session = self.server.session(credential).await?;
            let listing = list(&session, &self.server.scrub).await?;
            let info = session.peer_info();
            let of_itself = info.as_ref().and_then(|info| info.server_info.as_ref());
            let said =
                |text: Option<&str>| self.server.scrub.text(text.unwrap_or_default()).chars().take(200).collect();
            Ok(Arc::new(Listed {
                title: said(of_itself.map(|server| server.title.as_deref().unwrap_or(&server.name))),
                version: said(of_itself.map(|server| &*server.version)),
                protocol: info.map(|info| info.protocol_version.to_string()).unwrap_or_default(),
                listing,
            }))
        };
        let deadline = self.server.http.deadline(Duration::MAX);
        let asked = match deadline.of(&self.server.url, async { Ok(asked.await) }).await {
            Ok(asked) => asked,
            Err(late) => Err(McpError::Away(late.to_string())),
        };
        if asked.is_err() {
            // A new one may do better.
            self.server.renew(credential).await;
        }
        let reason = asked.as_ref().err().map(|error| self.server.scrub.text(&error.to_string()).into_owned());
        self.server.set_away(reason);
        asked
    }

    /// Schemas take long to compile, at worst.
    async fn plan(&self, listed: Arc<Listed>) -> McpTools {
        let (server, options) = (self.server.clone(), self.options.clone());
        let (title, version, protocol) = (listed.title.clone(), listed.version.clone(), listed.protocol.clone());
        let plan = tokio::task::spawn_blocking(move || McpTools::plan(&server, &options, &listed));
        // It does not panic, and nobody aborts it.
        plan.await.unwrap_or_else(|_| McpTools::empty(title, version, protocol))
    }

    fn known(&self) -> Option<Arc<Listed>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_known(&self, listed: Arc<Listed>) {
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(listed);
    }
}

impl OperationAdapter for FromMcp {
    fn provenance(&self) -> Provenance {
        Provenance::FromMcp
    }

    fn import(&self) -> BoxFuture<'_, Result<Vec<Bundle>, AdapterError>> {
        Box::pin(async {
            self.tools().await.map(|tools| tools.bundles()).map_err(|error| match error {
                McpError::Away(_) | McpError::Timeout(_) => AdapterError::Unreachable(Box::new(error)),
                error => AdapterError::Misunderstood(Box::new(error)),
            })
        })
    }

    fn changes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.server.changes.subscribe())
    }
}
