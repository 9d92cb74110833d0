//! `alknet serve`.

use std::io::IsTerminal as _;

use super::Invocation;
use crate::config::Config;
use crate::init::{self, Made};
use crate::logging;

#[derive(clap::Args)]
pub(super) struct ServeArgs {}

pub(super) fn run(_args: ServeArgs, invocation: &Invocation) -> anyhow::Result<()> {
    logging::start(&invocation.environment)?;
    crate::serve::run(config(invocation)?, invocation.environment.clone())
}

/// The configuration; where a user has none yet, a new node's.
fn config(invocation: &Invocation) -> anyhow::Result<Config> {
    // A file that was named is one that is meant to be there.
    if !invocation.config_is_named && !invocation.config_file.exists() {
        announce(&init::make_default(&invocation.environment)?, invocation);
    }
    Ok(invocation.load_config()?)
}

/// Tells of a new node. Its phrase goes to a terminal and nowhere else: what a supervisor gets, it stores in a log.
fn announce(made: &Made, invocation: &Invocation) {
    let output = &invocation.output;
    let (config, state) = (made.config.display(), made.state_dir.display());
    output.note(format_args!("there was no configuration, so this is a new node: {config}"));
    if std::io::stderr().is_terminal() {
        output.note("its mnemonic, which is shown only now; write it down and keep it offline:");
        output.note(made.phrase.as_str());
    } else {
        let secret = made.secret_file.display();
        output.warning(format_args!(
            "its mnemonic is not shown, because this is no terminal: back up {state} and {secret}, which are all there is \
             of its identity, or remove them and {config} and run alknet init on a terminal"
        ));
    }
}
