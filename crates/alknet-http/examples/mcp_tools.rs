//! Calls every tool of an MCP server once, through a registry, with values made up for its schema: `mcp_tools URL`. The
//! conformance suite of the protocol can test it as a client.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use alknet_call::{Access, CallerInfo, OperationContext, OperationKind, Registry, Schema};
use alknet_http::{FromMcp, HttpClient, McpOptions, OutboundConfig};
use anyhow::Context as _;
use serde_json::{Map, Value, json};
use std::time::Duration;

fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: mcp_tools URL")?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(&url))
}

async fn run(url: &str) -> anyhow::Result<()> {
    let options = McpOptions { access: Access::Public, exported: true, ..McpOptions::default() };
    let import = FromMcp::new("server", url.parse()?, options, HttpClient::new(&OutboundConfig::default())?)?;
    let tools = import.tools().await?;
    println!("{} {}, which speaks {}", tools.title(), tools.version(), tools.protocol());
    let registry = Registry::new();
    let _overlay = registry.install(tools.bundles())?;
    for spec in registry.specs().iter().filter(|spec| spec.kind == OperationKind::Call) {
        let context = OperationContext::new("1", None, CallerInfo::in_process(), Duration::from_secs(30));
        match registry.invoke(spec.name.as_str(), input(spec.input.as_ref()), context).await {
            Ok(output) => println!("{}: {output}", spec.name),
            Err(error) => println!("{}: {error}", spec.name),
        }
    }
    Ok(())
}

/// Something for each property.
fn input(schema: Option<&Schema>) -> Value {
    let properties = schema.and_then(|schema| schema.as_json().get("properties")?.as_object());
    let value = |property: &Value| match property.get("type").and_then(Value::as_str) {
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    };
    properties
        .into_iter()
        .flatten()
        .map(|(name, property)| (name.clone(), value(property)))
        .collect::<Map<_, _>>()
        .into()
}
