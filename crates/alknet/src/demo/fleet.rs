//! The demo's nodes: real processes, each with a folder, a vault and a configuration of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use alknet_core::{Fingerprint, Token};
use anyhow::{Context as _, bail};

use super::show::Show;
use super::weather::Weather;
use crate::init::{self, KeepSeed, Plan};

/// Far more than a node needs to start or stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the worker has, and the hub offers of it.
const TERMINALS: &str = "\n[tty]\nenable = true\ncommands = [\"/bin/sh\"]\n";
const REEXPORT: &str = "\n[[hub.reexport]]\npeer = \"worker\"\noperations = [\"tty/*\"]\nprefix = \"worker\"\n\
    required_scopes = [\"tty:use\"]\n";

/// What the worker shows to people who have no token.
const DECOY: &str = "\n[http.decoy]\nimitate = \"nginx\"\n";
/// What the hub has from a service that is no node.
const IMPORT: &str = "\n[[import]]\nfrom = \"openapi\"\nname = \"weather\"\nspec = \"weather.json\"\n\
    operations = [\"*\"]\ncredential = \"weather\"\nexport = true\n";

/// The nodes.
pub(super) struct Fleet {
    pub(super) hub: Node,
    pub(super) worker: Node,
    pub(super) laptop: Node,
    /// Another user of the hub's, who may do what the laptop may. It serves nothing, so it does not run.
    pub(super) phone: Node,
    /// A node like the others, which nobody knows.
    pub(super) stranger: Node,
    /// A token that the hub takes for the laptop.
    pub(super) token: Token,
}

/// One of them.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) fingerprint: Fingerprint,
    pub(super) port: u16,
    folder: PathBuf,
    child: Option<Child>,
}

impl Fleet {
    pub(super) fn start(folder: &Path, weather: &Weather) -> anyhow::Result<Self> {
        let make = |name| Node::make(folder, name);
        let token = Token::generate()?;
        let mut fleet = Self {
            hub: make("hub")?,
            worker: make("worker")?,
            laptop: make("laptop")?,
            phone: make("phone")?,
            stranger: make("stranger")?,
            token,
        };
        let (hub, worker, laptop, phone) = (&fleet.hub, &fleet.worker, &fleet.laptop, &fleet.phone);
        let token = format!("token_sha256 = \"{}\"\nscopes = [\"node:admin\", \"tty:use\"]\n", fleet.token.hash());
        let peers = [(worker, true, ""), (laptop, false, &*token), (phone, false, "scopes = [\"tty:use\"]\n")];
        hub.configure(&peers, &[REEXPORT, IMPORT].concat())?;
        std::fs::write(hub.folder.join("weather.json"), weather.description())?;
        let stored = hub.run(&["vault", "encrypt", "--name", "weather"], weather.key.reveal())?;
        if !stored.status.success() {
            bail!("the weather service's key cannot be stored: {}", String::from_utf8_lossy(&stored.stderr));
        }
        worker.configure(&[(hub, true, "scopes = [\"tty:*\"]\n")], &[TERMINALS, DECOY].concat())?;
        laptop.configure(&[(hub, true, "")], "")?;
        phone.configure(&[(hub, true, "")], "")?;
        fleet.stranger.configure(&[], "")?;
        for node in [&mut fleet.hub, &mut fleet.worker, &mut fleet.laptop] {
            node.start()?;
        }
        Ok(fleet)
    }

    pub(super) fn introduce(&self, show: &Show) {
        for node in [&self.hub, &self.worker, &self.laptop] {
            show.say(&format!("{:<8} 127.0.0.1:{} (UDP and TCP)  {}", node.name, node.port, node.fingerprint));
        }
    }

    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        [&mut self.laptop, &mut self.worker, &mut self.hub].into_iter().try_for_each(Node::stop)
    }
}

impl Node {
    fn make(folder: &Path, name: &'static str) -> anyhow::Result<Self> {
        let folder = folder.join(name);
        let plan = Plan {
            dir: folder.clone(),
            state_dir: folder.join("state"),
            name: name.parse().map_err(anyhow::Error::msg)?,
            words: Default::default(),
            keep: KeepSeed::RandomPassphrase,
        };
        let made = init::make(&plan)?;
        Ok(Self { name, fingerprint: made.fingerprint, port: free_port()?, folder, child: None })
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("alknet.toml")
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Writes the configuration: who the peers are, whether this node dials them, what else stands in their entries, and
    /// further sections.
    fn configure(&self, peers: &[(&Node, bool, &str)], sections: &str) -> anyhow::Result<()> {
        let mut text = format!(
            "[node]\nname = \"{}\"\nstate_dir = \"{}\"\n\n[endpoint]\nlisten = [\"{}\"]\ndrain_timeout_seconds = 2\n\n\
             [call]\nenable = true\n\n[http]\nenable = true\n",
            self.name,
            self.folder.join("state").display(),
            self.address()
        );
        for (peer, dialed, more) in peers {
            text += &format!("\n[[peers]]\nid = \"{}\"\nfingerprints = [\"{}\"]\n", peer.name, peer.fingerprint);
            if *dialed {
                text += &format!("address = \"{}\"\n", peer.address());
            }
            text += more;
        }
        text += sections;
        std::fs::write(self.config(), text).with_context(|| format!("cannot write {}", self.config().display()))
    }

    /// Starts the node and waits until it says READY=1, as systemd would.
    fn start(&mut self) -> anyhow::Result<()> {
        let socket = self.folder.join("notify");
        let supervisor = UnixDatagram::bind(&socket)?;
        supervisor.set_read_timeout(Some(PATIENCE))?;
        let log = std::fs::File::create(self.folder.join("log"))?;
        let mut command = alknet(&self.config())?;
        command.arg("serve").env("NOTIFY_SOCKET", &socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().context("cannot start a node")?);
        let mut message = [0; 4096];
        loop {
            let length = match supervisor.recv(&mut message) {
                Ok(length) => length,
                Err(_) => bail!("the node {} did not get ready; its log:\n{}", self.name, self.log()),
            };
            if message.get(..length).is_some_and(|text| text.starts_with(b"READY=1")) {
                return Ok(());
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Runs a command as this node's operator would.
    pub(super) fn run(&self, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
        let mut child = alknet(&self.config())?
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run a command")?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that has failed already reads nothing; what it says is what counts.
            let _ = stdin.write_all(input.as_bytes());
        }
        Ok(child.wait_with_output()?)
    }

    /// Starts a command that stays connected, and waits for its first byte of output.
    pub(super) fn hold(&self, arguments: &[&str], input: &str) -> anyhow::Result<Child> {
        let mut child = alknet(&self.config())?
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run a command")?;
        let (Some(stdin), Some(stdout)) = (&mut child.stdin, &mut child.stdout) else { bail!("no pipes") };
        stdin.write_all(input.as_bytes())?;
        stdout.read_exact(&mut [0]).context("the connection ended before it began")?;
        Ok(child)
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("the node {} ended with {status}; its log:\n{}", self.name, self.log());
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // The demo has failed; what is left is to leave nothing running.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn alknet(config: &Path) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command.arg("--config").arg(config);
    Ok(command)
}

/// A port that is free on UDP and TCP at this moment.
fn free_port() -> anyhow::Result<u16> {
    for _ in 0..64 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free on both UDP and TCP")
}
