//! `alknet call`.

use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::Duration;

use alknet_call::{CallClient, CallOptions, ClientError, ErrorCode, OperationKind, Subscription};
use alknet_core::Alpn;
use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::Invocation;
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
    let options = args.caller.options()?;
    block_on(args.caller.with_client(&node, async |client| {
        let listener = Listener { client, args: &args, options, invocation };
        listener.listen(&input).await.with_context(|| failed(&args.operation, &node))
    }))
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

/// Prints what an operation answers: one output of a call, the events of a subscription. Only the answers tell which of
/// the two it is.
struct Listener<'a> {
    client: CallClient,
    args: &'a CallArgs,
    options: CallOptions,
    invocation: &'a Invocation,
}

impl Listener<'_> {
    async fn listen(&self, input: &Value) -> anyhow::Result<ExitCode> {
        let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be waited for")?;
        tokio::select! {
            result = self.print_events(input) => result.map(|()| ExitCode::SUCCESS),
            _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
        }
    }

    async fn print_events(&self, input: &Value) -> anyhow::Result<()> {
        let mut options = self.options.clone();
        // Without one the node gives a call the time that it gives to all, and a subscription any time.
        if let Some(timeout) = self.args.caller.dial.timeout {
            options = options.timeout(timeout);
        }
        let mut events = self.client.subscribe_with(&self.args.operation, input, options).await?;
        let mut next = self.first(&mut events).await?;
        let mut count = 0;
        while let Some(event) = next {
            match event {
                // The listener wanted no more time than that.
                Err(error) if count > 0 && self.args.caller.dial.timeout.is_some() && is_timeout(&error) => break,
                event => self.print(&event?)?,
            }
            count += 1;
            if self.args.count.is_some_and(|wanted| count >= wanted.get()) {
                break;
            }
            next = events.next().await;
        }
        Ok(())
    }

    /// The first event. A call has to answer within its time; a subscription need not.
    async fn first(&self, events: &mut Subscription) -> Result<Option<Result<Value, ClientError>>, ClientError> {
        let limit = self.args.caller.dial.patience();
        match tokio::time::timeout(limit, events.next()).await {
            Ok(event) => Ok(event),
            Err(_) if self.is_subscription(limit).await => Ok(events.next().await),
            Err(_) => Err(ClientError::TimedOut { limit }),
        }
    }

    async fn is_subscription(&self, limit: Duration) -> bool {
        let which = json!({ "name": self.args.operation });
        let described = self.client.call_with("services/schema", &which, self.options.clone().timeout(limit)).await;
        let kind = described.ok().and_then(|output| Some(output.pointer("/operations/0/kind")?.as_str()?.to_owned()));
        kind.is_some_and(|kind| kind == OperationKind::Subscription.as_str())
    }

    fn print(&self, event: &Value) -> anyhow::Result<()> {
        let text = if self.args.json { event.to_string() } else { serde_json::to_string_pretty(event)? };
        Ok(self.invocation.output.line(text)?)
    }
}

fn is_timeout(error: &ClientError) -> bool {
    match error {
        ClientError::Remote(told) => told.code == ErrorCode::Timeout,
        other => matches!(other, ClientError::TimedOut { .. }),
    }
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
