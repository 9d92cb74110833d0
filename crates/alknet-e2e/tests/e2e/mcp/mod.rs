//! The operations of a node as tools, to the official clients of the Model Context Protocol, its Inspector and its
//! conformance suite.

mod conformance;
mod everything;
mod python;
mod soak;
mod stdio;
mod typescript;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::Test;
use crate::node::{Node, until};

pub(crate) fn tests() -> Vec<Test> {
    [python::tests(), typescript::tests(), conformance::tests(), soak::tests(), stdio::tests()]
        .into_iter()
        .flatten()
        .collect()
}

const TTY: &str = "[tty]\nenable = true\ncommands = [\"/bin/cat\", \"/no/such/program\"]";

/// A node with terminals.
struct Served {
    node: Node,
    /// Of a peer that may use them.
    token: String,
}

impl Served {
    fn start() -> anyhow::Result<Self> {
        let node = Node::start_with(TTY)?;
        node.run_ok(&["peer", "add", "user", "--scope", "tty:*"])?;
        let token = node.new_token("user")?;
        Ok(Self { node, token })
    }

    /// Runs a scenario of a client in which a call is cancelled, and waits until the node has dropped that call.
    fn cancels(&self, command: Command) -> anyhow::Result<()> {
        let mut script = Script::start(command, &self.token)?;
        let id = script.read()?["id"].as_str().context("it says no id")?.to_owned();
        self.node.wait_for_log(&["tool tty.attach called by user: ABORTED"])?;
        ensure!(self.node.log().contains(&id), "the terminal {id} is in no line of the log");
        script.write("go on")?;
        script.end()
    }

    /// Runs a scenario of a client in which it is told that its tools have changed. `ready` is what it says when it can be.
    fn changes(&self, command: Command, ready: Option<&str>) -> anyhow::Result<()> {
        let mut script = Script::start(command, &self.token)?;
        let before = script.read()?["tools"].as_u64().context("it says no number")?;
        if let Some(ready) = ready {
            ensure!(script.read()?[ready] == true, "it does not say {ready}");
        }
        let config = std::fs::read_to_string(self.node.config())?;
        std::fs::write(self.node.config(), config.replace("[tty]\nenable = true", "[tty]\nenable = false"))?;
        self.node.signal(Signal::HUP)?;
        let after = script.read()?["tools"].as_u64().context("it says no number")?;
        ensure!(before == after + 7, "{before} tools, and then {after}");
        script.end()
    }
}

fn url(node: &Node) -> String {
    format!("https://127.0.0.1:{}/mcp", node.port)
}

/// A client that says what it does, a line of JSON at a time.
struct Script {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Script {
    fn start(mut command: Command, token: &str) -> anyhow::Result<Self> {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot run the client")?;
        let input = child.stdin.take().context("it is piped")?;
        let output = BufReader::new(child.stdout.take().context("it is piped")?);
        let mut script = Self { child, input, output };
        script.write(token)?;
        Ok(script)
    }

    fn write(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.input, "{line}")?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "the client said nothing and ended: {:?}", self.child.wait()?);
        Ok(line.trim().to_owned())
    }

    fn read(&mut self) -> anyhow::Result<Value> {
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("it said {line}"))
    }

    /// It has to end by itself, and well.
    fn end(mut self) -> anyhow::Result<()> {
        let mut ended = None;
        until("the end of the client", || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some()
        })?;
        ensure!(ended.is_some_and(|status| status.success()), "the client failed: {ended:?}");
        Ok(())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
