//! `alknet services`.

use alknet_call::{CallClient, CallOptions};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::Invocation;
use super::dial::{CallerArgs, block_on, resolve};
use super::output::printable;
use super::target::Target;

#[derive(clap::Args)]
pub(super) struct ServicesArgs {
    /// A peer's id, or FINGERPRINT@HOST:PORT, or HOST:PORT; with /PREFIX only what it re-exports under that
    #[arg(value_name = "NODE[/PREFIX]")]
    target: Target,

    /// Describe one operation, as in node/info, with the schemas of its input and output
    #[arg(long, value_name = "SERVICE/OP")]
    schema: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    caller: CallerArgs,
}

pub(super) fn run(args: ServicesArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let node = resolve(Some(&args.target.node), invocation)?;
    let options = args.caller.options()?.timeout(args.caller.dial.patience());
    let answer = block_on(args.caller.with_client(&node, async |client| match &args.schema {
        Some(name) => schema(&client, options, &args.target, name).await,
        None => list(&client, options, &args.target).await.map(Value::Array),
    }))?;
    if args.json || args.schema.is_some() {
        return invocation.output.json(&answer);
    }
    let services = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if services.is_empty() {
        invocation.output.note(format_args!("there is nothing that you may call on {}", args.target));
        return Ok(());
    }
    let header = ["NAME", "KIND", "DESCRIPTION"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(services.iter().map(row)).collect();
    Ok(invocation.output.table(&rows)?)
}

async fn list(client: &CallClient, options: CallOptions, target: &Target) -> anyhow::Result<Vec<Value>> {
    let mut answer = client.call_with("services/list", &json!({}), options).await?;
    let Some(Value::Array(mut services)) = answer.get_mut("services").map(Value::take) else {
        anyhow::bail!("the node does not say which operations it has");
    };
    services.retain(|service| service["name"].as_str().is_some_and(|name| target.covers(name)));
    services.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    Ok(services)
}

async fn schema(client: &CallClient, options: CallOptions, target: &Target, name: &str) -> anyhow::Result<Value> {
    let which = json!({ "name": target.operation(name) });
    let mut answer = client.call_with("services/schema", &which, options).await?;
    let operation = answer.pointer_mut("/operations/0").map(Value::take);
    operation.with_context(|| format!("the node does not describe {name}"))
}

fn row(service: &Value) -> [String; 3] {
    let text = |field: &str| service[field].as_str().unwrap_or("-");
    // The first line says what it is; what follows is for those who ask for the schema.
    let description = text("description").lines().next().unwrap_or_default();
    [printable(text("name")), printable(text("kind")), printable(description)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_one_line_that_does_nothing_to_the_terminal() {
        let service = json!({ "name": "/a/b", "kind": "call", "description": "Does\u{1b}[2J it\nand more" });
        assert_eq!(row(&service), ["/a/b", "call", "Does\u{fffd}[2J it"]);
        assert_eq!(row(&json!({ "name": 5 })), ["-", "-", "-"]);
    }
}
