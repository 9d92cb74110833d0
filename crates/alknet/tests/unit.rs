//! The systemd unit is one that systemd accepts and finds well confined.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "the helpers of tests are tests, too")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The highest exposure that `systemd-analyze security` may find. For comparison: a unit without sandboxing has 9.6.
const MAX_EXPOSURE: f64 = 1.5;

/// The unit as it is, but for the program, which is not installed here.
fn unit(folder: &Path) -> PathBuf {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/alknet.service")).unwrap();
    let program = "/usr/bin/alknet ";
    assert!(text.contains(program));
    let unit = folder.join("alknet.service");
    fs::write(&unit, text.replace(program, &format!("{} ", env!("CARGO_BIN_EXE_alknet")))).unwrap();
    unit
}

/// Runs `systemd-analyze`; nothing where there is none.
fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("SKIPPED: systemd-analyze cannot be run here: {error}");
            None
        }
    }
}

#[test]
fn systemd_has_no_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let Some(output) = analyze(&["verify"], &unit(folder.path())) else { return };
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}

#[test]
fn the_service_is_confined() {
    let folder = tempfile::tempdir().unwrap();
    let Some(output) = analyze(&["security", "--offline=true", "--no-pager"], &unit(folder.path())) else { return };
    let report = String::from_utf8_lossy(&output.stdout);
    let exposure = report.rsplit("exposure level for alknet.service: ").next().unwrap();
    let exposure: f64 = exposure.split_whitespace().next().unwrap().parse().unwrap_or_else(|_| panic!("{report}"));
    assert!(exposure <= MAX_EXPOSURE, "{report}");
}
