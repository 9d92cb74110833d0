//! Binds each address as a UDP and a TCP socket of the same port number.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::buffers::{self, Buffers};

/// How often a free port is looked for when the configuration leaves the choice to the system: the port that TCP gets
/// may be taken on UDP.
const FREE_PORT_TRIES: usize = 32;
const TCP_BACKLOG: i32 = 1024;
/// After that long a silence TCP asks whether the peer is still there, so that the connections of known peers, which
/// may be silent for good, end when the peer is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

pub(crate) struct Sockets {
    pub(crate) tcp: TcpListener,
    pub(crate) udp: UdpSocket,
    pub(crate) buffers: Buffers,
    pub(crate) address: SocketAddr,
}

/// Binds all of `addresses`, or none.
pub(crate) fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<Sockets>, BindError> {
    if addresses.is_empty() {
        return Err(BindError::NoAddress);
    }
    addresses.iter().map(|address| bind(*address, is_dual_stack(*address, addresses))).collect()
}

/// `[::]` takes IPv4 clients too, unless IPv4 on that port is asked for on its own.
fn is_dual_stack(address: SocketAddr, all: &[SocketAddr]) -> bool {
    address.ip().is_unspecified() && !all.iter().any(|other| other.is_ipv4() && other.port() == address.port())
}

fn bind(address: SocketAddr, dual_stack: bool) -> Result<Sockets, BindError> {
    let tries = if address.port() == 0 { FREE_PORT_TRIES } else { 1 };
    let mut result = Err(BindError::NoAddress);
    for _ in 0..tries {
        result = bind_once(address, dual_stack);
        if !matches!(&result, Err(BindError::Socket { source, .. }) if source.kind() == io::ErrorKind::AddrInUse) {
            break;
        }
    }
    result
}

fn bind_once(address: SocketAddr, dual_stack: bool) -> Result<Sockets, BindError> {
    let failed = |transport: &'static str| move |source| BindError::Socket { address, transport, source };
    let tcp: TcpListener = tcp_socket(address, dual_stack).map_err(failed("TCP"))?.into();
    let local = tcp.local_addr().map_err(failed("TCP"))?;
    let udp: UdpSocket = udp_socket(local, dual_stack).map_err(failed("UDP"))?.into();
    let buffers = buffers::enlarge(&udp);
    Ok(Sockets { tcp, udp, buffers, address: local })
}

fn tcp_socket(address: SocketAddr, dual_stack: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // Old connections in TIME_WAIT must not keep a restarted node from its port.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit both, which saves three system calls for each connection.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
    bind_to(&socket, address, dual_stack)?;
    socket.listen(TCP_BACKLOG)?;
    Ok(socket)
}

fn udp_socket(address: SocketAddr, dual_stack: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    bind_to(&socket, address, dual_stack)?;
    Ok(socket)
}

fn bind_to(socket: &Socket, address: SocketAddr, dual_stack: bool) -> io::Result<()> {
    if matches!(address.ip(), IpAddr::V6(_)) {
        socket.set_only_v6(!dual_stack)?;
    }
    socket.bind(&address.into())
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Nothing to listen on.
    #[error("there is no address to listen on; the usual one is [::]:4433")]
    NoAddress,
    /// The system refuses.
    #[error("cannot listen on {address} ({transport}){}", advice(source, address))]
    Socket {
        /// The address asked for.
        address: SocketAddr,
        /// UDP or TCP.
        transport: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS identity cannot be used.
    #[error("the TLS identity cannot be used")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn advice(error: &io::Error, address: &SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(": another program has port {}; find it with `ss -lntup sport = :{0}`", address.port())
        }
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            ": ports below 1024 need the capability CAP_NET_BIND_SERVICE".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => ": no interface of this machine has that address".to_owned(),
        // EAFNOSUPPORT
        _ if address.is_ipv6() && error.raw_os_error() == Some(97) => {
            format!(": this machine has no IPv6; listen on 0.0.0.0:{} instead", address.port())
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn udp_and_tcp_have_one_port_number() {
        let sockets = bind_all(&[address("127.0.0.1:0"), address("[::1]:0")]).unwrap();
        for socket in &sockets {
            assert_ne!(socket.address.port(), 0);
            assert_eq!(socket.udp.local_addr().unwrap(), socket.address);
            assert_eq!(socket.tcp.local_addr().unwrap(), socket.address);
        }
    }

    #[test]
    fn ipv6_any_takes_ipv4_unless_that_is_listed() {
        let (six, four) = (address("[::]:4433"), address("0.0.0.0:4433"));
        assert!(is_dual_stack(six, &[six]));
        assert!(!is_dual_stack(six, &[six, four]));
        assert!(is_dual_stack(six, &[six, address("0.0.0.0:443")]));
        assert!(!is_dual_stack(address("[::1]:4433"), &[six]));
        let sockets = bind_all(&[address("[::]:0")]).unwrap();
        std::net::TcpStream::connect(("127.0.0.1", sockets[0].address.port())).unwrap();
    }

    #[test]
    fn what_is_set_on_the_listener_holds_for_accepted_connections() {
        let sockets = bind_all(&[address("127.0.0.1:0")]).unwrap();
        let _client = std::net::TcpStream::connect(sockets[0].address).unwrap();
        let listener = &sockets[0].tcp;
        listener.set_nonblocking(false).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        assert!(accepted.nodelay().unwrap());
        let accepted = socket2::SockRef::from(&accepted);
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), KEEP_ALIVE);
    }

    #[test]
    fn a_port_in_use_is_named_with_its_transport() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind_all(&[address]).err().unwrap().to_string();
        assert!(error.contains(&format!("{address} (UDP): another program has port {}", address.port())), "{error}");
    }
}
