//! The port: binds it on UDP and TCP, does the handshakes, and gives each connection to its ALPN's handler.
//!
//! Order of shutdown: the sockets take no new client; handlers learn of it through [`Connection::draining`]; whoever is
//! not done when the drain time is over has its connection closed with [`CloseCode::SHUTTING_DOWN`], and half a second
//! later its future dropped.
//!
//! [`Connection::draining`]: crate::Connection::draining

mod admission;
mod bind;
mod buffers;
mod limits;
mod live;
mod quic;
mod refusals;
mod serve;
mod tcp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use bind::BindError;
pub(crate) use buffers::enlarge;
pub use limits::Limits;
pub(crate) use quic::{negotiated_alpn, transport_config};

use crate::tls::{PerConnection, ServerConfigs};
use crate::{Certificates, CloseCode, HandlerRegistry, IdentityProvider, NodeKey};
use admission::Admission;
use live::Live;
pub use live::OpenConnection;
use refusals::Refusals;

/// How long handlers get to end once their connections are closed.
const END: Duration = Duration::from_secs(1);
/// How long the last packets of closed connections get to leave. Should they get lost, the peers find out by their idle
/// time-outs.
const FAREWELL: Duration = Duration::from_millis(100);

/// What an endpoint is made of.
#[non_exhaustive]
pub struct EndpointConfig {
    /// The addresses, each of them bound as UDP and as TCP. Port 0 lets the system choose one port for both.
    pub listen: Vec<SocketAddr>,
    /// What strangers can make it hold.
    pub limits: Limits,
    /// The node's identity.
    pub key: NodeKey,
    /// Certificates of domains, for clients that know no raw public keys.
    pub certificates: Arc<Certificates>,
    /// Who serves what.
    pub registry: Arc<HandlerRegistry>,
    /// Who is who.
    pub identities: Arc<dyn IdentityProvider>,
}

impl EndpointConfig {
    /// The default limits, and no domain certificates.
    pub fn new(
        listen: Vec<SocketAddr>,
        key: NodeKey,
        registry: Arc<HandlerRegistry>,
        identities: Arc<dyn IdentityProvider>,
    ) -> Self {
        let (limits, certificates) = (Limits::default(), Arc::new(Certificates::none()));
        Self { listen, limits, key, certificates, registry, identities }
    }
}

/// A bound port. It serves until [`Endpoint::shutdown`]; dropping it stops accepting and asks the handlers to finish.
pub struct Endpoint {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    quic: Vec<quinn::Endpoint>,
}

/// What the tasks of an endpoint have in common.
pub(crate) struct Shared {
    limits: Limits,
    key: NodeKey,
    certificates: Arc<Certificates>,
    registry: Arc<HandlerRegistry>,
    identities: Arc<dyn IdentityProvider>,
    tls: ArcSwap<CurrentTls>,
    quic_config: quinn::ServerConfig,
    admission: Arc<Admission>,
    live: Live,
    refusals: Refusals,
    draining: CancellationToken,
    tasks: TaskTracker,
}

/// TLS configurations with the ALPN list of one generation of the registry.
struct CurrentTls {
    generation: u64,
    configs: Arc<ServerConfigs>,
}

