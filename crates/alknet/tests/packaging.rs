//! What a packager relies on: which handlers a build has, and commands that run where there is nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests, too"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// Runs a command without an environment.
fn alknet(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alknet"));
    command.args(arguments).env_clear().current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command
}

/// A command's exit code, standard output and standard error.
fn ran(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = alknet(folder, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The JSON that a command prints that is to succeed.
#[track_caller]
fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = ran(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), text).unwrap();
    folder
}

/// A node, which ends with the test.
struct Node {
    folder: PathBuf,
    process: Child,
    address: String,
}

impl Node {
    /// Starts a new node with its configuration as `alknet init` makes it, save for the port.
    fn start(folder: &Path) -> Self {
        json_of(folder, &["init", "--dir", "node", "--json"]);
        let file = folder.join("node/alknet.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("[::]:4433", "127.0.0.1:0")).unwrap();
        let mut process = alknet(folder, &["serve", "--config", "node/alknet.toml"]).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        let serves = lines.find(|line| line.contains(" serves ")).expect("the node did not start");
        // A log that nobody reads would keep it from running.
        std::thread::spawn(move || lines.for_each(drop));
        let address = serves.split(" on ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
        Self { folder: folder.to_owned(), process, address }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        json_of(&self.folder, &[arguments, &["--json", "--config", "node/alknet.toml"]].concat())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_build_says_which_handlers_it_has() {
    let folder = folder_with("[call]\nenable = true\n");
    let expected = |call: Value, others: Value| {
        let (http, tty) = (cfg!(feature = "http"), cfg!(feature = "tty"));
        json!([
            { "name": "call", "alpns": ["alknet/call"], "built": true, "feature": null, "enabled": call },
            { "name": "http", "alpns": ["h2", "http/1.1"], "built": http, "feature": "http", "enabled": others },
            { "name": "tty", "alpns": ["alknet/tty"], "built": tty, "feature": "tty", "enabled": others },
        ])
    };
    let handlers = |more: &[&str]| json_of(folder.path(), &[&["handlers", "--json"], more].concat());
    assert_eq!(handlers(&["--config", "a.toml"]), expected(true.into(), false.into()));
    // A configuration of this machine, which there may be, is none of the test's.
    let text = ran(folder.path(), &["handlers", "--config", "a.toml"]).1;
    assert!(text.starts_with("NAME  ALPNS         IN THIS BUILD "), "{text}");
    let (code, _, error) = ran(folder.path(), &["handlers", "--config", "none.toml"]);
    assert!(code == 2 && error.contains("cannot be read"), "{error}");
}

#[test]
fn a_new_node_serves_what_its_build_has_and_enables() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path());
    let handlers = node.json(&["handlers"]);
    let enabled = |at: usize| handlers[at]["enabled"].as_bool().unwrap();
    assert_eq!([0, 1, 2].map(enabled), [true, cfg!(feature = "http"), false]);
    let enabled = handlers.as_array().unwrap().iter().filter(|handler| handler["enabled"] == true);
    let alpns: Vec<_> = enabled.flat_map(|handler| handler["alpns"].as_array().unwrap().clone()).collect();
    let name = format!("{}@{}", node.json(&["id"])["fingerprint"].as_str().unwrap(), node.address);
    for transport in ["quic", "tcp"] {
        assert_eq!(node.json(&["status", &name, "--transport", transport])["alpns"], Value::from(alpns.clone()));
    }
}

#[cfg(not(feature = "http"))]
#[test]
fn what_a_build_cannot_serve_is_an_error_of_the_configuration() {
    let folder = folder_with("[call]\nenable = true\n\n[http]\nenable = true\n");
    let (code, _, error) = ran(folder.path(), &["check-config", "a.toml"]);
    assert_eq!(
        (code, &*error),
        (
            2,
            "error: a.toml:4: [http] is not in this build (feature \"http\"); use a build with it, or remove the section\n"
        )
    );
    let folder = folder_with("[call]\nenable = true\n\n[http]\nenable = false\nmax_headers = 9\n");
    assert_eq!(ran(folder.path(), &["check-config", "a.toml"]).1, "a.toml: no errors\n");
}

#[test]
fn check_config_needs_nothing_but_the_file() {
    let mut text = "[endpoint]\ncertificates = [{ certificate = \"none.pem\", key = \"none.key\" }]\n\
                    [vault]\nseed_file = \"none\"\n[call]\nenable = true\n"
        .to_owned();
    if cfg!(feature = "http") {
        text.push_str(
            "[http]\nenable = true\ndecoy = { folder = \"none\" }\n[http.outbound]\nca_bundle = \"none.pem\"\n\
             [[import]]\nfrom = \"openapi\"\nname = \"github\"\nspec = \"none.yaml\"\noperations = [\"**\"]\n\
             credential = \"github\"\n",
        );
    }
    let folder = folder_with(&text);
    for arguments in [&["check-config", "a.toml"][..], &["check-config", "--deny-warnings", "a.toml"]] {
        assert_eq!(ran(folder.path(), arguments), (0, "a.toml: no errors\n".to_owned(), String::new()));
    }
}

#[test]
fn warnings_are_errors_for_those_who_say_so() {
    let folder = folder_with("[call]\nenable = true\n[[peers]]\nid = \"alice\"\n");
    let warning = "warning: peer \"alice\" has no way to show who it is: ";
    let (code, out, err) = ran(folder.path(), &["check-config", "a.toml"]);
    assert!((code, &*out) == (0, "a.toml: no errors\n") && err.starts_with(warning), "{err}");

    let (code, out, err) = ran(folder.path(), &["check-config", "--deny-warnings", "a.toml"]);
    assert!((code, &*out) == (2, "") && err.starts_with(warning), "{err}");
    assert!(err.ends_with("error: a.toml: 1 warning (--deny-warnings)\n"), "{err}");

    let (code, out, _) = ran(folder.path(), &["check-config", "--deny-warnings", "--json", "a.toml"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, report["warnings"].as_array().unwrap().len(), &report["errors"]), (2, 1, &json!([])));
}

#[test]
fn init_needs_no_home_and_nobody_who_watches() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["init", "--dir", "n", "--state-dir", "n/s", "--seed-credential", "n/seed", "--json", "--name", "x"];
    let (code, out, err) = ran(folder.path(), &arguments);
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let phrase = made["phrase"].as_str().unwrap();
    assert_eq!(phrase.split(' ').count(), 24);
    assert!(!err.contains(phrase), "standard error may go to a log");
    assert_eq!(fs::read_to_string(folder.path().join("n/seed")).unwrap().len(), 128);
    let id = json_of(folder.path(), &["--config", "n/alknet.toml", "id", "--json"]);
    assert_eq!(id["fingerprint"], made["fingerprint"]);
}
