//! `alknet connect`.

use alknet_core::Alpn;
use anyhow::Context as _;

use super::Invocation;
use super::dial::{DialArgs, block_on, resolve};
use crate::client;

#[derive(clap::Args)]
pub(super) struct ConnectArgs {
    /// A peer's id, or FINGERPRINT@HOST:PORT, or HOST:PORT with a certificate of the system's roots
    pub(super) node: String,

    /// The protocol, as in alknet/ssh
    pub(super) alpn: String,

    #[command(flatten)]
    pub(super) dial: DialArgs,
}

pub(super) fn run(args: ConnectArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let alpn = Alpn::new(&args.alpn)?;
    let node = resolve(Some(&args.node), invocation)?;
    block_on(async {
        let dialed = args.dial.dial(&node, &alpn).await?;
        let stream = dialed.connection.open_bi().await?;
        let piped = client::pipe(stream, tokio::io::stdin(), tokio::io::stdout()).await;
        dialed.close().await;
        piped.with_context(|| format!("the connection to {} broke", node.destination.address))
    })
}
