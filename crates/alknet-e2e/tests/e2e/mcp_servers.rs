//! An MCP server written with the official SDK, imported into a node, offered by a hub, and called by users of both.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::Test;
use crate::needs::{Need, python};
use crate::node::{Node, free_port, text, until};

/// What the vault holds for everybody, and for the peer `tester` alone.
const COMMON: &str = "mcp-secret-of-all-51f0";
const TESTERS: &str = "mcp-secret-of-tester-98c2";

pub(crate) fn tests() -> Vec<Test> {
    let needs = &[Need::PythonMcp];
    vec![
        Test::new("mcp_server_of_2026_07_28_is_called_through_a_hub", needs, || through_a_hub("new", "2026-07-28")),
        Test::new("mcp_server_of_2025_11_25_is_called_through_a_hub", needs, || through_a_hub("old", "2025-11-25")),
        Test::new("mcp_server_that_is_away_delays_nothing", needs, away_at_the_start),
    ]
}

/// A server, until it is dropped.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    generation: &'static str,
    process: Option<Child>,
}

impl Server {
    fn start(generation: &'static str) -> anyhow::Result<Self> {
        let mut server = Self { folder: tempfile::tempdir()?, port: free_port()?, generation, process: None };
        server.run()?;
        Ok(server)
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/mcp_server.py");
        let log = std::fs::File::create(self.folder.path().join("log"))?;
        let mut command = Command::new(python());
        command.arg(script).args([&self.port.to_string(), self.generation]).current_dir(self.folder.path());
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        Ok(())
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.process.take().context("it does not run")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Which tools were called, each with the credential.
    fn seen(&self) -> anyhow::Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.folder.path().join("seen")).unwrap_or_default();
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    fn wait_for(&self, tool: &str) -> anyhow::Result<()> {
        until(&format!("a call of {tool}"), || {
            self.seen().is_ok_and(|seen| seen.iter().any(|call| call["tool"] == tool))
        })
    }

