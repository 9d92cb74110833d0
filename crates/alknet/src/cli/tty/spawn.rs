//! `alknet tty spawn`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;

use super::attach::Attachment;
use super::{LocalArgs, TtyArgs};
use crate::cli::Invocation;
use crate::cli::dial::{CallerArgs, block_on};
use crate::client::tty::{Input, Size, Spawn, Spawned, local_size};

/// The size where there is no local terminal, as terminals have had it since the VT100.
const DEFAULT_SIZE: Size = Size { rows: 24, cols: 80 };

#[derive(clap::Args)]
pub(in crate::cli) struct SpawnArgs {
    #[command(flatten)]
    tty: TtyArgs,

    /// The program, one of those that the node allows [default: the first of them]
    #[arg(long, value_name = "PATH")]
    command: Option<String>,

    /// A variable for the program's environment, of those that the node allows; may be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String)>,

    /// The rows of the terminal [default: those of this one, and as they change]
    #[arg(long, value_parser = side())]
    rows: Option<u16>,

    /// The columns of the terminal [default: those of this one, and as they change]
    #[arg(long, value_parser = side())]
    cols: Option<u16>,

    /// Print the terminal's id, and attach later
    #[arg(long)]
    detach: bool,

    /// Print JSON, and attach later
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    local: LocalArgs,

    #[command(flatten)]
    caller: CallerArgs,

    /// The arguments of the program
    #[arg(last = true)]
    args: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn side() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..=Size::MAX_SIDE.into())
}

pub(in crate::cli) fn run(args: SpawnArgs, invocation: &Invocation) -> anyhow::Result<ExitCode> {
    let node = args.tty.resolve(invocation)?;
    let service = args.tty.service(&args.caller)?;
    if args.detach || args.json {
        let spawned = block_on(args.caller.with_client(&node, async |client| {
            service.over(client).spawn(&spawn(&args)).await.with_context(|| failed(&args))
        }))?;
        print(&spawned, &args, invocation)?;
        return Ok(ExitCode::SUCCESS);
    }
    let own_size = args.rows.is_none() && args.cols.is_none();
    let mut attachment = Attachment::new(&node, &args.caller, &service, invocation);
    attachment.follow_size = own_size;
    // From the first byte on: nothing of it is missed.
    attachment.from = Some(0);
    block_on(async {
        let client = attachment.connect().await?;
        let spawned = service.over(client.clone()).spawn(&spawn(&args)).await.with_context(|| failed(&args));
        match spawned {
            Ok(spawned) => attachment.run(client, &args.tty.target, &spawned.id, Input::of_spawn(&args.local)).await,
            Err(error) => {
                attachment.disconnect().await;
                Err(error)
            }
        }
    })
}

fn failed(args: &SpawnArgs) -> String {
    format!("no terminal can be spawned on {}", args.tty.target)
}

fn spawn(args: &SpawnArgs) -> Spawn {
    let known = local_size();
    let size = known.or((args.rows.is_some() || args.cols.is_some()).then_some(DEFAULT_SIZE));
    let size = size.map(|size| Size { rows: args.rows.unwrap_or(size.rows), cols: args.cols.unwrap_or(size.cols) });
    let environment: BTreeMap<_, _> = args.environment.iter().cloned().collect();
    Spawn { command: args.command.clone(), args: args.args.clone(), environment, size }
}

fn print(spawned: &Spawned, args: &SpawnArgs, invocation: &Invocation) -> anyhow::Result<()> {
    match args.json {
        true => invocation.output.json(spawned),
        false => Ok(invocation.output.line(&spawned.id)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        assert!(variable("=b").is_err() && variable("A").is_err());
    }
}
