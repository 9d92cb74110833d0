//! What of MCP is under way, as the registry's metrics have it.

use std::sync::{Arc, OnceLock, Weak};

use alknet_call::{Metric, MetricKind, MetricSource, Registry};

use super::session::Sessions;

/// One for all servers of a registry. They share their sessions.
#[derive(Default)]
struct McpMetrics {
    sessions: OnceLock<Weak<Sessions>>,
}

/// Has the metrics of `registry` tell of `sessions`.
pub(super) fn tell(registry: &Registry, sessions: &Arc<Sessions>) {
    registry.counters::<McpMetrics>().sessions.get_or_init(|| Arc::downgrade(sessions));
}

impl MetricSource for McpMetrics {
    fn metrics(&self) -> Vec<Metric> {
        let Some(sessions) = self.sessions.get().and_then(Weak::upgrade) else { return Vec::new() };
        let (open, under_way) = (sessions.count(), sessions.under_way_of_all());
        let gauge = |name, value, help| Metric::new(name, MetricKind::Gauge, value, help);
        Vec::from([
            gauge("alknet_mcp_calls_running", under_way.calls.into(), "Calls of tools over MCP"),
            gauge(
                "alknet_mcp_listeners_open",
                under_way.listeners.into(),
                "Clients of MCP that listen without a session",
            ),
            gauge("alknet_mcp_sessions_open", open as u64, "Sessions of MCP"),
        ])
    }
}
