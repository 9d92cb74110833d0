//! The node under a supervisor: readiness, reload, watchdog, the end; and what reaches it from its environment.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use anyhow::ensure;
use rustix::process::Signal;

use crate::Test;
use crate::node::Node;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("a_supervisor_is_told_of_every_step", &[], every_step),
        Test::new("a_reload_changes_peers_and_handlers_and_drops_only_the_revoked", &[], reload),
        Test::new("every_reload_says_what_still_needs_a_restart", &[], restart_needed),
        Test::new("a_broken_configuration_leaves_the_old_one_in_force", &[], broken_reload),
        Test::new("serve_without_a_configuration_makes_one_and_says_so", &[], default_configuration),
        Test::new("a_secret_in_the_environment_changes_nothing", &[], poisoned_environment),
        Test::new("the_demo_shows_what_it_says", &[], demo),
    ]
}

fn every_step() -> anyhow::Result<()> {
    let mut node = Node::make(&[], &crate::node::free_port()?.to_string())?;
    node.serve_with(&[("WATCHDOG_USEC", "1000000")])?;
    node.wait_for_notice("WATCHDOG=1")?;
    node.signal(Signal::HUP)?;
    let reloading = node.wait_for_notice("RELOADING=1")?;
    ensure!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    let ready = node.wait_for_notice("READY=1")?;
    ensure!(ready.contains("STATUS=serving 3 ALPNs"), "{ready}");
    node.signal(Signal::TERM)?;
    node.wait_for_notice("STOPPING=1")?;
    node.stop()
}

fn reload() -> anyhow::Result<()> {
    let node = Node::start()?;
    let mut guest = Node::make(&[], &crate::node::free_port()?.to_string())?;
    guest.port = node.port;
    let name = node.name_at("127.0.0.1");
    ensure!(guest.run_err(&["status", &name])?.contains("UNAUTHENTICATED"), "a stranger got something");

    // `peer add` tells the running node, so the next connection counts.
    node.run_ok(&["peer", "add", "guest", "--fingerprint", &guest.fingerprint])?;
    ensure!(guest.run_ok(&["status", &name])?.contains("you are      guest"), "the new peer is not known");

    for transport in ["quic", "tcp"] {
        let mut guests = hold(&guest, &name, transport)?;
        let mut tester = hold(&node, &name, transport)?;
        node.run_ok(&["peer", "remove", "guest"])?;
        // The guest's connection ends, and not because its input does; that is what this waits for.
        let _input = guests.stdin.take();
        guests.wait()?;
        ask(&mut tester)?;
        tester.kill()?;
        tester.wait()?;
        node.run_ok(&["peer", "add", "guest", "--fingerprint", &guest.fingerprint])?;
    }

    let config = std::fs::read_to_string(node.config())?;
    let off = config.replacen("[http]\nenable = true", "[http]\nenable = false", 1);
    ensure!(off != config, "the default configuration enables HTTP otherwise than expected:\n{config}");
    std::fs::write(node.config(), off)?;
    node.signal(Signal::HUP)?;
    node.wait_for_log(&["configuration reloaded"])?;
    let gone = || node.run_err(&["connect", &name, "h2"]).is_ok_and(|error| error.contains("does not serve the ALPN"));
    crate::node::until("HTTP is switched off", gone)?;
    node.still_serves()
}

const FRAME: &str = r#"{"type":"call.requested","id":"1","payload":{"operationId":"/services/list","input":null}}"#;

/// A connection that stays open, and has been in use.
fn hold(client: &Node, name: &str, transport: &str) -> anyhow::Result<std::process::Child> {
    let mut command = client.command(&["connect", name, "alknet/call", "--transport", transport]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    ask(&mut child)?;
    Ok(child)
}

/// One call, and its answer.
fn ask(child: &mut std::process::Child) -> anyhow::Result<()> {
    let stdin = child.stdin.as_mut().expect("it is piped");
    stdin.write_all(&u32::try_from(FRAME.len())?.to_be_bytes())?;
    stdin.write_all(FRAME.as_bytes())?;
    stdin.flush()?;
    let stdout = child.stdout.as_mut().expect("it is piped");
    let mut length = [0; 4];
    stdout.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stdout.read_exact(&mut answer)?;
    ensure!(String::from_utf8_lossy(&answer).contains("/services/list"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

fn restart_needed() -> anyhow::Result<()> {
    let node = Node::start()?;
    let name = node.name_at("127.0.0.1");
    let reload = || -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_str(&node.run_ok(&["call", &name, "/config/reload"])?)?)
    };
    let started = std::fs::read_to_string(node.config())?;
    ensure!(reload()?["restart_needed"] == serde_json::json!([]), "nothing has changed");
    std::fs::write(node.config(), started.replacen("name = \"tested\"", "name = \"renamed\"", 1))?;
    for _ in 0..2 {
        let report = reload()?;
        ensure!(report["restart_needed"] == serde_json::json!(["node.name"]), "{report}");
    }
    std::fs::write(node.config(), started)?;
    ensure!(reload()?["restart_needed"] == serde_json::json!([]), "it is as it was at the start again");
    Ok(())
}

fn broken_reload() -> anyhow::Result<()> {
    let node = Node::start()?;
    let good = std::fs::read_to_string(node.config())?;
    node.add_to_config("[htpp]\nenable = true")?;
    node.signal(Signal::HUP)?;
    node.wait_for_log(&["not reloaded", "unknown key", "did you mean \"http\"?"])?;
    let error = node.run_err(&["status"])?;
    ensure!(error.contains("unknown key"), "{error}");
    std::fs::write(node.config(), good)?;
    node.still_serves()
}

fn default_configuration() -> anyhow::Result<()> {
    let home = tempfile::tempdir()?;
    let xdg = |name: &str| home.path().join(name).display().to_string();
    let (config, state) = (xdg("config"), xdg("state"));
    let mut command = std::process::Command::new(crate::node::ALKNET);
    command.env_clear().env("HOME", home.path()).env("XDG_CONFIG_HOME", &config).env("XDG_STATE_HOME", &state);
    // The default state folder of root is the system's, which is not this test's to write to.
    command.env("STATE_DIRECTORY", &state);
    let mut child = command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let file = home.path().join("config/alknet/alknet.toml");
    let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let said: Vec<_> = lines.map_while(Result::ok).take_while(|line| !line.contains("UDP and TCP")).collect();
    let said = said.join("\n");
    child.kill()?;
    child.wait()?;
    ensure!(file.exists(), "{said}");
    ensure!(said.contains("there was no configuration") && said.contains(file.to_str().expect("text")), "{said}");
    ensure!(said.contains("its mnemonic is not shown"), "a phrase must not get into a log: {said}");
    Ok(())
}

fn poisoned_environment() -> anyhow::Result<()> {
    let mut node = Node::make(&[], &crate::node::free_port()?.to_string())?;
    let poison = [("OPENAI_API_KEY", "sk-poison"), ("ALKNET_TOKEN", "alk_poison"), ("ALKNET_PASSPHRASE", "poison")];
    node.serve_with(&poison)?;
    node.still_serves()?;
    node.stop()?;
    ensure!(!node.log().contains("poison"), "{}", node.log());
    Ok(())
}

fn demo() -> anyhow::Result<()> {
    let output = std::process::Command::new(crate::node::ALKNET).arg("demo").stdin(Stdio::null()).output()?;
    let text = crate::node::text(&output);
    ensure!(output.status.success() && text.contains("Done in"), "{text}");
    Ok(())
}
