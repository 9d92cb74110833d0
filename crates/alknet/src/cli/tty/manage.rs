//! What can be done with terminals without attaching to them.

use std::time::{Duration, SystemTime};

use alknet_call::ClientError;
use alknet_tty::Signal;
use anyhow::Context as _;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::TtyArgs;
use crate::cli::Invocation;
use crate::cli::dial::{CallerArgs, block_on};
use crate::cli::output::printable;
use crate::client;
use crate::client::tty::{AttachError, MAX_WRITE, TtyClient};

#[derive(clap::Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    tty: TtyArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    caller: CallerArgs,
}

#[derive(clap::Args)]
pub(in crate::cli) struct KillArgs {
    #[command(flatten)]
    tty: TtyArgs,

    /// The terminal
    id: String,

    #[command(flatten)]
    caller: CallerArgs,
}

#[derive(clap::Args)]
pub(in crate::cli) struct SignalArgs {
    #[command(flatten)]
    tty: TtyArgs,

    /// The terminal
    id: String,

    /// The signal, as INT or SIGINT
    signal: Signal,

    #[command(flatten)]
    caller: CallerArgs,
}

#[derive(clap::Args)]
pub(in crate::cli) struct WriteArgs {
    #[command(flatten)]
    tty: TtyArgs,

    /// The terminal
    id: String,

    /// What to type [default: standard input]
    text: Option<String>,

    /// Press Enter after it
    #[arg(long)]
    enter: bool,

    #[command(flatten)]
    caller: CallerArgs,
}

pub(in crate::cli) fn list(args: ListArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let terminals = with_tty(&args.tty, &args.caller, invocation, async |tty| {
        let listed = tty.list().await;
        listed.with_context(|| format!("the terminals of {} cannot be listed", args.tty.target))
    })?;
    if args.json {
        return invocation.output.json(&terminals);
    }
    if terminals.is_empty() {
        let target = &args.tty.target;
        invocation
            .output
            .note(format_args!("no terminals of yours are there; \"alknet tty spawn {target}\" makes one"));
        return Ok(());
    }
    let header = ["ID", "COMMAND", "SIZE", "AGE", "ATTACHED", "FOR"].map(str::to_owned);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let rows = terminals.iter().map(|terminal| row(terminal, now));
    Ok(invocation.output.table(&std::iter::once(header).chain(rows).collect::<Vec<_>>())?)
}

fn row(terminal: &Value, now: Duration) -> [String; 6] {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    };
    let claim = &terminal["claim"];
    let age = terminal["started"].as_u64().map(|started| client::duration(now.as_secs().saturating_sub(started)));
    [
        text(&terminal["id"]),
        text(&terminal["command"]),
        format!("{}x{}", text(&terminal["cols"]), text(&terminal["rows"])),
        age.unwrap_or_else(|| text(&terminal["started"])),
        text(&terminal["attachments"]),
        // Whom a hub spawned it for.
        text(claim.get("id").unwrap_or(claim)),
    ]
}

pub(in crate::cli) fn kill(args: KillArgs, invocation: &Invocation) -> anyhow::Result<()> {
    with_tty(&args.tty, &args.caller, invocation, async |tty| {
        tty.kill(&args.id).await.map_err(|error| of_terminal(error, &args.id))
    })
}

pub(in crate::cli) fn signal(args: SignalArgs, invocation: &Invocation) -> anyhow::Result<()> {
    with_tty(&args.tty, &args.caller, invocation, async |tty| {
        let sent = tty.signal(&args.id, &args.signal.to_string()).await;
        sent.map_err(|error| of_terminal(error, &args.id))
    })
}

pub(in crate::cli) fn write(args: WriteArgs, invocation: &Invocation) -> anyhow::Result<()> {
    with_tty(&args.tty, &args.caller, invocation, async |tty| {
        let enter = if args.enter { &b"\r"[..] } else { &[] };
        match &args.text {
            Some(text) => type_all(&tty, &args.id, text.as_bytes().chain(enter)).await,
            None => type_all(&tty, &args.id, tokio::io::stdin().chain(enter)).await,
        }
    })
}

async fn type_all(tty: &TtyClient, id: &str, mut source: impl AsyncRead + Unpin) -> anyhow::Result<()> {
    let mut buffer = vec![0; MAX_WRITE];
    loop {
        let length = source.read(&mut buffer).await.context("standard input cannot be read")?;
        match buffer.get(..length) {
            Some(bytes) if !bytes.is_empty() => tty.write(id, bytes).await.map_err(|error| of_terminal(error, id))?,
            _ => return Ok(()),
        }
    }
}

fn with_tty<T>(
    tty: &TtyArgs,
    caller: &CallerArgs,
    invocation: &Invocation,
    task: impl AsyncFnOnce(TtyClient) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let node = tty.resolve(invocation)?;
    let service = tty.service(caller)?;
    block_on(caller.with_client(&node, async |client| task(service.over(client)).await))
}

/// The error of a call that works on one terminal.
fn of_terminal(error: ClientError, id: &str) -> anyhow::Error {
    AttachError::of_call(error, id).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_tells_what_a_terminal_is() {
        let now = Duration::from_secs(1_000_000);
        let terminal = json!({
            "id": "t-1", "command": "/bin/bash", "rows": 24, "cols": 80, "started": 999_000, "attachments": 2,
            "claim": { "id": "alice" },
        });
        assert_eq!(row(&terminal, now), ["t-1", "/bin/bash", "80x24", "16 min 40 s", "2", "alice"]);
        let sparse = json!({ "id": "t\u{1b}", "started": "today" });
        assert_eq!(row(&sparse, now), ["t\u{fffd}", "-", "-x-", "today", "-", "-"]);
    }
}
