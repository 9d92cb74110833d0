//! What strangers can do to a node: nothing that others would notice.

use std::sync::Arc;
use std::time::Duration;

use super::common::*;
use alknet_core::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

async fn still_serves(node: &Node) {
    for transport in BOTH {
        echo(&node.dial("echo", transport).await.unwrap(), "still serving").await.unwrap();
    }
}

/// Waits until the node closes the connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    drop(read.expect("the node closes the connection"));
}

#[tokio::test]
async fn garbage_on_tcp_and_udp_is_turned_away() {
    let node = Node::start();
    let mut tcp = TcpStream::connect(node.address()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    closed(&mut tcp).await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for size in [0, 1, 20, 1200, 9000] {
        for first in [0x00, 0x40, 0xc0, 0xff] {
            udp.send_to(&vec![first; size], node.address()).await.unwrap();
        }
    }
    still_serves(&node).await;
}

/// Serves nothing, and says so to whoever forgot TLS.
struct Plain;

impl ProtocolHandler for Plain {
    fn alpns(&self) -> Vec<Alpn> {
        vec![alpn("http/1.1")]
    }

    fn handle(self: Arc<Self>, _: Connection, _: AuthContext) -> BoxFuture<'static, Result<(), HandlerError>> {
        Box::pin(async { Ok(()) })
    }

    fn answers_plaintext(&self) -> bool {
        true
    }

    fn handle_plaintext(self: Arc<Self>, client: Connection) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut stream = client.accept_bi().await.unwrap();
            let mut first = [0; 3];
            stream.read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"GET", "nothing of what the client sent is lost");
            stream.write_all(b"speak TLS").await.unwrap();
            stream.shutdown().await.unwrap();
        })
    }
}

#[tokio::test]
async fn whoever_forgets_tls_can_be_told() {
    let node = Node::start();
    node.registry.add(Arc::new(Plain)).unwrap();
    let mut tcp = TcpStream::connect(node.address()).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("the node closes the connection");
    assert_eq!(answer, b"speak TLS");
    until("the place is free again", || node.endpoint.connections() == 0).await;
    still_serves(&node).await;
}

#[tokio::test]
async fn a_client_that_never_finishes_its_handshake_is_closed() {
    let node = Node::with(|config| config.limits.handshake_timeout_seconds = 1);
    let mut silent = TcpStream::connect(node.address()).await.unwrap();
    let mut half = TcpStream::connect(node.address()).await.unwrap();
    // A record header that announces 512 bytes, and two of them.
    half.write_all(&[22, 3, 1, 2, 0, 1, 0]).await.unwrap();
    until("both hold a place", || node.endpoint.connections() == 2).await;
    closed(&mut silent).await;
    closed(&mut half).await;
    until("the places are free again", || node.endpoint.connections() == 0).await;
    still_serves(&node).await;
}

/// A relay that lets the first `packets` of clients through to the node, and none back.
async fn one_way_to(node: &Node, packets: usize) -> std::net::SocketAddr {
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, node) = (relay.local_addr().unwrap(), node.address());
    tokio::spawn(async move {
        let onwards = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut packet = [0; 2000];
        for _ in 0..packets {
            let length = relay.recv(&mut packet).await.unwrap();
            onwards.send_to(&packet[..length], node).await.unwrap();
        }
        // The port stays taken, so that nobody is told that it is closed.
        std::future::pending::<()>().await;
        drop(relay);
    });
    address
}

#[tokio::test]
async fn a_quic_client_that_never_finishes_its_handshake_is_dropped() {
    let node = Node::with(|config| config.limits.handshake_timeout_seconds = 1);
    // With a post-quantum key share the ClientHello takes two packets.
    let destination = Destination { address: one_way_to(&node, 2).await.to_string(), ..node.destination() };
    let _dialing = tokio::spawn(async move {
        Dialer::new(None).dial(&destination, &alpn("echo"), TransportChoice::Quic, PATIENCE).await.is_ok()
    });
    until("it holds a place", || node.endpoint.connections() > 0).await;
    until("the place is free again", || node.endpoint.connections() == 0).await;
    still_serves(&node).await;
}

#[tokio::test]
async fn an_address_that_anyone_could_have_written_cannot_use_up_the_places_of_its_owner() {
    let node = Node::with(|config| {
        config.limits.max_connections_per_address = 8;
        config.limits.handshake_timeout_seconds = 300;
    });
    // Initial packets of many clients, none of which ever answers: what a spoofer can do in the name of 127.0.0.1.
    let destination = Destination { address: one_way_to(&node, usize::MAX).await.to_string(), ..node.destination() };
    let mut spoofed = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let destination = destination.clone();
        spoofed.spawn(async move {
            Dialer::new(None).dial(&destination, &alpn("echo"), TransportChoice::Quic, PATIENCE).await.is_ok()
        });
    }
    until("they hold what they can get", || node.endpoint.connections() == 4).await;
    still_serves(&node).await;
    until("only those are left", || node.endpoint.connections() == 4).await;
}

