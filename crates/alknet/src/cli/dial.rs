//! The options of commands that connect to a node.

use std::path::PathBuf;
use std::time::Duration;

use alknet_call::{CallClient, CallOptions};
use alknet_core::{Alpn, TransportChoice};
use anyhow::Context as _;

use super::Invocation;
use crate::client::{self, Dialed, Resolved};
use crate::secrets;

/// How to reach a node.
#[derive(clap::Args)]
pub(super) struct DialArgs {
    /// QUIC over UDP, TLS over TCP, or whichever answers first
    #[arg(long, value_enum, default_value_t)]
    pub(super) transport: Transport,

    /// How long to wait [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<Duration>,
}

/// As whom to call.
#[derive(clap::Args)]
pub(super) struct CallerArgs {
    /// Call with the bearer token in the first line of this file
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,

    #[command(flatten)]
    pub(super) dial: DialArgs,
}

/// How long commands wait that were not told.
const PATIENCE: Duration = Duration::from_secs(30);

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "write 1 to 86400 seconds".to_owned())
}

/// What carries a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Transport {
    /// Whichever answers first.
    #[default]
    Auto,
    /// QUIC over UDP.
    Quic,
    /// TLS over TCP.
    Tcp,
}

impl From<Transport> for TransportChoice {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Auto => Self::Auto,
            Transport::Quic => Self::Quic,
            Transport::Tcp => Self::Tcp,
        }
    }
}

impl DialArgs {
    pub(super) async fn dial(&self, node: &Resolved, alpn: &Alpn) -> anyhow::Result<Dialed> {
        Ok(client::dial(node, alpn, self.transport.into(), self.patience()).await?)
    }

    /// How long to wait.
    pub(super) fn patience(&self) -> Duration {
        self.timeout.unwrap_or(PATIENCE)
    }
}

impl CallerArgs {
    /// The options of a call, without a time-out.
    pub(super) fn options(&self) -> anyhow::Result<CallOptions> {
        let Some(file) = &self.token_file else { return Ok(CallOptions::new()) };
        let secret = secrets::read_named(file)?;
        let token = std::str::from_utf8(secret.passphrase()?).context("the token is not text")?;
        Ok(CallOptions::new().auth_token(token))
    }

    /// Dials a node to call its operations, and hands what `task` makes of it on.
    pub(super) async fn with_client<T>(
        &self,
        node: &Resolved,
        task: impl AsyncFnOnce(CallClient) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let dialed = self.dial.dial(node, &Alpn::new(alknet_call::ALPN)?).await?;
        let result = task(CallClient::new(dialed.connection.clone())).await;
        dialed.close().await;
        result
    }
}

/// Finds out what `NODE` means; without one it is this node.
pub(super) fn resolve(node: Option<&str>, invocation: &Invocation) -> anyhow::Result<Resolved> {
    let named = invocation.config_is_named.then_some(invocation.config_file.as_path());
    Ok(client::resolve(node, named, &invocation.environment)?)
}

/// Runs what a command does over the network. One thread is enough for one connection.
pub(super) fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the async runtime cannot be started")?;
    let result = runtime.block_on(task);
    // A read of the terminal cannot be called off, and nobody waits for it any more.
    runtime.shutdown_background();
    result
}
