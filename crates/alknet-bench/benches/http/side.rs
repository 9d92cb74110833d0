//! The sides, and their servers.

use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use alknet_core::Token;

use crate::again::{again, line_of};
use crate::certificate::{certificate_file, key_file};
use crate::nginx::Nginx;
use crate::node::{Node, VaultKind, alknet};
use crate::report::{Contestant, Role};
use crate::running::Running;
use crate::{WORKERS, bare, process};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Nginx,
    Bare,
}

impl Contestant for Side {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "alknet",
            Self::Nginx => "nginx",
            Self::Bare => "bare axum",
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Ours => Role::Ours,
            Self::Nginx => Role::Peer,
            Self::Bare => Role::Below,
        }
    }
}

/// A server that runs.
pub(crate) struct Server {
    process: Process,
    pub(crate) address: SocketAddr,
}

enum Process {
    /// The folder of the node is as long there as its process.
    Ours {
        running: Running,
        _node: Node,
    },
    Nginx(Nginx),
    /// This program again.
    Again(Running),
}

impl Server {
    /// The program `alknet`, with a peer that has that token.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn ours(folder: &Path, token: &Token) -> Result<Self, String> {
        let sections = format!(
            "[http]\nenable = true\n\
             [[peers]]\nid = \"bench\"\ntoken_sha256 = \"{}\"\n\
             [[endpoint.certificates]]\ncertificate = {:?}\nkey = {:?}\n",
            token.hash(),
            certificate_file(folder),
            key_file(folder),
        );
        let node = Node::new(&alknet()?, VaultKind::RandomPassphrase, &sections);
        let mut node = node.map_err(|error| error.to_string())?;
        node.workers = Some(WORKERS);
        let (running, _) = node.start()?;
        Ok(Self { address: node.address, process: Process::Ours { running, _node: node } })
    }

    /// nginx, with the answer of `folder`.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn nginx(folder: &Path) -> Result<Self, String> {
        let (nginx, address) = Nginx::start(folder)?;
        Ok(Self { process: Process::Nginx(nginx), address })
    }

    /// The bare axum, with the answer of `folder`, for clients with that token.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn bare(folder: &Path, token: &Token) -> Result<Self, String> {
        Self::again(&[bare::SERVE, folder.to_str().unwrap(), token.reveal()])
    }

    /// This program again, which writes its address when it serves.
    pub(crate) fn again(arguments: &[&str]) -> Result<Self, String> {
        let mut running = again(arguments)?;
        let line = line_of(&mut BufReader::new(running.0.stdout.as_mut().unwrap()))?;
        let address = line.parse().map_err(|_| format!("{line}: that is no address"))?;
        Ok(Self { process: Process::Again(running), address })
    }

    pub(crate) fn id(&self) -> u32 {
        let (Process::Ours { running, .. } | Process::Nginx(Nginx { running, .. }) | Process::Again(running)) =
            &self.process;
        running.0.id()
    }

    /// What it has used of the processor, its children included, in seconds.
    pub(crate) fn on_processor(&self) -> f64 {
        let all = std::iter::once(self.id()).chain(process::children(self.id()));
        all.map(process::on_processor).sum::<Duration>().as_secs_f64()
    }
}
