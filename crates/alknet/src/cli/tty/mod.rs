//! `alknet tty`.

mod attach;
mod local;
mod manage;
mod spawn;

use std::error::Error;
use std::process::ExitCode;

use clap::Subcommand;

use super::Invocation;
use super::dial::CallerArgs;
use super::target::Target;
use crate::client::Resolved;
use crate::client::tty::{AttachError, EscapeChar, TtyService};

#[derive(Subcommand)]
pub(super) enum TtyCommand {
    /// Start a program in a new terminal, and attach to it
    Spawn(spawn::SpawnArgs),
    /// Attach to a terminal: see its output, and type
    Attach(attach::AttachArgs),
    /// List your terminals
    List(manage::ListArgs),
    /// Type into a terminal without attaching to it
    Write(manage::WriteArgs),
    /// Send a signal to what runs in the foreground of a terminal
    Signal(manage::SignalArgs),
    /// End a terminal with everything that runs in it
    Kill(manage::KillArgs),
}

pub(super) fn run(command: TtyCommand, invocation: &Invocation) -> anyhow::Result<ExitCode> {
    let done = match command {
        TtyCommand::Spawn(args) => return spawn::run(args, invocation),
        TtyCommand::Attach(args) => return attach::run(args, invocation),
        TtyCommand::List(args) => manage::list(args, invocation),
        TtyCommand::Write(args) => manage::write(args, invocation),
        TtyCommand::Signal(args) => manage::signal(args, invocation),
        TtyCommand::Kill(args) => manage::kill(args, invocation),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// What to do about an error of terminals.
pub(super) fn hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match error.downcast_ref()? {
        AttachError::Gone { .. } => Some("\"alknet tty list NODE\" shows the terminals that are yours"),
        AttachError::GivenUp { .. } | AttachError::InputLost { .. } | AttachError::Lost { .. } => {
            Some("\"alknet tty attach NODE ID\" comes back to it")
        }
        _ => None,
    }
}

/// Whose terminals.
#[derive(clap::Args)]
struct TtyArgs {
    /// A peer's id, or FINGERPRINT@HOST:PORT, or HOST:PORT; with /PREFIX the node that it re-exports under that, as in
    /// hub/a
    #[arg(value_name = "NODE[/PREFIX]")]
    target: Target,
}

/// How to be attached.
#[derive(clap::Args)]
struct LocalArgs {
    /// The character that, after Enter, begins the keys for this side: . detaches, ? shows the others. One character, one
    /// as ^] for a control character, or none
    #[arg(long, value_name = "CHAR", default_value_t)]
    escape: EscapeChar,
}

impl TtyArgs {
    fn resolve(&self, invocation: &Invocation) -> anyhow::Result<Resolved> {
        super::dial::resolve(Some(&self.target.node), invocation)
    }

    fn service(&self, caller: &CallerArgs) -> anyhow::Result<TtyService> {
        let options = caller.options()?.timeout(caller.dial.patience());
        Ok(TtyService::new(&self.target.prefix, options))
    }
}