    /// The credential of the last call.
    fn credential(&self) -> anyhow::Result<String> {
        let seen = self.seen()?;
        Ok(seen.last().context("nothing was called")?["credential"].as_str().context("no text")?.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A node that imports the server as `shop`.
fn importing(server: &Server) -> anyhow::Result<Node> {
    let node = Node::make(&[], &free_port()?.to_string())?;
    node.add_to_config(&format!(
        "[[import]]\nfrom = \"mcp\"\nname = \"shop\"\nurl = \"{}\"\noperations = [\"*\", \"steps-stream\"]\n\
         credential = \"common\"\ncredentials_for = {{ tester = \"testers\" }}\nexport = true\n\
         required_scopes = [\"demo:use\"]\n",
        server.url()
    ))?;
    let secret = node.folder.path().join("secret");
    for (name, value) in [("common", COMMON), ("testers", TESTERS)] {
        std::fs::write(&secret, value)?;
        node.run_ok(&["vault", "encrypt", "--name", name, secret.to_str().context("a plain path")?])?;
    }
    std::fs::remove_file(secret)?;
    Ok(node)
}

/// Somebody who calls a node with a token.
struct User<'n> {
    node: &'n Node,
    token_file: String,
}

impl<'n> User<'n> {
    fn new(node: &'n Node, name: &str, token: &str) -> anyhow::Result<Self> {
        let file = node.folder.path().join(format!("token-{name}"));
        std::fs::write(&file, token)?;
        Ok(Self { node, token_file: file.to_str().context("a plain path")?.to_owned() })
    }

    fn command(&self, operation: &str, input: &Value) -> Command {
        let name = self.node.name_at("127.0.0.1");
        let input = input.to_string();
        self.node.command(&["call", &name, operation, &input, "--json", "--token-file", &self.token_file])
    }

    fn call(&self, operation: &str, input: Value) -> anyhow::Result<Value> {
        let output = self.command(operation, &input).output()?;
        ensure!(output.status.success(), "{operation} failed: {}", text(&output));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn refusal(&self, operation: &str, input: Value) -> anyhow::Result<String> {
        let output = self.command(operation, &input).output()?;
        ensure!(!output.status.success(), "{operation} succeeded: {}", text(&output));
        Ok(text(&output))
    }

    fn services(&self) -> anyhow::Result<String> {
        let name = self.node.name_at("127.0.0.1");
        self.node.run_ok(&["services", &name, "--json", "--token-file", &self.token_file])
    }
}

fn through_a_hub(generation: &'static str, protocol: &str) -> anyhow::Result<()> {
    let mut server = Server::start(generation)?;
    let mut node = importing(&server)?;
    let mut hub = Node::make(&[], &free_port()?.to_string())?;
    node.run_ok(&["peer", "add", "hub", "--fingerprint", &hub.fingerprint, "--scope", "demo:use"])?;
    node.serve_with(&[("ALKNET_LOG", "trace")])?;
    node.wait_for_log(&["imported shop 7", "import=\"shop\"", protocol])?;

    let address = format!("127.0.0.1:{}", node.port);
    hub.run_ok(&["peer", "add", "spoke", "--fingerprint", &node.fingerprint, "--address", &address])?;
    hub.run_ok(&["peer", "add", "bob"])?;
    let bob = hub.new_token("bob")?;
    hub.add_to_config(
        "[[hub.reexport]]\npeer = \"spoke\"\noperations = [\"shop/*\"]\nprefix = \"a\"\nrequired_scopes = [\"demo:use\"]\n",
    )?;
    hub.serve()?;

    let direct = User::new(&node, "tester", &node.token)?;
    let (alice, bob) = (User::new(&hub, "alice", &hub.token)?, User::new(&hub, "bob", &bob)?);
    until("the hub offers the tools", || alice.services().is_ok_and(|services| services.contains("a/shop/add")))?;

    results(&direct, &server)?;
    credentials(&direct, &alice, &server)?;
    denied(&bob, &server)?;
    aborted(&alice, &server)?;
    changed(&alice)?;
    killed(&alice, &mut server)?;

    node.still_serves()?;
    node.stop()?;
    audited(&node.log())
}

/// Each kind of result, as it is documented.
fn results(user: &User<'_>, server: &Server) -> anyhow::Result<()> {
    ensure!(user.call("/shop/add", json!({ "a": 2, "b": 3 }))? == json!({ "sum": 5 }), "structured content");
    ensure!(user.call("/shop/steps", json!({}))? == "done", "a text");
    let failed = user.refusal("/shop/fail", json!({}))?;
    ensure!(failed.contains("TOOL_ERROR") && failed.contains("nothing in stock"), "{failed}");
    let asked = server.seen()?.len();
    let refused = user.refusal("/shop/add", json!({ "a": "two", "b": 3 }))?;
    ensure!(refused.contains("INVALID_INPUT") && refused.contains("/a"), "{refused}");
    ensure!(server.seen()?.len() == asked, "an input that does not fit reached the server");
    let output = user.command("/shop/steps-stream", &json!({})).output()?;
    let events: Vec<Value> =
        String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (last, steps) = events.split_last().context("no events")?;
    ensure!(*last == json!({ "result": "done" }), "{events:?}");
    ensure!(steps.last().is_some_and(|step| step["message"] == "step 3" && step["total"] == 3.0), "{events:?}");
    Ok(())
}

/// A caller with a credential of its own calls with that, everybody else (a hub, whomever it calls for) with the common
/// one; and nobody sees either.
fn credentials(direct: &User<'_>, alice: &User<'_>, server: &Server) -> anyhow::Result<()> {
    ensure!(direct.call("/shop/whoami", json!({}))? == "you are Bearer ***", "the credential came back");
    ensure!(server.credential()? == format!("Bearer {TESTERS}"), "{}", server.credential()?);
    // The hub's user is called tester, too.
    ensure!(alice.call("/a/shop/whoami", json!({}))? == "you are Bearer ***", "the credential came back");
    ensure!(server.credential()? == format!("Bearer {COMMON}"), "{}", server.credential()?);
    ensure!(alice.call("/a/shop/add", json!({ "a": 20, "b": 22 }))? == json!({ "sum": 42 }), "through the hub");
    Ok(())
}

fn denied(bob: &User<'_>, server: &Server) -> anyhow::Result<()> {
    let services = bob.services()?;
    ensure!(!services.contains("shop"), "{services}");
    let asked = server.seen()?.len();
    let refused = bob.refusal("/a/shop/add", json!({ "a": 1, "b": 1 }))?;
    ensure!(refused.contains("FORBIDDEN") && !refused.contains("sum"), "{refused}");
    ensure!(server.seen()?.len() == asked, "the server was asked");
    Ok(())
}

/// A client that is killed leaves no tool running, two nodes further.
fn aborted(alice: &User<'_>, server: &Server) -> anyhow::Result<()> {
    // Over TCP, where the kernel says at once that it is gone.
    let mut command = alice.command("/a/shop/hang", &json!({}));
    command.args(["--transport", "tcp"]);
    let mut client = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begun = server.wait_for("hang");
    client.kill()?;
    client.wait()?;
    begun?;
    server.wait_for("hang is over")
}

/// The tools of the server come and go at the hub.
fn changed(alice: &User<'_>) -> anyhow::Result<()> {
    ensure!(alice.services()?.contains("a/shop/fail"), "it is there at first");
    alice.call("/a/shop/grow", json!({}))?;
    until("the hub has what the server has", || {
        alice.services().is_ok_and(|services| services.contains("a/shop/grown") && !services.contains("a/shop/fail"))
    })?;
    ensure!(alice.call("/a/shop/grown", json!({}))? == "grown", "the new tool");
    Ok(())
}

fn killed(alice: &User<'_>, server: &mut Server) -> anyhow::Result<()> {
    server.kill()?;
    let sum = || alice.command("/a/shop/add", &json!({ "a": 1, "b": 1 })).output();
    until("calls are UNAVAILABLE", || sum().is_ok_and(|output| text(&output).contains("UNAVAILABLE")))?;
    server.run()?;
    until("the server is back", || sum().is_ok_and(|output| output.status.success()))?;
    // It has forgotten what it had learned.
    until("its tools are those of before", || alice.services().is_ok_and(|services| services.contains("a/shop/fail")))
}

fn audited(log: &str) -> anyhow::Result<()> {
    let has = |words: &[&str]| log.lines().any(|line| words.iter().all(|word| line.contains(word)));
    ensure!(
        has(&["tool=\"add\"", "caller=\"tester\"", "outcome=\"ok\"", "duration_ms="]),
        "no record of a call:\n{log}"
    );
    ensure!(
        has(&["tool=\"add\"", "caller=\"hub\"", "tester", "outcome=\"ok\""]),
        "no record of whom the hub calls for"
    );
    ensure!(has(&["tool=\"fail\"", "outcome=\"TOOL_ERROR\""]), "no record of a failure");
    ensure!(has(&["tool=\"hang\"", "outcome=\"ABORTED\""]), "no record of a call that was given up");
    ensure!(
        has(&["operations appeared: shop/grown"]) && has(&["operations vanished: shop/fail"]),
        "no record of changes"
    );
    for secret in [COMMON, TESTERS] {
        ensure!(!log.contains(secret), "a credential is in the log");
    }
    Ok(())
}

fn away_at_the_start() -> anyhow::Result<()> {
    let mut server = Server::start("new")?;
    server.kill()?;
    let mut node = importing(&server)?;
    node.serve()?;
    node.still_serves()?;
    let user = User::new(&node, "tester", &node.token)?;
    let refused = user.refusal("/shop/add", json!({ "a": 1, "b": 1 }))?;
    ensure!(refused.contains("UNAVAILABLE"), "{refused}");
    // A reload does not wait for it either.
    node.signal(rustix::process::Signal::HUP)?;
    node.wait_for_notice("READY=1")?;
    server.run()?;
    until("the tools are there", || user.services().is_ok_and(|services| services.contains("shop/add")))?;
    ensure!(user.call("/shop/add", json!({ "a": 1, "b": 1 }))? == json!({ "sum": 2 }), "a call");
    // With the tools known, a reload keeps them although the server is gone.
    server.kill()?;
    node.signal(rustix::process::Signal::HUP)?;
    node.wait_for_notice("READY=1")?;
    ensure!(user.services()?.contains("shop/add"), "the tools are gone");
    Ok(())
}
