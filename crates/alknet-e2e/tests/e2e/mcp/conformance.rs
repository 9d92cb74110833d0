//! The conformance suite of the protocol, for both of its sets of requirements.

use std::path::Path;

use anyhow::ensure;

use super::everything::{Everything, PREFIX};
use super::{Script, url};
use crate::Test;
use crate::needs::{Need, node_js, node_modules};
use crate::node::{free_port, text};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/mcp");

pub(super) fn tests() -> Vec<Test> {
    let of = |version: &'static str| {
        Test::new(format!("mcp_conforms_to_{version}"), &[Need::NodeMcp], move || conforms_to(version))
    };
    vec![of("2025-06-18"), of("2025-11-25")]
}

fn conforms_to(version: &str) -> anyhow::Result<()> {
    let port = free_port()?.to_string();
    let hosts = "hosts = [\"localhost\", \"127.0.0.1\", \"[::1]\"]";
    let origins = format!("origins = [\"http://localhost:{port}\"]");
    let everything = Everything::start(&format!("[http.mcp]\n{hosts}\n[http.cors]\n{origins}"))?;
    let node = &everything.node;
    let mut proxy = node_js();
    proxy.args([&format!("{FOLDER}/proxy.mjs"), &url(node), PREFIX, &port]);
    let mut proxy = Script::start(proxy, &node.token)?;
    let address = proxy.line()?;
    let suite = node_modules().join("@modelcontextprotocol/conformance/dist/index.js");
    let baseline = baseline(version, node.folder.path())?;
    let mut command = node_js();
    command.arg(suite).args(["server", "--url", &address, "--suite", "all", "--spec-version", version]);
    command.args(["--expected-failures", &baseline]).current_dir(node.folder.path());
    let output = command.output()?;
    let said = text(&output);
    ensure!(output.status.success(), "{said}\nThe node's log:\n{}", node.log());
    // A run that tests nothing fails nothing, too.
    for scenario in [
        "server-initialize",
        "ping",
        "tools-list",
        "tools-call-simple-text",
        "tools-call-error",
        "tools-call-with-progress",
    ] {
        ensure!(said.contains(&format!("✓ {scenario}: 1 passed")), "{scenario}:\n{said}");
    }
    node.still_serves()
}

/// What fails for a reason; but for the scenarios that an older version does not have, which would be out of date.
fn baseline(version: &str, folder: &Path) -> anyhow::Result<String> {
    const LATER: [&str; 3] = ["elicitation-sep1034-defaults", "elicitation-sep1330-enums", "server-sse-polling"];
    let all = std::fs::read_to_string(format!("{FOLDER}/expected_failures.yaml"))?;
    let is_later = |line: &str| LATER.iter().any(|scenario| line.contains(scenario));
    let lines = all.lines().filter(|line| version >= "2025-11-25" || !is_later(line)).collect::<Vec<_>>();
    let path = folder.join("expected_failures.yaml");
    std::fs::write(&path, lines.join("\n"))?;
    Ok(path.to_string_lossy().into_owned())
}
