//! The official SDK for TypeScript, in both of its versions, and the command line of the Inspector, which is made of it.

use std::process::Command;

use anyhow::ensure;
use serde_json::{Value, json};

use super::{Script, Served, url};
use crate::Test;
use crate::needs::{Need, node_js, node_modules};
use crate::node::Node;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/mcp/client.mjs");
const SDKS: [&str; 3] = ["v1", "v2-legacy", "v2-2026-07-28"];

pub(super) fn tests() -> Vec<Test> {
    let needs = &[Need::NodeMcp];
    vec![
        Test::new("mcp_typescript_lists_calls_and_follows", needs, || SDKS.into_iter().try_for_each(terminal)),
        Test::new("mcp_typescript_cancels", needs, || {
            SDKS.into_iter().try_for_each(|sdk| {
                let served = Served::start()?;
                served.cancels(script(&served.node, sdk, "cancelled"))
            })
        }),
        Test::new("mcp_typescript_is_told_of_changes", needs, || {
            SDKS.into_iter().try_for_each(|sdk| {
                let served = Served::start()?;
                served.changes(script(&served.node, sdk, "changes"), None)
            })
        }),
        Test::new("mcp_inspector_lists_and_calls", needs, inspector),
    ]
}

fn script(node: &Node, sdk: &str, scenario: &str) -> Command {
    let mut command = node_js();
    command.args([SCRIPT, &url(node), sdk, scenario]);
    command
}

fn terminal(sdk: &str) -> anyhow::Result<()> {
    let served = Served::start()?;
    let mut script = Script::start(script(&served.node, sdk, "terminal"), &served.token)?;
    ensure!(script.read()? == json!({ "done": true }));
    script.end()
}

fn inspector() -> anyhow::Result<()> {
    let served = Served::start()?;
    let run = |arguments: &[&str]| -> anyhow::Result<Value> {
        let mut command = node_js();
        command.arg(node_modules().join(".bin/mcp-inspector")).args([
            "--cli",
            &url(&served.node),
            "--transport",
            "http",
        ]);
        command.args(["--header", &format!("Authorization: Bearer {}", served.token)]).args(arguments);
        let output = command.output()?;
        ensure!(output.status.success(), "{}", crate::node::text(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let tools = run(&["--method", "tools/list"])?;
    ensure!(
        tools["tools"].as_array().is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "tty.spawn")),
        "{tools}"
    );
    let info = run(&["--method", "tools/call", "--tool-name", "node.info"])?;
    ensure!(info["structuredContent"]["caller"]["id"] == "user", "{info}");
    Ok(())
}
