//! The log of forwarded calls.

use std::time::Instant;

use alknet_call::{CallError, OperationContext};

/// How much of what a caller says of whom it calls for is told, in characters.
const MAX_TOLD: usize = 256;

/// A call that goes to a server. Told when it ends, however that is.
pub(super) struct Audit {
    import: Box<str>,
    tool: Box<str>,
    caller: Box<str>,
    forwarded_for: Option<String>,
    start: Instant,
    outcome: Option<Box<str>>,
}

impl Audit {
    pub(super) fn begin(import: &str, tool: &str, context: &OperationContext) -> Self {
        let told = |value: &serde_json::Value| value.to_string().chars().take(MAX_TOLD).collect();
        Self {
            import: import.into(),
            tool: tool.escape_debug().to_string().into(),
            caller: context.identity.as_ref().map_or("-", |identity| &identity.id).into(),
            forwarded_for: context.forwarded_for.as_ref().map(told),
            start: Instant::now(),
            outcome: None,
        }
    }

    pub(super) fn end<T>(&mut self, result: &Result<T, CallError>) {
        self.outcome = Some(match result {
            Ok(_) => "ok".into(),
            Err(error) => error.wire_code().into(),
        });
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        tracing::info!(
            import = &*self.import,
            tool = &*self.tool,
            caller = &*self.caller,
            forwarded_for = self.forwarded_for.as_deref().unwrap_or("-"),
            // What has no outcome was dropped: nobody waits for it any more.
            outcome = self.outcome.as_deref().unwrap_or("ABORTED"),
            duration_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX),
            "a call went to an MCP server"
        );
    }
}