impl Endpoint {
    /// Binds every address, or none, and serves from then on. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the TLS identity cannot be used.
    pub fn bind(config: EndpointConfig) -> Result<Self, BindError> {
        let EndpointConfig { listen, limits, key, certificates, registry, identities } = config;
        let generation = registry.generation();
        let configs = ServerConfigs::new(&key, &certificates, &registry.alpns());
        let configs = Arc::new(configs.map_err(|error| BindError::Tls(error.into()))?);
        let mut quic_config = quinn::ServerConfig::with_crypto(PerConnection::new(configs.clone()));
        quic_config.transport_config(Arc::new(quic::server_transport_config(&limits)));
        let shared = Arc::new(Shared {
            admission: Admission::new(&limits),
            limits,
            key,
            certificates,
            registry,
            identities,
            tls: ArcSwap::from_pointee(CurrentTls { generation, configs }),
            quic_config,
            live: Live::default(),
            refusals: Refusals::new(),
            draining: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let mut endpoint = Self { shared, addresses: Vec::new(), quic: Vec::new() };
        let bound = bind::bind_all(&listen)?;
        buffers::report(bound.iter().map(|sockets| sockets.buffers));
        for sockets in bound {
            endpoint.serve(sockets)?;
        }
        tokio::spawn(watch_revocations(endpoint.shared.clone()));
        Ok(endpoint)
    }

    fn serve(&mut self, sockets: bind::Sockets) -> Result<(), BindError> {
        let address = sockets.address;
        let failed = |transport| move |source| BindError::Socket { address, transport, source };
        let listener = tokio::net::TcpListener::from_std(sockets.tcp).map_err(failed("TCP"))?;
        let quic = quinn::Endpoint::new(
            quic::endpoint_config(&self.shared.key),
            Some(self.shared.quic_config.clone()),
            sockets.udp,
            Arc::new(quinn::TokioRuntime),
        )
        .map_err(failed("UDP"))?;
        tokio::spawn(tcp::accept_loop(self.shared.clone(), listener));
        tokio::spawn(quic::accept_loop(self.shared.clone(), quic.clone()));
        self.addresses.push(address);
        self.quic.push(quic);
        Ok(())
    }

    /// The addresses that it listens on, with the port that the system chose where it was asked to.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Connections at this moment, handshakes included.
    pub fn connections(&self) -> usize {
        self.shared.admission.connections()
    }

    /// A handle that tells how the endpoint does, for as long as anybody wants to know.
    pub fn status(&self) -> EndpointStatus {
        EndpointStatus { shared: self.shared.clone(), addresses: self.addresses.clone() }
    }

    /// Stops accepting, asks the handlers to finish, and closes what is left after `drain`. Says whether all had
    /// finished by themselves.
    pub async fn shutdown(&self, drain: Duration) -> bool {
        self.shared.draining.cancel();
        self.shared.tasks.close();
        let drained = tokio::time::timeout(drain, self.shared.tasks.wait()).await.is_ok();
        if !drained {
            self.shared.live.close_all(CloseCode::SHUTTING_DOWN, "the node shuts down");
            let _ = tokio::time::timeout(END, self.shared.tasks.wait()).await;
        }
        for quic in &self.quic {
            quic.close(CloseCode::SHUTTING_DOWN.value().into(), b"the node shuts down");
            let _ = tokio::time::timeout(FAREWELL, quic.wait_idle()).await;
        }
        drained
    }
}

/// How an endpoint does.
pub struct EndpointStatus {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
}

impl EndpointStatus {
    /// As [`Endpoint::local_addresses`].
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// As [`Endpoint::connections`].
    pub fn connections(&self) -> usize {
        self.shared.admission.connections()
    }

    /// The newest connections whose handshake is done, up to `most` of them, the newest first; and how many there are in all.
    pub fn newest_connections(&self, most: usize) -> (Vec<OpenConnection>, usize) {
        self.shared.live.newest(most)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.draining.cancel();
    }
}

impl Shared {
    /// The TLS configurations for a new handshake. A change of the registry is seen here, by the first handshake after
    /// it.
    fn tls(&self) -> Arc<ServerConfigs> {
        let current = self.tls.load();
        let generation = self.registry.generation();
        if current.generation == generation {
            return current.configs.clone();
        }
        match ServerConfigs::new(&self.key, &self.certificates, &self.registry.alpns()) {
            Ok(configs) => {
                let configs = Arc::new(configs);
                self.tls.store(Arc::new(CurrentTls { generation, configs: configs.clone() }));
                configs
            }
            Err(error) => {
                tracing::error!("the ALPN list cannot be changed: {error}");
                current.configs.clone()
            }
        }
    }
}

async fn watch_revocations(shared: Arc<Shared>) {
    let mut changes = shared.identities.changes();
    loop {
        tokio::select! {
            changed = changes.changed() => match changed {
                Ok(()) => shared.live.cut_off_revoked(),
                Err(_) => return,
            },
            () = shared.draining.cancelled() => return,
        }
    }
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
