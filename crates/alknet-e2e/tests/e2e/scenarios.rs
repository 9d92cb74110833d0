//! The fleet scenarios of `vm-tests/`, over network namespaces, and the tests of what runs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::Test;
use crate::needs::Need;

const NEEDS: &[Need] = &[Need::Python, Need::Machines, Need::Curl, Need::OpenSsl];

/// How long a scenario may wait for one thing, in seconds.
const PATIENCE: &str = "120";

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = vec![Test::new("fleet_the_runner_does_what_the_driver_does", NEEDS, runner)];
    for name in scenarios() {
        let title = format!("fleet_{}", name.replace('-', "_"));
        tests.push(Test::new(title, NEEDS, move || scenario(&name)));
    }
    tests
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vm-tests")
}

/// The folders with a fleet. A new one needs no line here.
fn scenarios() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten();
    let fleets = entries.filter(|entry| entry.path().join("fleet.toml").is_file());
    let mut names: Vec<_> = fleets.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn scenario(name: &str) -> anyhow::Result<()> {
    let mut command = Command::new(folder().join("run"));
    command.args(["--alknet", env!("CARGO_BIN_EXE_alknet-e2e-node"), "--timeout", PATIENCE, name]);
    passes(command)
}

fn runner() -> anyhow::Result<()> {
    let mut command = Command::new("python3");
    let folder = folder();
    command.args(["-B", "-m", "unittest", "discover", "-s"]).arg(&folder).arg("-t").arg(&folder);
    passes(command)
}

fn passes(mut command: Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    Ok(())
}
