//! The program `nats-server`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde::Deserialize;

use crate::certificate::{certificate_file, key_file};
use crate::program::Program;
use crate::running::Running;

const PROGRAM: Program = Program { name: "nats-server", package: "nats-server" };
/// A server that is not there by then never will be.
const PATIENCE: Duration = Duration::from_secs(10);

/// What it says of itself.
///
/// # Errors
/// How to get it, when it is not there.
pub(crate) fn version() -> Result<String, String> {
    PROGRAM.version("--version")
}

/// A NATS server with TLS, as a child of this process.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: String,
}

impl Server {
    /// Starts it on a free port of the loopback interface.
    pub(crate) fn start(folder: &Path) -> Result<Self, String> {
        let configuration = folder.join("nats.conf");
        // It picks its port itself, and writes it into a file of that folder.
        let text = format!(
            "listen: \"127.0.0.1:-1\"\nports_file_dir: {:?}\ntls {{ cert_file: {:?}, key_file: {:?} }}\n",
            folder,
            certificate_file(folder),
            key_file(folder)
        );
        fs::write(&configuration, text).map_err(|error| error.to_string())?;
        let child = PROGRAM.run(|mut command| {
            command.arg("-c").arg(&configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn()
        })?;
        let mut running = Running(child);
        let ports = folder.join(format!("nats-server_{}.ports", running.0.id()));
        let address = wait_for_ports(&ports, &mut running)?;
        Ok(Self { running, address })
    }
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

fn wait_for_ports(file: &PathBuf, running: &mut Running) -> Result<String, String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        // It is read again if it is read while it is written.
        let ports = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Ports>(&text).ok());
        if let Some(url) = ports.and_then(|ports| ports.nats.into_iter().next()) {
            return Ok(url.rsplit_once('/').map_or(url.clone(), |(_, address)| address.to_owned()));
        }
        if let Ok(Some(status)) = running.0.try_wait() {
            return Err(format!("nats-server ended at its start ({status})"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("nats-server was not ready within {} s", PATIENCE.as_secs()))
}
