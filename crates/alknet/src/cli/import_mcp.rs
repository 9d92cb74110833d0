//! `alknet import list --mcp`.

use alknet_call::Capabilities;
use alknet_http::{HttpClient, McpOffered, McpOptions, McpTools, OutboundConfig};
use serde::Serialize;

use super::Invocation;
use super::dial::block_on;
use super::import::ListArgs;
use super::output::printable;
use crate::import::Keyring;
use crate::import::mcp::Follower;
use crate::vault;

#[derive(clap::Args, Default)]
pub(super) struct McpArgs {
    /// The address of an MCP server, whose tools are shown
    #[arg(long, value_name = "URL", conflicts_with_all = ["spec", "server"])]
    pub(super) mcp: Option<String>,

    /// The entry of the vault to ask it with
    #[arg(long, value_name = "ENTRY", requires = "mcp")]
    pub(super) credential: Option<String>,
}

#[derive(Serialize)]
struct Listed<'a> {
    title: &'a str,
    version: &'a str,
    protocol: &'a str,
    operations: Vec<Operation<'a>>,
    left_out: Vec<LeftOut<'a>>,
    /// Patterns that name nothing.
    unmatched: Vec<&'a str>,
}

#[derive(Serialize)]
struct Operation<'a> {
    name: String,
    kind: &'static str,
    tool: &'a str,
    description: &'a str,
    remarks: Vec<&'a str>,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    tool: &'a str,
    reason: &'a str,
}

/// Shows what a node would import.
pub(super) fn list(url: &str, args: &ListArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let mut options = McpOptions { capabilities: capabilities(args, invocation)?, ..McpOptions::default() };
    if let Some(patterns) = args.patterns()? {
        options.operations = patterns;
    }
    let client = HttpClient::new(&OutboundConfig::default())?;
    let follower = Follower::new(args.name.clone(), url, options, &client)?;
    let tools = block_on(async { Ok(follower.tools().await?) })?;
    let (listed, output) = (Listed::of(&tools), &invocation.output);
    if args.json {
        return output.json(&listed);
    }
    let header = ["NAME", "KIND", "TOOL", "DESCRIPTION"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(listed.operations.iter().map(row)).collect();
    output.table(&rows)?;
    for LeftOut { tool, reason } in &listed.left_out {
        output.warning(format_args!("left out: {}: {}", printable(tool), printable(reason)));
    }
    listed.unmatched.iter().for_each(|pattern| output.warning(format_args!("\"{pattern}\" names no operation")));
    Ok(())
}

fn capabilities(args: &ListArgs, invocation: &Invocation) -> anyhow::Result<Capabilities> {
    let Some(entry) = &args.server_of_tools.credential else { return Ok(Capabilities::default()) };
    let config = invocation.load_config()?;
    let opened = vault::open(&config, &invocation.environment)?;
    opened.warnings.iter().for_each(|warning| invocation.output.warning(warning));
    let keyring = Keyring::read(&config, &invocation.environment, &opened.vault)?;
    Ok(keyring.everybodys(args.name.as_str(), entry)?)
}

impl<'a> Listed<'a> {
    fn of(tools: &'a McpTools) -> Self {
        let operation = |offered: McpOffered<'a>| Operation {
            name: offered.spec.name.wire(),
            kind: offered.spec.kind.as_str(),
            tool: offered.tool,
            description: &offered.spec.description,
            remarks: tools
                .remarks()
                .filter(|(name, _)| *name == &offered.spec.name)
                .map(|(_, remark)| remark)
                .collect(),
        };
        Self {
            title: tools.title(),
            version: tools.version(),
            protocol: tools.protocol(),
            operations: tools.offered().map(operation).collect(),
            left_out: tools.left_out().map(|(tool, reason)| LeftOut { tool, reason }).collect(),
            unmatched: tools.unmatched().iter().map(alknet_call::OperationPattern::as_str).collect(),
        }
    }
}

fn row(operation: &Operation<'_>) -> [String; 4] {
    let Operation { name, kind, tool, description, .. } = operation;
    [name, *kind, *tool, description.lines().next().unwrap_or_default()].map(printable)
}
