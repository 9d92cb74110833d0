//! A node that runs, whichever handlers the build has.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests are tests, too")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A node, which ends with the test.
struct Node {
    folder: PathBuf,
    process: Child,
    address: String,
}

impl Node {
    /// Starts a new node with its configuration as `alknet init` makes it, save for the port.
    fn start(folder: &Path) -> Self {
        assert!(alknet(folder, &["init", "--dir", "node"]).status().unwrap().success());
        let file = folder.join("node/alknet.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("[::]:4433", "127.0.0.1:0")).unwrap();
        let mut serve = alknet(folder, &["serve", "--config", "node/alknet.toml"]);
        let mut process = serve.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        let serves = lines.find(|line| line.contains(" serves ")).expect("the node did not start");
        // For as long as it runs: a log that nobody reads would keep it from running.
        std::thread::spawn(move || lines.for_each(drop));
        let address = serves.split(" on ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
        Self { folder: folder.to_owned(), process, address }
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = alknet(&self.folder, &[&["--config", "node/alknet.toml"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn alknet(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alknet"));
    command.args(arguments).env_clear().current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

#[test]
fn a_new_node_serves_what_its_build_has_and_enables() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(folder.path());
    let name = format!("{}@{}", node.json(&["id", "--json"])["fingerprint"].as_str().unwrap(), node.address);
    for transport in ["quic", "tcp"] {
        let status = node.json(&["status", &name, "--json", "--transport", transport]);
        let enabled = node.json(&["handlers", "--json"]);
        let enabled = enabled.as_array().unwrap().iter().filter(|handler| handler["enabled"] == true);
        let alpns: Vec<_> = enabled.flat_map(|handler| handler["alpns"].as_array().unwrap().clone()).collect();
        assert_eq!(status["alpns"], serde_json::Value::from(alpns));
    }
}
