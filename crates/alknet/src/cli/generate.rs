//! `alknet completions` and `alknet man`: what a package installs beside the program.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Invocation};

#[derive(clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(args: CompletionsArgs, invocation: &Invocation) -> anyhow::Result<()> {
    // Into memory: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "alknet", &mut script);
    Ok(invocation.output.bytes(&script)?)
}

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder
    dir: Option<PathBuf>,
}

pub(super) fn man(args: ManArgs, invocation: &Invocation) -> anyhow::Result<()> {
    if let Some(dir) = args.dir {
        let written = clap_mangen::generate_to(Cli::command(), &dir);
        return written.with_context(|| format!("cannot write manual pages into {}", dir.display()));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(invocation.output.bytes(&page)?)
}
