//! `alknet check-config`.

use std::path::PathBuf;

use serde::Serialize;

use super::Invocation;
use crate::config::{self, ConfigError};

#[derive(clap::Args)]
pub(super) struct CheckConfigArgs {
    /// The configuration [default: the one that other commands use]
    file: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CheckOutput {
    file: PathBuf,
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

pub(super) fn run(args: CheckConfigArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let file = args.file.unwrap_or_else(|| invocation.config_file.clone());
    let result = config::load(&file);
    let warnings = result.as_ref().map(config::Config::warnings).unwrap_or_default();
    if args.json {
        let errors = result.as_ref().err().map(|errors| errors.iter().cloned().collect()).unwrap_or_default();
        invocation.output.json(&CheckOutput { file, errors, warnings })?;
    } else {
        warnings.iter().for_each(|warning| invocation.output.warning(warning));
        if result.is_ok() {
            invocation.output.line(format_args!("{}: no errors", file.display()))?;
        }
    }
    result?;
    Ok(())
}
