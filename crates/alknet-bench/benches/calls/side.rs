//! The sides: which there are, their servers and their clients.

use std::io::BufReader;
use std::path::Path;

use alknet_core::TransportChoice;

use crate::again::{again, line_of, tell, wait_for_the_end_of_input};
use crate::caller::Asked;
use crate::grpc::{self, Grpc};
use crate::nats::{self, Nats};
use crate::ours::{self, Ours};
use crate::process;
use crate::report::{Contestant, Role};
use crate::running::Running;
use crate::runtime;

/// The hidden argument with which this program is a server and nothing else.
pub(crate) const SERVE: &str = "--serve-calls";

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    OursOverTls,
    OursOverQuic,
    Grpc,
    Nats,
}

impl Side {
    pub(crate) const ALL: [Self; 4] = [Self::OursOverTls, Self::OursOverQuic, Self::Grpc, Self::Nats];

    pub(crate) fn by_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|side| side.name() == name).unwrap()
    }

    /// Starts its server in processes of its own, with the certificate of `folder` or a file there for its configuration.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn start(self, folder: &Path) -> Result<Server, String> {
        let mut processes = Vec::new();
        let mut nats_address = String::new();
        if self == Self::Nats {
            let server = nats::Server::start(folder)?;
            (processes, nats_address) = (vec![server.running], server.address);
        }
        let (running, address) = self.start_ourselves(folder, &nats_address)?;
        processes.push(running);
        Ok(Server { processes, address })
    }

    /// This program again, which writes its address when it serves.
    fn start_ourselves(self, folder: &Path, nats_address: &str) -> Result<(Running, String), String> {
        let mut child = again(&[SERVE, self.name(), folder.to_str().unwrap(), nats_address])?;
        let line = line_of(&mut BufReader::new(child.0.stdout.as_mut().unwrap()))?;
        Ok((child, line))
    }

    /// Connects, within a runtime.
    pub(crate) async fn connect(self, address: &str, folder: &Path) -> Box<dyn Asked> {
        match self {
            Self::OursOverTls => Box::new(Ours::connect(address, TransportChoice::Tcp).await),
            Self::OursOverQuic => Box::new(Ours::connect(address, TransportChoice::Quic).await),
            Self::Grpc => Box::new(Grpc::connect(address, folder).await),
            Self::Nats => Box::new(Nats::connect(address, folder).await),
        }
    }
}

impl Contestant for Side {
    fn name(self) -> &'static str {
        match self {
            Self::OursOverTls => "alknet over TLS",
            Self::OursOverQuic => "alknet over QUIC",
            Self::Grpc => "tonic over TLS",
            Self::Nats => "NATS over TLS",
        }
    }

    fn role(self) -> Role {
        match self {
            Self::OursOverTls => Role::Ours,
            Self::OursOverQuic => Role::Beside,
            Self::Grpc | Self::Nats => Role::Peer,
        }
    }
}

/// A server that runs.
pub(crate) struct Server {
    processes: Vec<Running>,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn on_processor(&self) -> f64 {
        self.processes.iter().map(|running| process::on_processor(running.0.id()).as_secs_f64()).sum()
    }

    pub(crate) fn resident(&self) -> f64 {
        self.processes.iter().map(|running| process::resident(running.0.id())).sum()
    }
}

/// The body of a server's process.
pub(crate) fn serve_until_killed(arguments: &[String]) {
    let [name, folder, nats_address] = arguments else { panic!("{SERVE} SIDE FOLDER NATS-ADDRESS") };
    let folder = Path::new(folder);
    runtime().block_on(async {
        let mut endpoint = None;
        let address = match Side::by_name(name) {
            Side::OursOverTls | Side::OursOverQuic => {
                let (started, address) = ours::serve();
                endpoint = Some(started);
                address
            }
            Side::Grpc => grpc::serve(folder),
            Side::Nats => {
                nats::respond(nats_address, folder).await;
                nats_address.clone()
            }
        };
        tell(&address);
        wait_for_the_end_of_input().await;
        drop(endpoint);
    });
}
