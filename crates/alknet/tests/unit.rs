//! The units, those of the NixOS module and the one for all others, are some that systemd accepts and finds well confined.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "the helpers of tests are tests, too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The highest exposure that `systemd-analyze security` may find. For comparison: a unit without sandboxing has 9.6.
const MAX_EXPOSURE: f64 = 1.5;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// For machines that are set up by hand.
fn by_hand() -> PathBuf {
    root().join("dist/alknet.service")
}

/// What the NixOS module makes, for each set of handlers, and of a host that says nothing.
fn of_the_module() -> Vec<PathBuf> {
    let units: Vec<_> = fs::read_dir(root().join("nixos/units")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(units.len() > 1, "{units:?}");
    units
}

/// A folder with the unit as it is, but for the program, which is not installed here.
fn unit(file: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(file).unwrap();
    let program = env!("CARGO_BIN_EXE_alknet");
    let placed = text.replace("/usr/bin/alknet ", &format!("{program} ")).replace("@alknet@/bin/alknet", program);
    assert!(placed.contains(program), "{}", file.display());
    fs::write(folder.path().join("alknet.service"), placed).unwrap();
    // What makes the identity where the host names none; it is no part of what is looked at.
    let identity = format!("[Service]\nType=oneshot\nExecStart={program} --version\n");
    fs::write(folder.path().join("alknet-identity.service"), identity).unwrap();
    folder
}

/// Runs `systemd-analyze`; nothing where there is none.
fn analyze(arguments: &[&str], folder: &Path) -> Option<Output> {
    let path = format!("{}:", folder.display());
    let unit = folder.join("alknet.service");
    match Command::new("systemd-analyze").args(arguments).arg(unit).env("SYSTEMD_UNIT_PATH", path).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("SKIPPED: systemd-analyze cannot be run here: {error}");
            None
        }
    }
}

#[test]
fn systemd_has_no_complaint() {
    for file in [by_hand()].into_iter().chain(of_the_module()) {
        let folder = unit(&file);
        let Some(output) = analyze(&["verify", "--man=no"], folder.path()) else { return };
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", file.display());
    }
}

#[test]
fn the_service_is_confined() {
    for file in [by_hand()].into_iter().chain(of_the_module()) {
        let folder = unit(&file);
        let Some(output) = analyze(&["security", "--offline=true", "--no-pager"], folder.path()) else { return };
        let report = String::from_utf8_lossy(&output.stdout);
        let exposure = report.rsplit("exposure level for alknet.service: ").next().unwrap();
        let exposure: f64 = exposure.split_whitespace().next().unwrap().parse().unwrap_or_else(|_| panic!("{report}"));
        assert!(exposure <= MAX_EXPOSURE, "{}: {report}", file.display());
    }
}

#[test]
fn the_unit_by_hand_is_that_of_the_module() {
    // Where things lie, and where the secrets come from, is up to each.
    let own = [
        "ExecStart",
        "ExecReload",
        "LoadCredential",
        "LoadCredentialEncrypted",
        "ConfigurationDirectory",
        "Environment",
    ];
    let directives = |file: &Path| -> BTreeSet<String> {
        let text = fs::read_to_string(file).unwrap();
        let service = text.split("[Service]").nth(1).unwrap().split("[Install]").next().unwrap().to_owned();
        let lines = service.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .filter_map(|line| line.split_once('='))
            .filter(|(key, _)| !own.contains(key))
            .flat_map(directive)
            .collect()
    };
    assert_eq!(directives(&by_hand()), directives(&root().join("nixos/units/call-http.service")));
}

/// A directive in one spelling. A list of address families may stand in one line or in several.
fn directive((key, value): (&str, &str)) -> Vec<String> {
    let value = match value {
        "yes" => "true",
        value => value,
    };
    match key {
        "RestrictAddressFamilies" => value.split(' ').map(|family| format!("{key}={family}")).collect(),
        _ => vec![format!("{key}={value}")],
    }
}
