//! HTTP: the node's operations for clients that speak nothing else, and the decoy for all others.

use std::sync::Arc;

use alknet_call::Registry;
use alknet_http::decoy::Decoy;
use alknet_http::{ApiInfo, Exporter, HttpHandler};
#[cfg(feature = "mcp")]
use alknet_http::{McpServer, McpSessions};
use alknet_vault::Vault;

use super::{Basis, Ground, Part, PartError, Ready, WantedHandler};

pub(super) struct Http {
    operations: Arc<Registry>,
    /// They outlast a reload.
    #[cfg(feature = "mcp")]
    sessions: McpSessions,
}

impl Http {
    pub(super) fn new(ground: &Ground) -> Self {
        Self {
            operations: ground.operations.clone(),
            #[cfg(feature = "mcp")]
            sessions: McpSessions::new(),
        }
    }
}

impl Part for Http {
    fn prepare(self: Arc<Self>, basis: &Basis<'_>, _: Option<&Vault>) -> Result<Ready, PartError> {
        let (config, settings) = (basis.config, &basis.config.http.settings);
        let title = format!("Operations of the node {}", config.node.name);
        let mut handler = HttpHandler::builder(self.operations.clone(), settings.clone())
            .describe(Exporter::new(self.operations.clone(), &ApiInfo::new(&title)));
        if config.call.enable {
            handler = handler.calls(basis.call.clone());
        }
        #[cfg(feature = "mcp")]
        if settings.mcp.enable {
            let server = McpServer::new(self.operations.clone(), title, settings, &self.sessions);
            handler = handler.nest(server.router());
        }
        if let (Some(decoy), true) = (&settings.decoy, config.http.enable) {
            let mut decoy = decoy.clone();
            decoy.folder = decoy.folder.map(|folder| config.beside(&folder));
            handler = handler.decoy(Decoy::new(&decoy).map_err(PartError::new)?);
        }
        Ok(Ready::with_handler(WantedHandler {
            handler: Arc::new(handler.build()),
            is_enabled: config.http.enable,
            // It carries the call protocol in its WebSocket.
            has_changed: |old, new| old.call != new.call || old.http != new.http,
        }))
    }
}