#[tokio::test]
async fn a_client_hello_may_come_byte_by_byte() {
    let node = Node::start();
    let tls = {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"echo".to_vec()];
        rustls::ClientConnection::new(config.into(), "x.example".try_into().unwrap())
    };
    let mut hello = Vec::new();
    tls.unwrap().write_tls(&mut hello).unwrap();
    let mut tcp = TcpStream::connect(node.address()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    for byte in hello {
        tcp.write_all(&[byte]).await.unwrap();
    }
    // A ServerHello comes back in a handshake record.
    assert_eq!(tcp.read_u8().await.unwrap(), 22);
}

#[tokio::test]
async fn one_address_cannot_take_all_places_and_others_do_not_notice() {
    let node = Node::with(|config| {
        config.listen = vec!["0.0.0.0:0".parse().unwrap()];
        config.limits.max_connections_per_address = 50;
    });
    let port = node.address().port();
    let greedy = async |_| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(format!("127.0.0.1:{port}").parse().unwrap()).await.ok()
    };
    let mut held = Vec::new();
    for n in 0..10_000 {
        let mut stream = greedy(n).await;
        // Those beyond the limit are closed at once; keeping them would only use up this process' own descriptors.
        if held.len() < 50 {
            held.extend(stream);
        } else if let Some(stream) = &mut stream {
            closed(stream).await;
        }
    }
    assert_eq!(node.endpoint.connections(), 50);
    let destination = Destination { address: format!("127.0.0.1:{port}"), ..node.destination() };
    for transport in BOTH {
        let other = Dialer::new(None).dial(&destination, &alpn("echo"), transport, PATIENCE).await.unwrap();
        echo(&other, "from another address").await.unwrap();
    }
    drop(held);
    until("the places are free again", || node.endpoint.connections() == 0).await;
}

#[tokio::test]
async fn quic_clients_prove_their_address_when_asked() {
    let node = Node::with(|config| config.limits.retry_above_handshakes = 0);
    echo(&node.dial("echo", TransportChoice::Quic).await.unwrap(), "after a Retry").await.unwrap();
}

#[tokio::test]
async fn a_stranger_that_does_nothing_is_closed_and_a_peer_is_not() {
    let node = Node::with(|config| config.limits.idle_timeout_seconds = 1);
    let alice = key(2);
    node.identities.set(vec![peer("alice", &alice)]).unwrap();
    let by_alice = node.dial_as(Some(alice), "echo", TransportChoice::Tcp).await.unwrap();
    let mut quiet = by_alice.open_bi().await.unwrap();
    let stranger = node.dial("echo", TransportChoice::Tcp).await.unwrap();
    let mut stream = stranger.open_bi().await.unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the stranger is closed");
    drop(end);
    quiet.write_all(b"x").await.unwrap();
    let mut answer = [0; 7];
    quiet.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"alice\nx");
}

#[tokio::test]
async fn a_port_in_use_is_said_and_the_other_node_goes_on() {
    let node = Node::start();
    let (registry, identities) = (node.registry.clone(), node.identities.clone());
    let config = EndpointConfig::new(vec![node.address()], key(2), registry, identities);
    let error = Endpoint::bind(config).err().unwrap().to_string();
    assert!(error.contains(&format!("another program has port {}", node.address().port())), "{error}");
    still_serves(&node).await;
}

#[tokio::test]
async fn ipv6_and_ipv4_share_the_port() {
    let node = Node::with(|config| config.listen = vec!["[::]:0".parse().unwrap()]);
    let port = node.address().port();
    for host in ["127.0.0.1", "[::1]"] {
        let destination = Destination { address: format!("{host}:{port}"), ..node.destination() };
        for transport in BOTH {
            let connection = Dialer::new(None).dial(&destination, &alpn("echo"), transport, PATIENCE).await.unwrap();
            echo(&connection, host).await.unwrap();
        }
    }
}

#[tokio::test]
async fn where_udp_is_blocked_tcp_takes_over() {
    // A UDP socket that never answers, on the port where TCP leads to the node.
    let node = Node::start();
    let tcp_only = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _blackhole = UdpSocket::bind(tcp_only.local_addr().unwrap()).await.unwrap();
    let address = tcp_only.local_addr().unwrap();
    let target = node.address();
    tokio::spawn(async move {
        let (mut inbound, _) = tcp_only.accept().await.unwrap();
        let mut outbound = TcpStream::connect(target).await.unwrap();
        tokio::io::copy_bidirectional(&mut inbound, &mut outbound).await.ok();
    });
    let destination = Destination { address: address.to_string(), ..node.destination() };
    let connection =
        Dialer::new(None).dial(&destination, &alpn("echo"), TransportChoice::Auto, PATIENCE).await.unwrap();
    assert_eq!(connection.transport_name(), "tls");
    echo(&connection, "over TCP").await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), connection.finish()).await.ok();
}
