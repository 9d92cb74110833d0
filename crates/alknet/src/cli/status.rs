//! `alknet status`.

use alknet_call::CallOptions;
use serde_json::Value;

use super::Invocation;
use super::call::call;
use super::dial::{DialArgs, block_on, resolve};
use crate::client;

#[derive(clap::Args)]
pub(super) struct StatusArgs {
    /// A peer's id, or FINGERPRINT@HOST:PORT [default: this node]
    pub(super) node: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) dial: DialArgs,
}

pub(super) fn run(args: StatusArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let node = resolve(args.node.as_deref(), invocation)?;
    let info = call(&node, &args.dial, "/node/info", &Value::Null, CallOptions::new().timeout(args.dial.patience()));
    let info = block_on(info)?;
    if args.json {
        return Ok(invocation.output.line(info)?);
    }
    Ok(invocation.output.line(client::describe(&info).trim_end())?)
}
