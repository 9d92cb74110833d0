//! The official SDK for Python.

use std::process::Command;

use anyhow::ensure;
use serde_json::json;

use super::{Script, Served, url};
use crate::Test;
use crate::needs::{Need, python};
use crate::node::{Node, client};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/mcp/client.py");
const LEGACY: &str = "legacy";
const MODERN: &str = "2026-07-28";

pub(super) fn tests() -> Vec<Test> {
    let needs = &[Need::PythonMcp];
    vec![
        Test::new("mcp_python_lists_calls_and_follows", needs, || each(terminal)),
        Test::new("mcp_python_cancels", needs, || {
            each(|mode| {
                let served = Served::start()?;
                served.cancels(script(&served.node, mode, "cancelled"))
            })
        }),
        Test::new("mcp_python_is_told_of_changes", needs, || {
            Served::start().and_then(|served| served.changes(script(&served.node, LEGACY, "changes"), None))?;
            Served::start()
                .and_then(|served| served.changes(script(&served.node, MODERN, "changes"), Some("listening")))
        }),
        Test::new("mcp_python_needs_a_token", needs, || each(no_token)),
    ]
}

fn each(scenario: impl Fn(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    scenario(LEGACY)?;
    scenario(MODERN)
}

fn script(node: &Node, mode: &str, scenario: &str) -> Command {
    let mut command = Command::new(python());
    command.args([SCRIPT, &url(node), mode, scenario]);
    command
}

fn terminal(mode: &str) -> anyhow::Result<()> {
    let served = Served::start()?;
    let mut listing = Script::start(script(&served.node, mode, "tools"), &served.token)?;
    let tools = listing.read()?;
    let names: Vec<_> = tools["tools"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    let expected = ["node.info", "resources.list", "resources.watch", "services.list", "services.schema", "tty.attach"];
    ensure!(expected.iter().all(|name| names.contains(name)) && !names.contains(&"config.reload"), "{names:?}");
    ensure!(names.is_sorted(), "{names:?}");
    listing.end()?;
    let mut script = Script::start(script(&served.node, mode, "terminal"), &served.token)?;
    ensure!(script.read()? == json!({ "done": true }));
    script.end()?;
    let line = [
        "tool tty.spawn called by user: OK",
        "operation=\"/tty/spawn\"",
        "peer=\"user\"",
        "outcome=\"OK\"",
        "duration_ms=",
    ];
    served.node.wait_for_log(&line)?;
    served.node.wait_for_log(&["tool config.reload called by user: NOT_FOUND"])?;
    ensure!(!served.node.log().contains(&served.token), "the token is in the log");
    served.node.still_serves()
}

fn no_token(mode: &str) -> anyhow::Result<()> {
    let served = Served::start()?;
    let (ok, said) = client(python(), &[SCRIPT, &url(&served.node), mode, "tools"], "alk_guessed\n")?;
    ensure!(!ok && said.contains("MCPError"), "{said}");
    served.node.still_serves()
}
