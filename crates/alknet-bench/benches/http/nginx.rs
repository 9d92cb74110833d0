//! nginx as Debian has it, with a configuration for speed.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificate::{HOST, certificate_file, key_file};
use crate::node::free_port;
use crate::program::Program;
use crate::running::Running;
use crate::{WORKERS, answer};

pub(crate) const PROGRAM: Program = Program { name: "nginx", package: "nginx-light" };

/// How long it may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server that runs. Killed, it would leave its workers behind, so it is told to stop when this is dropped.
pub(crate) struct Nginx {
    pub(crate) running: Running,
    folder: PathBuf,
}

impl Nginx {
    /// Starts it in `folder`, with the certificate and the answer that are there.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub(crate) fn start(folder: &Path) -> Result<(Self, SocketAddr), String> {
        let address = free_port().map_err(|error| error.to_string())?;
        fs::write(folder.join(CONFIGURATION), configuration(address, folder)?).map_err(|error| error.to_string())?;
        let complaints = fs::File::create(folder.join("nginx.log")).map_err(|error| error.to_string())?;
        let child = PROGRAM.run(|mut command| {
            in_folder(&mut command, folder);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(complaints.try_clone()?).spawn()
        })?;
        let mut nginx = Self { running: Running(child), folder: folder.to_owned() };
        nginx.wait_until_ready(address)?;
        Ok((nginx, address))
    }

    fn wait_until_ready(&mut self, address: SocketAddr) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.running.wait_within(Duration::from_millis(10)) {
                let status = status.map_err(|error| error.to_string())?;
                let complaints = fs::read_to_string(self.folder.join("nginx.log")).unwrap_or_default();
                return Err(format!("nginx ended at its start ({status}): {}", complaints.trim()));
            }
            if TcpStream::connect(address).is_ok() {
                return Ok(());
            }
        }
        Err(format!("nginx was not ready within {} s", PATIENCE.as_secs()))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let stopped = PROGRAM.output(PATIENCE, |command| {
            in_folder(command, &self.folder);
            command.args(["-s", "stop"]);
        });
        if stopped.is_ok() {
            let _ = self.running.wait_within(PATIENCE);
        }
    }
}

const CONFIGURATION: &str = "nginx.conf";

fn in_folder(command: &mut Command, folder: &Path) {
    command.arg("-p").arg(folder).args(["-c", CONFIGURATION, "-e", "stderr"]);
}

/// What nobody chooses is as it is by default, but for these: access is not logged, as with the others; a connection is
/// not closed after 1000 requests; and tickets and ciphers are those of the others.
fn configuration(address: SocketAddr, folder: &Path) -> Result<String, String> {
    // As long as the node's answer.
    let around = r#"{"text":""}"#.len();
    let answer = format!(r#"{{"text":"{}"}}"#, "x".repeat(answer::length(folder)? as usize - around));
    let path = answer::PATH;
    let (certificate, key) = (certificate_file(folder), key_file(folder));
    Ok(format!(
        "daemon off;
         worker_processes {WORKERS};
         pid nginx.pid;
         error_log stderr warn;
         events {{}}
         http {{
             access_log off;
             keepalive_requests 1000000000;
             client_body_temp_path temporary;
             proxy_temp_path temporary;
             fastcgi_temp_path temporary;
             uwsgi_temp_path temporary;
             scgi_temp_path temporary;
             server {{
                 listen {address} ssl http2;
                 server_name {HOST};
                 ssl_certificate {certificate:?};
                 ssl_certificate_key {key:?};
                 ssl_protocols TLSv1.3;
                 ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256;
                 ssl_session_tickets off;
                 location = /healthz {{ default_type text/plain; return 200 \"ok\\n\"; }}
                 location = {path} {{ default_type application/json; return 200 '{answer}'; }}
             }}
         }}
        "
    ))
}
