//! Connections per second and throughput, each against the bare libraries.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::aim::Aim;
use crate::client::{Dialer, Transport};
use crate::compare::{Cost, compare};
use crate::exchange::Exchange;
use crate::report::Report;
use crate::tls::{Client, SERVER_SEED};
use crate::{bare, ours};

/// How long each of the six comparisons may take.
const BUDGET: Duration = Duration::from_secs(20);
/// What one leg does: little, so that there are many rounds.
const CONNECTIONS: u64 = 80;
const MIB: u64 = 64;

/// What dispatch and [`alknet_core::Connection`] may cost over quinn.
const QUIC_AIM: Aim = Aim::AtLeast(0.98);

pub(crate) fn measure(report: &mut Report, wanted: impl Fn(&str) -> bool) {
    let transfers = [("upload", Exchange::Upload(MIB << 20)), ("download", Exchange::Download(MIB << 20))];
    for (protocol, peer, transport, aim) in
        [("quic", "quinn", Transport::Quic, Some(QUIC_AIM)), ("tls/tcp", "tokio-rustls", Transport::Tcp, None)]
    {
        let name = format!("{protocol} connections");
        if wanted(&name) {
            let pair = Pair::start(transport, Client::Stranger);
            let leg = |side: &Side| {
                side.cost(|| pair.client.block_on(pair.dialer.connections(transport, side.address, CONNECTIONS)))
            };
            let comparison = compare(BUDGET, CONNECTIONS as f64, || leg(&pair.ours), || leg(&pair.bare));
            report.comparison(&name, peer, "per second", aim, comparison);
        }
        for (direction, exchange) in transfers {
            let name = format!("{protocol} {direction}");
            if wanted(&name) {
                let pair = Pair::start(transport, Client::Peer);
                let leg = |side: &Side| {
                    side.cost(|| pair.client.block_on(pair.dialer.transfer(transport, side.address, exchange)))
                };
                let comparison = compare(BUDGET, MIB as f64, || leg(&pair.ours), || leg(&pair.bare));
                report.comparison(&name, peer, "MiB per second", aim, comparison);
            }
        }
    }
}

/// Both servers and their client, each with one thread: on a machine with two cores neither side of a connection waits
/// for the other's.
struct Pair {
    ours: Side,
    bare: Side,
    client: Runtime,
    dialer: Dialer,
    _endpoint: alknet_core::Endpoint,
}

impl Pair {
    fn start(transport: Transport, client: Client) -> Self {
        let (ours, bare) = (server_runtime(), server_runtime());
        let (endpoint, our_address) = ours::serve(&ours, bare::ALPN);
        let bare_address = match transport {
            Transport::Quic => bare::serve_quic(&bare, client),
            Transport::Tcp => bare::serve_tcp(&bare, client),
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let inside = runtime.enter();
        let dialer = Dialer::new(bare::ALPN, client, &SERVER_SEED);
        drop(inside);
        let (ours, bare) = (Side::new(our_address, ours), Side::new(bare_address, bare));
        Self { ours, bare, client: runtime, dialer, _endpoint: endpoint }
    }
}

fn server_runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A server and its thread.
struct Side {
    address: SocketAddr,
    /// The kernel's account of the thread (proc_pid_schedstat(5)): the first figure is nanoseconds on the processor.
    account: PathBuf,
    _runtime: Runtime,
}

impl Side {
    fn new(address: SocketAddr, runtime: Runtime) -> Self {
        let thread = runtime.block_on(runtime.spawn(async { fs::read_link("/proc/thread-self").unwrap() })).unwrap();
        Self { address, account: PathBuf::from("/proc").join(thread).join("schedstat"), _runtime: runtime }
    }

    fn cost(&self, work: impl FnOnce() -> Duration) -> Cost {
        let before = self.on_processor();
        let time = work();
        Cost { time, server: self.on_processor() - before }
    }

    fn on_processor(&self) -> Duration {
        let account = fs::read_to_string(&self.account).unwrap();
        Duration::from_nanos(account.split_whitespace().next().unwrap().parse().unwrap())
    }
}
