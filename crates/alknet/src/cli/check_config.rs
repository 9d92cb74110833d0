//! `alknet check-config`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Invocation;
use crate::config::{self, ConfigError};

#[derive(clap::Args)]
pub(super) struct CheckConfigArgs {
    /// The configuration [default: the one that other commands use]
    file: Option<PathBuf>,

    /// Fail on warnings, too
    #[arg(long)]
    deny_warnings: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CheckOutput<'a> {
    file: &'a Path,
    errors: Vec<ConfigError>,
    warnings: &'a [String],
}

pub(super) fn run(args: CheckConfigArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let file = args.file.unwrap_or_else(|| invocation.config_file.clone());
    let result = config::load(&file);
    let warnings = result.as_ref().map(config::Config::warnings).unwrap_or_default();
    let denied = args.deny_warnings && !warnings.is_empty();
    if args.json {
        let errors = result.as_ref().err().map(|errors| errors.iter().cloned().collect()).unwrap_or_default();
        invocation.output.json(&CheckOutput { file: &file, errors, warnings: &warnings })?;
    } else {
        warnings.iter().for_each(|warning| invocation.output.warning(warning));
        if result.is_ok() && !denied {
            invocation.output.line(format_args!("{}: no errors", file.display()))?;
        }
    }
    result?;
    if denied {
        return Err(DeniedWarnings { file, many: warnings.len() }.into());
    }
    Ok(())
}

/// Warnings count as errors here.
#[derive(Debug, thiserror::Error)]
#[error("{}: {many} warning{} (--deny-warnings)", file.display(), if *many == 1 { "" } else { "s" })]
pub(super) struct DeniedWarnings {
    file: PathBuf,
    many: usize,
}
