//! schemathesis: a tester that makes its requests of the description, valid and invalid ones, and checks each answer
//! against it.

use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Served;
use crate::Test;
use crate::needs::{Need, python_tool};
use crate::node::text;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/http");

pub(super) fn tests() -> Vec<Test> {
    vec![Test::new("http_schemathesis_finds_nothing", &[Need::OpenApiTools], finds_nothing)]
}

fn finds_nothing() -> anyhow::Result<()> {
    let served = Served::start()?;
    let mut command = Command::new(python_tool("schemathesis"));
    command
        .args(["--config-file", "schemathesis.toml", "run", &served.url("/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {}", served.token)])
        .current_dir(FOLDER)
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", FOLDER)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*");
    let output = command.output().context("cannot run schemathesis")?;
    let said = text(&output);
    ensure!(output.status.success(), "schemathesis found something:\n{said}\nThe node's log:\n{}", served.node.log());
    // So that a run that tests nothing does not count.
    ensure!(said.contains("tested") && said.contains("tty.spawn") || said.contains("/tty/spawn"), "{said}");
    served.node.still_serves()
}
