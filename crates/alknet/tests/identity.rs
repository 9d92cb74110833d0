//! What a NixOS host runs before its node's first start: an identity that only this machine can decrypt.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "the helpers of tests are tests, too")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A command with the alknet of this build, and a secret of the machine that is not this machine's.
fn command(program: &str, lab: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", lab.join("bin").display()))
        .env("SYSTEMD_CREDENTIAL_SECRET", lab.join("secret"));
    command
}

fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: {program} cannot be run here");
    }
    found
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_first_start_makes_an_identity_for_this_machine_alone() {
    let is_root = output(Command::new("id").arg("-u")).trim() == "0";
    if !is_root {
        println!("SKIPPED: only root can encrypt a credential for the machine");
    }
    if !is_root || !is_there("systemd-creds") || !is_there("jq") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    for name in ["bin", "run", "state", "node"] {
        fs::create_dir(lab.join(name)).unwrap();
    }
    symlink(env!("CARGO_BIN_EXE_alknet"), lab.join("bin/alknet")).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nixos/module/make-identity.sh");
    let said = output(
        command("bash", lab)
            .arg(script)
            .env("RUNTIME_DIRECTORY", lab.join("run"))
            .env("STATE_DIRECTORY", lab.join("state"))
            .env("NODE_NAME", "hub"),
    );
    let mut kept: Vec<_> = fs::read_dir(lab.join("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["seed.cred", "words.cred"]);

    let decrypt = |name: &str| {
        let file = lab.join("state").join(format!("{name}.cred"));
        output(command("systemd-creds", lab).args(["decrypt", &format!("--name={name}")]).arg(file).arg("-"))
    };
    // The seed and the words are the node of which the script has told.
    for secret in [decrypt("seed"), decrypt("words")] {
        assert!(!said.contains(secret.trim()), "a secret is told");
        let (config, seed) = (lab.join("node/alknet.toml"), lab.join("node/seed"));
        fs::write(&config, "[vault]\nseed_file = \"seed\"\n").unwrap();
        fs::write(&seed, &secret).unwrap();
        let id = output(command("alknet", lab).args(["id", "--json", "--config"]).arg(&config));
        let id: serde_json::Value = serde_json::from_str(&id).unwrap();
        assert!(said.contains(id["fingerprint"].as_str().unwrap()), "{said}");
    }
    assert_eq!(decrypt("words").split(' ').count(), 24);

    // Another machine has another secret.
    fs::remove_file(lab.join("secret")).unwrap();
    let stolen = command("systemd-creds", lab)
        .args(["decrypt", "--name=seed"])
        .arg(lab.join("state/seed.cred"))
        .arg("-")
        .output()
        .unwrap();
    assert!(!stolen.status.success() && stolen.stdout.is_empty());
}
