//! There is no MCP over the standard input and output of a program, and none can come by accident.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::Test;

pub(super) fn tests() -> Vec<Test> {
    vec![Test::new("mcp_over_stdio_does_not_compile_in", &[], does_not_compile_in)]
}

/// Looks at the features with which the library is built for the binary, whatever asks for them.
fn does_not_compile_in() -> anyhow::Result<()> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../alknet/Cargo.toml");
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata =
        ["metadata", "--format-version", "1", "--locked", "--offline", "--all-features", "--manifest-path", manifest];
    let output = Command::new(cargo)
        .args(metadata)
        .args(["--filter-platform", &platform])
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "{}", crate::node::text(&output));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("there are no packages")?;
    let ids: Vec<_> =
        packages.iter().filter(|package| package["name"] == "rmcp").map(|package| &package["id"]).collect();
    ensure!(ids.len() == 1, "there is one rmcp, and not {ids:?}");
    let nodes = metadata["resolve"]["nodes"].as_array().context("nothing is resolved")?;
    let rmcp = nodes.iter().find(|node| &node["id"] == ids[0]).context("rmcp is not resolved")?;
    let features: Vec<_> = rmcp["features"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(features.contains(&"transport-streamable-http-server"), "{features:?}");
    for feature in ["transport-child-process", "transport-io", "which-command"] {
        ensure!(!features.contains(&feature), "rmcp has {feature}");
    }
    // What starts the programs there.
    ensure!(!packages.iter().any(|package| package["name"] == "process-wrap"), "process-wrap is there");
    Ok(())
}
