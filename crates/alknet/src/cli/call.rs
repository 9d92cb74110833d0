//! `alknet call`.

use std::num::NonZeroU64;
use std::process::ExitCode;

use alknet_call::{CallClient, CallOptions};
use alknet_core::Alpn;
use anyhow::Context as _;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::Invocation;
use super::call_events::{EventLimits, Request, print_events};
use super::dial::{CallerArgs, DialArgs, block_on, resolve};
use super::report::INTERRUPTED;
use crate::client::Resolved;

#[derive(clap::Args)]
pub(super) struct CallArgs {
    /// A peer's id, or FINGERPRINT@HOST:PORT, or HOST:PORT with a certificate of the system's roots
    pub(super) node: String,

    /// The operation, as in /node/info; of a subscription all events are printed until it ends, or Ctrl-C ends it, or
    /// the time of --timeout is over
    #[arg(value_name = "/SERVICE/OP")]
    pub(super) operation: String,

    /// The input, - for standard input
    #[arg(default_value = "{}", value_name = "JSON")]
    pub(super) input: String,

    /// Stop after so many events
    #[arg(long, value_name = "N")]
    pub(super) count: Option<NonZeroU64>,

    /// Print the output on one line
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) caller: CallerArgs,
}

pub(super) fn run(args: CallArgs, invocation: &Invocation) -> anyhow::Result<ExitCode> {
    let input = input(&args.input)?;
    let node = resolve(Some(&args.node), invocation)?;
    let (timeout, patience) = (args.caller.dial.timeout, args.caller.dial.patience());
    let request = Request { operation: &args.operation, input: &input, options: args.caller.options()? };
    let limits = EventLimits { timeout, patience, count: args.count };
    block_on(args.caller.with_client(&node, async |client| {
        let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be waited for")?;
        let mut print = |event: &Value| print(event, args.json, invocation);
        tokio::select! {
            ended = print_events(&client, request, limits, &mut print) => {
                ended.with_context(|| failed(&args.operation, &node)).map(|()| ExitCode::SUCCESS)
            }
            _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
        }
    }))
}

fn print(event: &Value, json: bool, invocation: &Invocation) -> anyhow::Result<()> {
    let text = if json { event.to_string() } else { serde_json::to_string_pretty(event)? };
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

fn failed(operation: &str, node: &Resolved) -> String {
    format!("{operation} failed on {}", node.destination.address)
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
    result.with_context(|| failed(operation, node))
}
