//! `alknet demo`.

use std::io::IsTerminal as _;

use super::Invocation;

#[derive(clap::Args)]
pub(super) struct DemoArgs {}

pub(super) fn run(_args: DemoArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let color = std::io::stdout().is_terminal() && !invocation.environment.no_color;
    crate::demo::run(color)
}
