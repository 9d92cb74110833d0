//! What a server needs when nothing happens, and what each connection adds on which nothing happens.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::runtime::Builder;

use crate::aim::Aim;
use crate::bare;
use crate::client::{Dialer, Transport};
use crate::node::{Node, VaultKind, alknet};
use crate::report::Report;
use crate::running::Running;
use crate::tls::{Client, SERVER_SEED};

const CONNECTIONS: usize = 1000;
/// How long a server gets to finish what handshakes leave behind.
const SETTLE: Duration = Duration::from_secs(2);
/// The ALPN of the node's handler whose connections may be idle.
const NODE_ALPN: &str = "alknet/call";
/// What the configuration of each node has for it.
pub(crate) const HANDLERS: &str = "[call]\nenable = true\n";

const AIM: Aim = Aim::AtMost(40.0);

pub(crate) fn measure(report: &mut Report, wanted: impl Fn(&str) -> bool) {
    let cases = [
        ("memory, quic", Transport::Quic, Some(AIM)),
        ("memory, tls/tcp", Transport::Tcp, Some(AIM)),
        ("memory, quic, bare quinn", Transport::Quic, None),
        ("memory, tls/tcp, tokio-rustls", Transport::Tcp, None),
    ];
    for (name, transport, aim) in cases {
        if !wanted(name) {
            continue;
        }
        // A process of its own for each case: memory that was freed stays with the process for the next.
        let server = if aim.is_some() { node() } else { child(transport) };
        match server.and_then(|server| server.grow(transport)) {
            Ok((before, after)) => {
                let each = (after.resident - before.resident) / CONNECTIONS as f64;
                let figures = [
                    ("idle", before.resident),
                    ("idle Pss", before.proportional),
                    ("with 1000 connections", after.resident),
                    ("their Pss", after.proportional),
                    ("each", each),
                ];
                report.figures(name, "KiB", aim, &figures);
            }
            Err(why) => report.not_measured(name, why),
        }
    }
}

/// A process that serves.
struct Server {
    running: Running,
    address: SocketAddr,
    alpn: &'static str,
    key: [u8; 32],
}

fn node() -> Result<Server, String> {
    let node = Node::new(&alknet()?, VaultKind::RandomPassphrase, HANDLERS).map_err(|error| error.to_string())?;
    let (running, _) = node.start()?;
    Ok(Server { running, address: node.address, alpn: NODE_ALPN, key: node.key })
}

/// This program again, as a bare server.
fn child(transport: Transport) -> Result<Server, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let spawned = Command::new(own).arg(bare::CHILD).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut running = Running(spawned.map_err(|error| error.to_string())?);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).map_err(|error| error.to_string())?;
    let (quic, tcp) = line.trim().split_once(' ').ok_or("the bare server did not say where it listens")?;
    let address = if transport == Transport::Quic { quic } else { tcp };
    Ok(Server { running, address: address.parse().unwrap(), alpn: bare::ALPN, key: SERVER_SEED })
}

/// Memory of a process in KiB.
struct Memory {
    resident: f64,
    proportional: f64,
}

impl Server {
    /// Its memory before the connections and with them.
    fn grow(&self, transport: Transport) -> Result<(Memory, Memory), String> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dialer = Dialer::new(self.alpn, Client::Stranger, &self.key);
            tokio::time::sleep(SETTLE).await;
            let before = self.memory()?;
            let connections = dialer.idle(transport, self.address, CONNECTIONS).await;
            let connections = connections.map_err(|error| format!("not all connections were accepted: {error}"))?;
            tokio::time::sleep(SETTLE).await;
            let after = self.memory()?;
            let closed = connections.iter().filter(|connection| !connection.is_open()).count();
            if closed > 0 {
                return Err(format!("the server closed {closed} of {CONNECTIONS} idle connections"));
            }
            Ok((before, after))
        })
    }

    fn memory(&self) -> Result<Memory, String> {
        let process = self.running.0.id();
        let figure = |file: &str, key: &str| {
            let path = format!("/proc/{process}/{file}");
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            let line = text.lines().find(|line| line.starts_with(key)).ok_or_else(|| format!("{path} has no {key}"))?;
            let figure = line.split_whitespace().nth(1).and_then(|figure| figure.parse::<f64>().ok());
            figure.ok_or_else(|| format!("{path}: {line}"))
        };
        Ok(Memory { resident: figure("status", "VmRSS:")?, proportional: figure("smaps_rollup", "Pss:")? })
    }
}
