//! `alknet dashboard`.

use std::process::{Command, Stdio};

use alknet_call::CallOptions;
use alknet_core::Alpn;
use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Invocation;
use super::dial::{CallerArgs, block_on, resolve};
use crate::client::{self, Resolved};

#[derive(clap::Args)]
pub(super) struct DashboardArgs {
    /// A peer's id, or FINGERPRINT@HOST:PORT [default: this node]
    node: Option<String>,

    /// Print a link to the node itself and end, instead of forwarding from this machine; the browser has to trust the
    /// certificate that the node has for HOST [default of HOST:PORT: where this command finds the node]
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, require_equals = true)]
    direct: Option<Option<String>>,

    /// Open the link with the browser of this desktop (xdg-open)
    #[arg(long)]
    open: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    caller: CallerArgs,
}

/// How many connections are forwarded at the same time. A browser has about six to one place.
const MOST_CONNECTIONS: usize = 64;

/// A link, as the node gives it.
struct Link {
    path: String,
    expires_seconds: u64,
}

pub(super) fn run(args: DashboardArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let node = resolve(args.node.as_deref(), invocation)?;
    block_on(async {
        let link = ask(&node, &args.caller).await?;
        match &args.direct {
            Some(host) => {
                let host = host.as_deref().unwrap_or(&node.destination.address);
                show(&link, &format!("https://{host}"), &args, invocation)
            }
            None => forward(&node, &link, &args, invocation).await,
        }
    })
}

async fn ask(node: &Resolved, caller: &CallerArgs) -> anyhow::Result<Link> {
    const HINT: &str = "the node gives no link to its dashboard; it needs [http] and [call] with enable = true, and you \
                        the scope dashboard:use there";
    let options = caller.options()?.timeout(caller.dial.patience());
    caller.with_client(node, async |client| link(&client, options).await.context(HINT)).await
}

async fn link(client: &alknet_call::CallClient, options: CallOptions) -> anyhow::Result<Link> {
    let answer = client.call_with("dashboard/open", &Value::Null, options).await?;
    // It goes into an address, and to a program that opens addresses.
    let is_safe = |path: &&str| path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte));
    let path =
        answer.get("path").and_then(Value::as_str).filter(|path| path.starts_with("/dashboard/")).filter(is_safe);
    let path = path.context("the node's answer has no path")?.to_owned();
    let expires_seconds = answer.get("expires_seconds").and_then(Value::as_u64).unwrap_or_default();
    Ok(Link { path, expires_seconds })
}

fn show(link: &Link, origin: &str, args: &DashboardArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let url = format!("{origin}{}", link.path);
    match args.json {
        true => invocation.output.line(json!({ "url": url, "expires_seconds": link.expires_seconds }))?,
        false => invocation.output.line(&url)?,
    }
    if !args.json {
        invocation.output.note(format_args!("the link opens once, within {} s", link.expires_seconds));
    }
    if args.open {
        let opener = Command::new("xdg-open").arg(&url).stdin(Stdio::null()).stdout(Stdio::null()).status();
        let opened = opener.context("xdg-open cannot be run; open the link by hand")?;
        anyhow::ensure!(opened.success(), "xdg-open found no browser; open the link by hand");
    }
    Ok(())
}

/// Serves the node's HTTP on a port of this machine, until Ctrl-C. The node is known by its key here, so no browser has to trust
/// a certificate of it. Whoever else is on this machine and finds the port is a stranger to the node, as anywhere: what is
/// forwarded carries no key of ours.
async fn forward(node: &Resolved, link: &Link, args: &DashboardArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let alpn = Alpn::new("http/1.1")?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port of this machine can be opened")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be waited for")?;
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be waited for")?;
    show(link, &format!("http://{}", listener.local_addr()?), args, invocation)?;
    if !args.json {
        invocation.output.note("the dashboard stays open for as long as this command runs; Ctrl-C ends it");
    }
    let mut browsers = tokio::task::JoinSet::new();
    loop {
        let (browser, _) = tokio::select! {
            accepted = listener.accept(), if browsers.len() < MOST_CONNECTIONS => accepted.context("no further connection of the browser can be taken")?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            Some(_) = browsers.join_next() => continue,
        };
        let (destination, alpn) = (node.destination.clone(), alpn.clone());
        let (transport, patience) = (args.caller.dial.transport.into(), args.caller.dial.patience());
        browsers.spawn(async move {
            let node = Resolved { destination, key: None };
            // A browser that is cut off tries again, and says so in the page.
            let dialed = client::dial(&node, &alpn, transport, patience).await.ok()?;
            let stream = dialed.connection.open_bi().await.ok()?;
            let (from_browser, to_browser) = browser.into_split();
            let _ = client::pipe(stream, from_browser, to_browser).await;
            dialed.close().await;
            Some(())
        });
    }
}
