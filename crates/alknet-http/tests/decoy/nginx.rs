//! A real nginx on a port of its own, with the configuration of Debian's package where that matters to answers.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// Where its files are: installed, or unpacked by scripts/setup.
const ROOTS: [&str; 2] = ["", concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/nginx")];

/// The first of them that has the version which is imitated.
fn root() -> Option<&'static str> {
    ROOTS.into_iter().find(|root| {
        let said = Command::new(format!("{root}/usr/sbin/nginx")).arg("-v").output();
        said.is_ok_and(|output| output.stderr.starts_with(b"nginx version: nginx/1.22.1\n"))
    })
}

/// A file of its packages.
pub(crate) fn file(path: &str) -> String {
    format!("{}{path}", root().unwrap_or_default())
}

/// What is missing to compare with it.
pub(crate) fn missing() -> Option<&'static str> {
    root().is_none().then_some("nginx 1.22.1 of Debian 12, which scripts/setup unpacks")
}

/// Ends with its value.
pub(crate) struct Nginx {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Nginx {
    /// Shows `folder/site`. `listen` is what follows the address there, and further directives.
    pub(crate) fn start(folder: &Path, listen: &str) -> anyhow::Result<Self> {
        // Somebody else may take the port between the look for one and nginx.
        let mut last = String::new();
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            match Self::start_at(address, folder, listen) {
                Ok(nginx) => return Ok(nginx),
                Err(error) => last = format!("{error:#}"),
            }
        }
        bail!("{last}")
    }

    fn start_at(address: SocketAddr, folder: &Path, listen: &str) -> anyhow::Result<Self> {
        let root = root().context("nginx was there and is gone")?;
        let at = folder.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {at}/{name};\n"))
            .concat();
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
            events {{ worker_connections 768; }}
            http {{
                sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip on; access_log off;
                include {root}/etc/nginx/mime.types; default_type application/octet-stream;
                {temporary}
                server {{
                    listen {address} default_server {listen};
                    root {at}/site; index index.html index.htm index.nginx-debian.html; server_name _;
                    location / {{ try_files $uri $uri/ =404; }}
                }}
            }}"
        );
        fs::write(folder.join("nginx.conf"), configuration)?;
        let mut command = Command::new(format!("{root}/usr/sbin/nginx"));
        command.arg("-c").arg(folder.join("nginx.conf")).arg("-e").arg(folder.join("error.log"));
        let process = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().context("nginx does not start")?;
        let mut nginx = Self { process, address };
        nginx.wait_until_it_listens(folder)?;
        Ok(nginx)
    }

    fn wait_until_it_listens(&mut self, folder: &Path) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            let log = || fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            if self.process.try_wait()?.is_some() {
                bail!("nginx has ended: {}", log());
            }
            if Instant::now() > deadline {
                bail!("nginx does not listen: {}", log());
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
