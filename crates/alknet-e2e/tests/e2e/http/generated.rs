//! openapi-python-client: makes a typed client of the description, which then calls operations.

use anyhow::{Context as _, ensure};

use super::Served;
use crate::Test;
use crate::needs::{Need, python};
use crate::node::client;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/http/generated_client.py");

pub(super) fn tests() -> Vec<Test> {
    vec![Test::new("http_generated_client_calls_operations", &[Need::OpenApiTools], calls)]
}

fn calls() -> anyhow::Result<()> {
    let served = Served::start()?;
    let folder = served.node.folder.path().to_str().context("a path of text")?;
    let (ok, said) = client(python(), &[SCRIPT, &served.url(""), &served.token, folder], "")?;
    ensure!(ok && said.ends_with("all as described\n"), "{said}");
    served.node.still_serves()
}
