//! Asking the node that runs with this configuration, with its own key: as root does for a service that only root may
//! talk to, and whose files only the service may write.

use std::time::Duration;

use alknet_call::{CallClient, CallOptions, ClientError};
use alknet_core::{Alpn, DialError, TransportChoice};
use serde_json::Value;

use super::Invocation;
use super::dial::block_on;
use super::output::Output;
use crate::client;
use crate::pairing::PairingError;

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
        Err(error) => untold(&error, output),
    }
}

/// Has the running node do something, or does it in the files where none can be asked; a node that runs all the same finds
/// it there at its next reload. Says whether the node has done it.
pub(super) fn by_node_or(
    invocation: &Invocation,
    operation: &str,
    input: &Value,
    in_files: impl FnOnce() -> Result<(), PairingError>,
) -> anyhow::Result<bool> {
    let error = match block_on(ask(invocation, operation, input)) {
        Ok(_) => return Ok(true),
        Err(error) => error,
    };
    if let Some(ClientError::Remote(_)) = error.downcast_ref() {
        return Err(error);
    }
    in_files()?;
    untold(&error, &invocation.output);
    Ok(false)
}

/// Says that no node knows of a change yet.
fn untold(error: &anyhow::Error, output: &Output) {
    match error.downcast_ref() {
        Some(DialError::Unreachable { .. }) => {
            output.note("no node runs with this configuration now; the next start applies it")
        }
        _ => output.warning(format_args!(
            "a running node was not told ({error:#}): systemctl reload alknet, or SIGHUP to its process"
        )),
    }
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
