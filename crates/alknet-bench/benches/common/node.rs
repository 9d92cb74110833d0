//! The real program, as a child of this one, with a folder of its own.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io};

use alknet_vault::file::Overwrite;
use alknet_vault::{Cost, Mnemonic, SealedSeed, Seed, Vault, WordCount};
use tempfile::TempDir;

use crate::running::Running;

/// A node that is not there by then never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// The release build of `alknet`: it lies in the folder above the benchmark's own.
///
/// # Errors
/// How to make it, when it is not there.
pub(crate) fn alknet() -> Result<PathBuf, String> {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("alknet");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("there is no {}: run `cargo build --release -p alknet` first", path.display()))
}

/// Where the node has its seed from.
#[derive(Clone, Copy)]
pub(crate) enum VaultKind {
    /// The file of `alknet init`: sealed with a random passphrase, which needs no stretching.
    RandomPassphrase,
    /// Sealed with a passphrase that a person chose.
    HumanPassphrase,
    /// The seed itself, as systemd hands it over.
    Credential,
}

impl VaultKind {
    pub(crate) const ALL: [Self; 3] = [Self::RandomPassphrase, Self::HumanPassphrase, Self::Credential];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RandomPassphrase => "random passphrase",
            Self::HumanPassphrase => "human passphrase",
            Self::Credential => "seed credential",
        }
    }
}

/// A node that can be started.
pub(crate) struct Node {
    program: PathBuf,
    folder: TempDir,
    /// Of its runtime; none leaves it to the program.
    pub(crate) workers: Option<usize>,
    pub(crate) address: SocketAddr,
    /// The private part of its key, from which the client knows whom to expect.
    pub(crate) key: [u8; 32],
}

impl Node {
    /// Besides what every node has, its configuration has `sections`.
    pub(crate) fn new(program: &Path, vault: VaultKind, sections: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_port()?;
        let seed = Seed::from_bytes(&[7; Seed::LEN]);
        let vault_section = write_vault(folder.path(), vault, &seed)?;
        let config = format!(
            "[node]\nname = \"bench\"\nstate_dir = \"state\"\n\
             [endpoint]\nlisten = [\"{address}\"]\n\
             [endpoint.limits]\nmax_connections = 4096\nmax_connections_per_address = 4096\nretry_above_handshakes = 4096\n\
             {vault_section}{sections}"
        );
        fs::create_dir(folder.path().join("state"))?;
        fs::write(folder.path().join("alknet.toml"), config)?;
        let key = *Vault::from_seed(seed).node_key().as_bytes();
        Ok(Self { program: program.to_owned(), folder, workers: None, address, key })
    }

    /// Starts it, and says how long it took until it was ready.
    pub(crate) fn start(&self) -> Result<(Running, Duration), String> {
        let socket_path = self.folder.path().join("notify");
        let _ = fs::remove_file(&socket_path);
        let socket = UnixDatagram::bind(&socket_path).map_err(|error| error.to_string())?;
        let log_path = self.folder.path().join("log");
        let log = fs::File::create(&log_path).map_err(|error| error.to_string())?;
        let mut command = Command::new(&self.program);
        command.arg("serve").arg("--config").arg(self.folder.path().join("alknet.toml"));
        command.env("NOTIFY_SOCKET", &socket_path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        if let Some(workers) = self.workers {
            command.env("TOKIO_WORKER_THREADS", workers.to_string());
        }
        let begin = Instant::now();
        let mut running = Running(command.spawn().map_err(|error| error.to_string())?);
        match running.wait_until_ready(&socket) {
            Ok(()) => Ok((running, begin.elapsed())),
            Err(reason) => {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                Err(format!("`alknet serve` {reason}: {}", log.trim()))
            }
        }
    }
}

impl Running {
    fn wait_until_ready(&mut self, socket: &UnixDatagram) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        socket.set_read_timeout(Some(Duration::from_millis(100))).map_err(|error| error.to_string())?;
        let mut message = [0; 4096];
        while Instant::now() < deadline {
            if let Ok(length) = socket.recv(&mut message)
                && message[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1")
            {
                return Ok(());
            }
            if let Ok(Some(status)) = self.0.try_wait() {
                return Err(format!("ended before it was ready ({status})"));
            }
        }
        Err(format!("did not say READY=1 within {} s", PATIENCE.as_secs()))
    }
}

/// Writes the files of a vault and returns the section of the configuration that names them.
fn write_vault(folder: &Path, kind: VaultKind, seed: &Seed) -> io::Result<String> {
    let (passphrase, cost) = match kind {
        VaultKind::RandomPassphrase => {
            let words = Mnemonic::generate(WordCount::TwentyFour).map_err(io::Error::other)?;
            (words.phrase().to_string(), Cost::RANDOM_KEY)
        }
        VaultKind::HumanPassphrase => ("correct horse battery staple".to_owned(), Cost::PASSPHRASE),
        VaultKind::Credential => {
            write_private(&folder.join("seed"), seed.to_credential().as_bytes())?;
            return Ok("[vault]\nseed_file = \"seed\"\n".to_owned());
        }
    };
    let sealed = SealedSeed::seal(seed, passphrase.as_bytes(), cost).map_err(io::Error::other)?;
    sealed.save(&folder.join("vault.json"), Overwrite::Never).map_err(io::Error::other)?;
    write_private(&folder.join("passphrase"), passphrase.as_bytes())?;
    Ok("[vault]\nfile = \"vault.json\"\npassphrase_file = \"passphrase\"\n".to_owned())
}

fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, contents)
}

/// A port that is free on TCP and UDP now. Somebody may take it before who asked does; then the measurement says so.
pub(crate) fn free_port() -> io::Result<SocketAddr> {
    let mut tries = 0;
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0")?;
        let address = tcp.local_addr()?;
        match UdpSocket::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) if tries == 10 => return Err(error),
            Err(_) => tries += 1,
        }
    }
}
