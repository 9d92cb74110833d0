//! `alknet import`.

use alknet_call::OperationPattern;
use alknet_http::{FromOpenApi, HttpClient, ImportOptions, Offered, OutboundConfig};
use clap::Subcommand;
use serde::Serialize;

use super::Invocation;
use super::dial::block_on;
#[cfg(feature = "mcp")]
use super::import_mcp;
use super::output::printable;
use super::report::UsageError;
use crate::config::{ImportName, SpecSource};
use crate::import::Plan;

#[derive(Subcommand)]
pub(super) enum ImportCommand {
    /// Show which operations a description or a server gives, and what of it cannot be imported
    List(ListArgs),
}

#[derive(clap::Args)]
pub(super) struct ListArgs {
    /// A description in OpenAPI, JSON or YAML: a file, or an https:// address
    #[arg(value_name = "SPEC")]
    #[cfg_attr(feature = "mcp", arg(required_unless_present = "mcp"))]
    #[cfg_attr(not(feature = "mcp"), arg(required = true))]
    spec: Option<SpecSource>,

    #[cfg(feature = "mcp")]
    #[command(flatten)]
    pub(super) server_of_tools: import_mcp::McpArgs,

    /// Only operations that one of these patterns names, as in issues/*
    #[arg(long, value_name = "PATTERN")]
    operations: Vec<String>,

    /// The word that stands before the names
    #[arg(long, value_name = "NAME", default_value = "import")]
    pub(super) name: ImportName,

    /// Where the service is, if not where its description says
    #[arg(long, value_name = "URL")]
    server: Option<url::Url>,

    /// Print JSON, with what had to be left out of each operation
    #[arg(long)]
    pub(super) json: bool,
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
    #[cfg(feature = "mcp")]
    if let Some(url) = &args.server_of_tools.mcp {
        return import_mcp::list(url, &args, invocation);
    }
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
    if let Some(patterns) = args.patterns()? {
        options.operations = patterns;
    }
    options.server = args.server.clone();
    let spec =
        args.spec.as_ref().ok_or_else(|| UsageError("which description? Give a file or an address".to_owned()))?;
    let plan = Plan::new(args.name.clone(), spec, options)?;
    let client = HttpClient::new(&OutboundConfig::default())?;
    match plan.is_remote() {
        true => block_on(async { Ok(plan.fetch(&client).await?) }),
        false => Ok(plan.read_file(&client)?),
    }
}

impl ListArgs {
    /// The patterns, if there are any.
    pub(super) fn patterns(&self) -> Result<Option<Vec<OperationPattern>>, UsageError> {
        let patterns = self.operations.iter().map(|text| self.name.pattern(text)).collect::<Result<Vec<_>, _>>();
        Ok(Some(patterns.map_err(UsageError)?).filter(|patterns| !patterns.is_empty()))
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

#[cfg(test)]
mod tests {
    use super::*;

    const DESCRIPTION: &str = r#"
openapi: 3.1.0
info: { title: Pets, version: "2" }
servers: [{ url: "https://pets.example" }]
components: { securitySchemes: { odd: { type: http, scheme: digest } } }
paths:
  /pets:
    get: { operationId: listPets, summary: "Lists\u001b[2J pets", responses: { "200": { description: Pets } } }
    post: { operationId: addPet, security: [{ odd: [] }], responses: { "204": { description: Added } } }
"#;

    fn list(operations: &[&str]) -> anyhow::Result<serde_json::Value> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pets.yaml");
        std::fs::write(&path, DESCRIPTION)?;
        let args = ListArgs {
            spec: Some(SpecSource::File(path)),
            #[cfg(feature = "mcp")]
            server_of_tools: Default::default(),
            operations: operations.iter().map(|text| text.to_string()).collect(),
            name: "shop".parse().map_err(anyhow::Error::msg)?,
            server: None,
            json: true,
        };
        Ok(serde_json::to_value(Listed::of(&read(&args)?))?)
    }

    #[test]
    fn every_operation_is_listed_or_left_out_with_the_reason() {
        let listed = list(&[]).unwrap();
        assert_eq!((&listed["title"], &listed["version"]), (&"Pets".into(), &"2".into()));
        let operation = &listed["operations"][0];
        assert_eq!((&operation["name"], &operation["method"]), (&"/shop/list-pets".into(), &"GET".into()));
        assert_eq!((&operation["kind"], &operation["path"]), (&"call".into(), &"/pets".into()));
        let left_out = &listed["left_out"][0];
        assert_eq!((&left_out["method"], &left_out["path"]), (&"POST".into(), &"/pets".into()));
        assert!(left_out["reason"].as_str().unwrap().contains("not supported"), "{left_out}");
        assert_eq!(listed["unmatched"], serde_json::json!([]));
    }

    #[test]
    fn patterns_are_about_names_without_that_of_the_source() {
        assert_eq!(list(&["list-*"]).unwrap()["operations"][0]["name"], "/shop/list-pets");
        let listed = list(&["lists"]).unwrap();
        assert_eq!(
            (&listed["operations"], &listed["unmatched"]),
            (&serde_json::json!([]), &serde_json::json!(["shop/lists"]))
        );
        let error = list(&["List Pets"]).unwrap_err();
        assert!(error.is::<UsageError>() && error.to_string().contains("is no pattern of operations"), "{error}");
    }

    #[test]
    fn a_row_does_nothing_to_the_terminal() {
        let operation = Operation {
            name: "/shop/list-pets".to_owned(),
            kind: "call",
            method: "GET",
            path: "/pets",
            description: "Lists\u{1b}[2J pets\nand more",
            remarks: Vec::new(),
        };
        assert_eq!(row(&operation), ["/shop/list-pets", "call", "GET /pets", "Lists\u{fffd}[2J pets"]);
    }
}
