//! `alknet serve`: from the configuration to a node that runs, and from a signal to its end.

mod assembly;
mod fleet;
mod notify;
mod overview;
mod pairing;
mod parts;
mod reload;
mod watch;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use assembly::{Node, StartError};
pub use parts::{PartError, PrepareError};
pub use reload::{ReloadError, ReloadReport};

use crate::config::Config;
use crate::environment::Environment;
use crate::pairing::Store;

/// Runs a node until it is told to stop.
///
/// # Errors
/// When the node cannot start. What goes wrong later is logged.
pub fn run(config: Config, environment: Environment) -> anyhow::Result<()> {
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("alknet").build();
    let runtime = runtime.context("the async runtime cannot be started")?;
    // Files that cannot be read keep the node from starting, which is told then.
    let joined = Store::new(config.state_dir(&environment)).read().unwrap_or_default().joined;
    config.warnings_with(joined.peers()).iter().for_each(|warning| tracing::warn!("{warning}"));
    runtime.block_on(serve(config, environment))?;
    // A task that is stuck in a system call must not keep a node that has said goodbye from ending.
    runtime.shutdown_background();
    Ok(())
}

async fn serve(config: Config, environment: Environment) -> anyhow::Result<()> {
    let mut signals = Signals::install().context("signals cannot be received")?;
    let drain_timeout = config.endpoint.drain_timeout;
    let node = Node::start(config, environment)?;
    announce(&node);
    notify::ready(&node);
    tokio::spawn(watch::certificates(node.clone()));
    tokio::spawn(notify::keep_informed(node.clone()));
    loop {
        match signals.next().await {
            Told::Reload => reload_on_signal(&node).await,
            Told::Stop(name) => {
                tracing::info!("{name} received: draining for at most {} s", drain_timeout.as_secs());
                notify::stopping();
                break;
            }
        }
    }
    tokio::select! {
        drained = node.shutdown(drain_timeout) => tracing::info!(drained, "the node has stopped"),
        () = signals.stop_again() => tracing::warn!("told to stop a second time: not waiting any longer"),
    }
    Ok(())
}

fn announce(node: &Node) {
    let addresses: Vec<_> = node.addresses().iter().map(ToString::to_string).collect();
    let alpns: Vec<_> = node.handlers().alpns().iter().map(ToString::to_string).collect();
    tracing::info!(
        "node \"{}\" ({}) serves {} on {}, UDP and TCP",
        node.name(),
        node.fingerprint(),
        if alpns.is_empty() { "nothing".to_owned() } else { alpns.join(", ") },
        addresses.join(" and "),
    );
}

async fn reload_on_signal(node: &Arc<Node>) {
    notify::reloading();
    match node.reload().await {
        Ok(report) => report.log(),
        Err(error) => tracing::error!("the configuration was not reloaded, the old one stays in force: {error}"),
    }
    notify::ready(node);
}

/// What the supervisor wants.
enum Told {
    Reload,
    Stop(&'static str),
}

struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
        }
    }

    async fn stop_again(&mut self) {
        while let Told::Reload = self.next().await {}
    }
}

/// Each connection over TCP needs a descriptor; the soft limit of many systems (1024) is far below what the hard limit
/// allows, and it is there for programs that use select(2).
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::debug!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}
