//! A node in a process of its own.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// Long enough for any machine: what a test waits for either happens or is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub(crate) const ALKNET: &str = env!("CARGO_BIN_EXE_alknet-e2e-node");

/// Every ALPN of a node with the default configuration.
pub(crate) const ALPNS: [&str; 3] = ["alknet/call", "h2", "http/1.1"];

/// A node that serves. Dropping it ends the process.
pub(crate) struct Node {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    /// A bearer token of the peer `tester`, whose only scope is `demo:use`.
    pub(crate) token: String,
    /// What the node says of itself with `alknet id --json`.
    pub(crate) fingerprint: String,
    /// In front of every command, to run it elsewhere: `ip netns exec NAME`.
    prefix: Vec<String>,
    process: Option<Process>,
}

struct Process {
    child: Child,
    supervisor: UnixDatagram,
}

impl Node {
    /// A node on loopback, IPv4 and IPv6, with the peer `tester`.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_with("")
    }

    /// The same, with more lines in its configuration.
    pub(crate) fn start_with(more: &str) -> anyhow::Result<Self> {
        let mut node = Self::make(&[], &free_port()?.to_string())?;
        node.add_to_config(more)?;
        node.serve()?;
        Ok(node)
    }

    /// Makes a node as its operator would, and does not start it. `port` stands behind `[::]:`.
    pub(crate) fn make(prefix: &[&str], port: &str) -> anyhow::Result<Self> {
        let mut node = Self {
            folder: tempfile::tempdir()?,
            port: port.parse()?,
            token: String::new(),
            fingerprint: String::new(),
            prefix: prefix.iter().map(|word| word.to_string()).collect(),
            process: None,
        };
        let folder = node.folder.path().to_owned();
        let init = node.command(&["init", "--name", "tested", "--dir"]).arg(&folder).output()?;
        ensure!(init.status.success(), "init failed: {}", text(&init));
        let config = fs::read_to_string(node.config())?;
        let listen = "listen = [\"[::]:4433\"]";
        ensure!(config.contains(listen), "the default configuration has no line {listen}:\n{config}");
        let here = format!("listen = [\"[::]:{port}\"]");
        // The default configuration shows it as a comment, or sets it; either way this sets it.
        let config: Vec<_> =
            config.lines().filter(|line| !line.trim_start_matches("# ").starts_with("listen =")).collect();
        let config = config.join("\n").replacen("[endpoint]", &format!("[endpoint]\n{here}"), 1);
        fs::write(node.config(), config + "\n")?;
        node.run_ok(&["peer", "add", "tester", "--scope", "demo:use"])?;
        node.token = node.new_token("tester")?;
        let id: serde_json::Value = serde_json::from_str(&node.run_ok(&["id", "--json"])?)?;
        node.fingerprint = id["fingerprint"].as_str().context("id has no fingerprint")?.to_owned();
        Ok(node)
    }

    pub(crate) fn new_token(&self, peer: &str) -> anyhow::Result<String> {
        let printed: serde_json::Value = serde_json::from_str(&self.run_ok(&["token", "new", peer, "--json"])?)?;
        Ok(printed["token"].as_str().context("token new prints no token")?.to_owned())
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("alknet.toml")
    }

    /// `ed25519:…@host:port`, as another node's command line takes it.
    pub(crate) fn name_at(&self, host: &str) -> String {
        format!("{}@{host}:{}", self.fingerprint, self.port)
    }

    pub(crate) fn add_to_config(&self, lines: &str) -> anyhow::Result<()> {
        let config = fs::read_to_string(self.config())?;
        Ok(fs::write(self.config(), format!("{config}\n{lines}\n"))?)
    }

    /// A command of alknet, with this node's configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.prefix.iter().map(String::as_str).chain([ALKNET]);
        let mut command = Command::new(words.next().expect("there is the program"));
        command.args(words);
        if arguments.first() != Some(&"init") {
            command.arg("--config").arg(self.config());
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.command(arguments).output().with_context(|| format!("cannot run {arguments:?}"))
    }

    /// Runs a command that has to succeed, and returns what it prints.
    pub(crate) fn run_ok(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments)?;
        ensure!(output.status.success(), "{arguments:?} failed: {}", text(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command that has to fail, and returns what it says.
    pub(crate) fn run_err(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments)?;
        ensure!(!output.status.success(), "{arguments:?} succeeded: {}", text(&output));
        Ok(String::from_utf8(output.stderr)?)
    }

    /// Starts the node and waits for READY=1, as systemd would.
    pub(crate) fn serve(&mut self) -> anyhow::Result<()> {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&mut self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        let socket = self.folder.path().join("notify");
        let _ = fs::remove_file(&socket);
        let supervisor = UnixDatagram::bind(&socket)?;
        supervisor.set_read_timeout(Some(PATIENCE))?;
        let log = fs::File::create(self.log_file())?;
        let mut command = self.command(&["serve"]);
        command.env("NOTIFY_SOCKET", &socket).envs(environment.iter().copied()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn()?;
        self.process = Some(Process { child, supervisor });
        self.wait_for_notice("READY=1").with_context(|| format!("the node did not start; its log:\n{}", self.log()))?;
        Ok(())
    }

    /// Waits until the node tells its supervisor `line`; returns the whole message.
    pub(crate) fn wait_for_notice(&self, line: &str) -> anyhow::Result<String> {
        let process = self.process.as_ref().context("the node does not run")?;
        let mut buffer = [0; 4096];
        loop {
            let length = process.supervisor.recv(&mut buffer).with_context(|| format!("{line} never came"))?;
            let message = std::str::from_utf8(&buffer[..length])?;
            if message.lines().any(|given| given.starts_with(line)) {
                return Ok(message.to_owned());
            }
        }
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.process.as_ref().context("the node does not run")?.child.id())
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self.process.as_ref().context("the node does not run")?;
        let pid = Pid::from_raw(process.child.id().try_into()?).context("a process has a number")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Stops the node as systemd would; it has to end in order.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let mut process = self.process.take().context("the node does not run")?;
        let status = process.child.wait()?;
        ensure!(status.success(), "the node ended with {status}; its log:\n{}", self.log());
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Waits until a line of the log has all of `words`.
    pub(crate) fn wait_for_log(&self, words: &[&str]) -> anyhow::Result<()> {
        until(&format!("a line of the log with {words:?}; the log:\n{}", self.log()), || {
            self.log().lines().any(|line| words.iter().all(|word| line.contains(word)))
        })
    }

    /// The node answers, on both transports.
    pub(crate) fn still_serves(&self) -> anyhow::Result<()> {
        for transport in ["quic", "tcp"] {
            let status = self.run_ok(&["status", "--transport", transport])?;
            ensure!(status.contains("you are      self over"), "{status}");
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) -> anyhow::Result<()> {
    let start = Instant::now();
    while !condition() {
        ensure!(start.elapsed() < PATIENCE, "never happened: {what}");
        std::thread::yield_now();
    }
    Ok(())
}

/// A port that is free on UDP and TCP.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    for _ in 0..64 {
        let port = TcpListener::bind("[::]:0")?.local_addr()?.port();
        if UdpSocket::bind(("::", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free on both UDP and TCP")
}

/// Runs a stock client with `input`; returns what it prints on both outputs, and whether it succeeded.
pub(crate) fn client(program: impl AsRef<Path>, arguments: &[&str], input: &str) -> anyhow::Result<(bool, String)> {
    let program = program.as_ref();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    // A client that has ended already reads nothing; what it says is what counts.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    Ok((output.status.success(), text(&output)))
}

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
