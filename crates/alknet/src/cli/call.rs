//! `alknet call`.

use std::path::PathBuf;

use alknet_call::{CallClient, CallOptions};
use alknet_core::Alpn;
use anyhow::Context as _;
use serde_json::Value;

use super::Invocation;
use super::dial::{DialArgs, block_on, resolve};
use crate::client::Resolved;
use crate::secrets;

#[derive(clap::Args)]
pub(super) struct CallArgs {
    /// A peer's id, or FINGERPRINT@HOST:PORT, or HOST:PORT with a certificate of the system's roots
    pub(super) node: String,

    /// The operation, as in /node/info
    #[arg(value_name = "/SERVICE/OP")]
    pub(super) operation: String,

    /// The input, - for standard input
    #[arg(default_value = "{}", value_name = "JSON")]
    pub(super) input: String,

    /// Call with the bearer token in the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// Print the output on one line
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) dial: DialArgs,
}

pub(super) fn run(args: CallArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let input = input(&args.input)?;
    let node = resolve(Some(&args.node), invocation)?;
    let mut options = CallOptions::new().timeout(args.dial.timeout);
    if let Some(file) = &args.token_file {
        let secret = secrets::read_named(file)?;
        let token = std::str::from_utf8(secret.passphrase()?).context("the token is not text")?;
        options = options.auth_token(token);
    }
    let output = block_on(call(&node, &args.dial, &args.operation, &input, options))?;
    let text = if args.json { output.to_string() } else { serde_json::to_string_pretty(&output)? };
    Ok(invocation.output.line(text)?)
}

fn input(text: &str) -> anyhow::Result<Value> {
    let from_stdin;
    let text = match text {
        "-" => {
            from_stdin = std::io::read_to_string(std::io::stdin()).context("standard input cannot be read")?;
            &from_stdin
        }
        text => text,
    };
    serde_json::from_str(text).context("the input is no JSON; a text needs its quotes, as in '\"text\"'")
}

/// Calls one operation on a connection of its own.
pub(super) async fn call(
    node: &Resolved,
    dial: &DialArgs,
    operation: &str,
    input: &Value,
    options: CallOptions,
) -> anyhow::Result<Value> {
    let dialed = dial.dial(node, &Alpn::new(alknet_call::ALPN)?).await?;
    let client = CallClient::new(dialed.connection.clone());
    let result = client.call_with(operation, input, options).await;
    dialed.close().await;
    result.with_context(|| format!("{operation} failed on {}", node.destination.address))
}
