//! `alknet import`.

use alknet_call::OperationPattern;
use alknet_http::{FromOpenApi, HttpClient, ImportOptions, Offered, OutboundConfig};
use clap::Subcommand;
use serde::Serialize;

use super::Invocation;
use super::dial::block_on;
use super::output::printable;
use super::report::UsageError;
use crate::config::{ImportKind, ImportName, SpecSource};
use crate::import::Plan;

#[derive(Subcommand)]
pub(super) enum ImportCommand {
    /// Show which operations a description gives, and what of it cannot be imported
    List(ListArgs),
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// A description in OpenAPI, JSON or YAML: a file, or an https:// address
    #[arg(value_name = "SPEC")]
    spec: SpecSource,

    /// Only operations that one of these patterns names, as in issues/*
    #[arg(long, value_name = "PATTERN")]
    operations: Vec<String>,

    /// The word that stands before the names
    #[arg(long, value_name = "NAME", default_value = "import")]
    name: ImportName,

    /// Where the service is, if not where its description says
    #[arg(long, value_name = "URL")]
    server: Option<url::Url>,

    /// Print JSON, with what had to be left out of each operation
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed<'a> {
    title: &'a str,
    version: &'a str,
    operations: Vec<Operation<'a>>,
    left_out: Vec<LeftOut<'a>>,
    /// Patterns that name nothing.
    unmatched: Vec<&'a str>,
}

#[derive(Serialize)]
struct Operation<'a> {
    name: String,
    kind: &'static str,
    method: &'a str,
    path: &'a str,
    description: &'a str,
    remarks: Vec<&'a str>,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    method: &'a str,
    path: &'a str,
    reason: &'a str,
}

pub(super) fn run(command: ImportCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let ImportCommand::List(args) = command;
    let import = read(&args)?;
    let listed = Listed::of(&import);
    if args.json {
        return invocation.output.json(&listed);
    }
    let output = &invocation.output;
    let header = ["NAME", "KIND", "REQUEST", "DESCRIPTION"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(listed.operations.iter().map(row)).collect();
    output.table(&rows)?;
    for operation in &listed.operations {
        operation.remarks.iter().for_each(|remark| output.note(format_args!("{}: {remark}", operation.name)));
    }
    for LeftOut { method, path, reason } in &listed.left_out {
        output.warning(format_args!("left out: {} {}: {}", printable(method), printable(path), printable(reason)));
    }
    listed.unmatched.iter().for_each(|pattern| output.warning(format_args!("\"{pattern}\" names no operation")));
    Ok(())
}

/// Reads it as a node would: what is shown is what would be imported.
fn read(args: &ListArgs) -> anyhow::Result<FromOpenApi> {
    let mut options = ImportOptions::default();
    if !args.operations.is_empty() {
        let patterns = args.operations.iter().map(|text| args.name.pattern(text)).collect::<Result<_, _>>();
        options.operations = patterns.map_err(UsageError)?;
    }
    options.server = args.server.clone();
    let plan = Plan::new(args.name.clone(), ImportKind::OpenApi, &args.spec, options)?;
    let client = HttpClient::new(&OutboundConfig::default())?;
    match plan.is_remote() {
        true => block_on(async { Ok(plan.fetch(&client).await?) }),
        false => Ok(plan.read_file(&client)?),
    }
}

impl<'a> Listed<'a> {
    fn of(import: &'a FromOpenApi) -> Self {
        let operation = |offered: Offered<'a>| Operation {
            name: offered.spec.name.wire(),
            kind: offered.spec.kind.as_str(),
            method: offered.method.as_str(),
            path: offered.path,
            description: &offered.spec.description,
            remarks: import
                .remarks()
                .filter(|(name, _)| *name == &offered.spec.name)
                .map(|(_, remark)| remark)
                .collect(),
        };
        let left_out = |(operation, reason): (&'a str, &'a str)| {
            let (method, path) = operation.split_once(' ').unwrap_or((operation, ""));
            LeftOut { method, path, reason }
        };
        Self {
            title: import.title(),
            version: import.version(),
            operations: import.offered().map(operation).collect(),
            left_out: import.left_out().map(left_out).collect(),
            unmatched: import.unmatched().iter().map(OperationPattern::as_str).collect(),
        }
    }
}

fn row(operation: &Operation<'_>) -> [String; 4] {
    let Operation { name, kind, method, path, description, .. } = operation;
    let request = format!("{method} {path}");
    [name, *kind, &*request, description.lines().next().unwrap_or_default()].map(printable)
}
