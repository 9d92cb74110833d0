//! The options of commands that connect to a node.

use std::time::Duration;

use alknet_core::{Alpn, TransportChoice};
use anyhow::Context as _;

use super::Invocation;
use crate::client::{self, Dialed, Resolved};

/// How to reach a node.
#[derive(clap::Args)]
pub(super) struct DialArgs {
    /// QUIC over UDP, TLS over TCP, or whichever answers first
    #[arg(long, value_enum, default_value_t)]
    pub(super) transport: Transport,

    /// How long to wait
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(super) timeout: Duration,
}

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
        Ok(client::dial(node, alpn, self.transport.into(), self.timeout).await?)
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
