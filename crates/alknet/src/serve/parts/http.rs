//! HTTP: the node's operations for clients that speak nothing else, and the decoy for all others.

use std::sync::{Arc, Mutex, PoisonError};

use alknet_call::{NameTaken, Overlay, Registry};
use alknet_http::decoy::Decoy;
use alknet_http::{ApiInfo, Dashboard, Exporter, HttpHandler};
#[cfg(feature = "mcp")]
use alknet_http::{McpServer, McpSessions};
use alknet_vault::Vault;

use super::{Basis, Ground, Part, PartError, Ready, WantedHandler};
use crate::config::Config;

/// Whoever has the dashboard open keeps it when the configuration changes, unless that switches it off.
pub(super) struct Http {
    operations: Arc<Registry>,
    /// They outlast a reload.
    #[cfg(feature = "mcp")]
    sessions: McpSessions,
    dashboard: Dashboard,
    opening: Mutex<Option<Overlay>>,
}

impl Http {
    pub(super) fn new(ground: &Ground) -> Self {
        Self {
            operations: ground.operations.clone(),
            #[cfg(feature = "mcp")]
            sessions: McpSessions::new(),
            dashboard: Dashboard::new(ground.identities.clone()),
            opening: Mutex::default(),
        }
    }

    /// Lets peers open the dashboard, or closes all that are open.
    fn switch(&self, enable: bool) -> Result<(), NameTaken> {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        *opening = match (enable, opening.take()) {
            (true, None) => Some(self.operations.install(vec![self.dashboard.bundle()])?),
            (true, installed) => installed,
            (false, _) => {
                self.dashboard.close();
                None
            }
        };
        Ok(())
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
        let has_dashboard = offers_dashboard(config);
        if has_dashboard {
            handler = handler.dashboard(self.dashboard.clone());
        }
        if let (Some(decoy), true) = (&settings.decoy, config.http.enable) {
            let mut decoy = decoy.clone();
            decoy.folder = decoy.folder.map(|folder| config.beside(&folder));
            handler = handler.decoy(Decoy::new(&decoy).map_err(PartError::new)?);
        }
        let handler = WantedHandler {
            handler: Arc::new(handler.build()),
            is_enabled: config.http.enable,
            // It carries the call protocol in its WebSocket.
            has_changed: |old, new| old.call != new.call || old.http != new.http,
        };
        Ok(Ready { handler: Some(handler), apply: Box::new(move || self.switch(has_dashboard)) })
    }
}

/// The page talks over the WebSocket, so it needs the call protocol.
fn offers_dashboard(config: &Config) -> bool {
    config.http.enable && config.call.enable && config.http.settings.dashboard.enable
}
