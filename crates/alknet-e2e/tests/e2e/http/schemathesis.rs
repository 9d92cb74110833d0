//! schemathesis: a tester that makes its requests of the description, valid and invalid ones, and checks each answer
//! against it.

use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Served;
use crate::Test;
use crate::needs::{Need, python_tool};
use crate::node::text;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/http");
const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/http/schemathesis.toml");

pub(super) fn tests() -> Vec<Test> {
    vec![Test::new("http_schemathesis_finds_nothing", &[Need::OpenApiTools], finds_nothing)]
}

fn finds_nothing() -> anyhow::Result<()> {
    let served = Served::start()?;
    let mut command = Command::new(python_tool("schemathesis"));
    command
        .args(["--config-file", CONFIG, "run", &served.url("/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {}", served.token)])
        // It keeps what it has found out beside where it runs.
        .current_dir(served.node.folder.path())
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", FOLDER)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*");
    let output = command.output().context("cannot run schemathesis")?;
    let said = text(&output);
    ensure!(output.status.success(), "schemathesis found something:\n{said}\nThe node's log:\n{}", served.node.log());
    // A run that tests nothing finds nothing, too.
    let count = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)?.trim().parse().ok());
    ensure!(count("Tested:").is_some_and(|tested: usize| tested > 10), "{said}");
    served.node.still_serves()
}
