//! Asking the node that runs with this configuration, with its own key: as root does for a service that only root may
//! talk to, and whose files only the service may write.

use std::time::Duration;

use alknet_call::{CallClient, CallOptions};
use alknet_core::{Alpn, DialError, TransportChoice};
use serde_json::Value;

use super::Invocation;
use super::dial::block_on;
use crate::client;

/// A node on this machine answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has the running node read its configuration again, and says what came of it. The command itself has succeeded by
/// then, so none of it is an error.
pub(super) fn after_edit(invocation: &Invocation) {
    let output = &invocation.output;
    match block_on(ask(invocation, "/config/reload", &Value::Null)) {
        Ok(report) => {
            output.note("the running node has applied the change");
            let names = report.get("restart_needed").and_then(Value::as_array).into_iter().flatten();
            let names: Vec<_> = names.filter_map(Value::as_str).collect();
            if !names.is_empty() {
                output.warning(format_args!("other changes need a restart of the node: {}", names.join(", ")));
            }
        }
        Err(error) if is_not_running(&error) => {
            output.note("no node runs with this configuration now; the next start applies it")
        }
        Err(error) => output.warning(format_args!(
            "a running node was not told ({error:#}): systemctl reload alknet, or SIGHUP to its process"
        )),
    }
}

/// Whether nobody listens where the node would.
pub(super) fn is_not_running(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(DialError::Unreachable { .. }))
}

/// Calls an operation of the running node.
pub(super) async fn ask(invocation: &Invocation, operation: &str, input: &Value) -> anyhow::Result<Value> {
    let node = client::resolve(None, Some(&invocation.config_file), &invocation.environment)?;
    // TCP says at once when nobody listens.
    let dialed = client::dial(&node, &Alpn::new(alknet_call::ALPN)?, TransportChoice::Tcp, PATIENCE).await?;
    let call = CallClient::new(dialed.connection.clone());
    let answer = call.call_with(operation, input, CallOptions::new().timeout(PATIENCE)).await;
    dialed.close().await;
    Ok(answer?)
}
