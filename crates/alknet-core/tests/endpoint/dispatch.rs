//! One port, many protocols: dispatch by ALPN, handlers that change while the node runs, and failures that stay where
//! they happen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::common::*;
use alknet_core::*;

#[tokio::test]
async fn each_alpn_reaches_its_handler_over_both_transports_on_one_port() {
    let node = Node::start();
    node.registry.add(Failing::handler("other")).unwrap();
    for transport in BOTH {
        let connection = node.dial("echo", transport).await.unwrap();
        assert_eq!(connection.alpn(), &alpn("echo"));
        assert_eq!(echo(&connection, "hello").await.unwrap(), "anonymous");
        let connection = node.dial("other", transport).await.unwrap();
        assert!(echo(&connection, "hello").await.is_err());
    }
}

#[tokio::test]
async fn quic_carries_many_streams_and_tcp_says_that_it_carries_one() {
    let node = Node::start();
    let quic = node.dial("echo", TransportChoice::Quic).await.unwrap();
    let large = "x".repeat(1_000_000);
    let (a, b, c) = tokio::join!(echo(&quic, "a"), echo(&quic, &large), echo(&quic, "c"));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());

    let tcp = node.dial("echo", TransportChoice::Tcp).await.unwrap();
    echo(&tcp, &large).await.unwrap();
    let error = tcp.open_bi().await.err().unwrap().to_string();
    assert!(error.contains("a tls connection carries a single stream"), "{error}");
}

#[tokio::test]
async fn an_unknown_alpn_is_refused_by_name() {
    let node = Node::start();
    for transport in BOTH {
        let error = node.dial("no/such", transport).await.err().unwrap();
        assert!(matches!(error, DialError::NoSuchAlpn { .. }), "{transport:?}: {error}");
        assert!(error.to_string().ends_with("does not serve the ALPN \"no/such\""));
    }
    echo(&node.dial("echo", TransportChoice::Auto).await.unwrap(), "still serving").await.unwrap();
}

#[tokio::test]
async fn handlers_come_and_go_on_a_live_endpoint() {
    let node = Node::start();
    for transport in BOTH {
        let open = node.dial("echo", transport).await.unwrap();
        assert!(node.dial("late", transport).await.is_err());
        node.registry.add(Echo::handler("late")).unwrap();
        echo(&node.dial("late", transport).await.unwrap(), "added").await.unwrap();

        node.registry.replace(Failing::handler("late")).unwrap();
        assert!(echo(&node.dial("late", transport).await.unwrap(), "replaced").await.is_err());

        node.registry.remove(&alpn("late")).unwrap();
        assert!(matches!(node.dial("late", transport).await, Err(DialError::NoSuchAlpn { .. })));
        echo(&open, "never disturbed").await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_or_an_error_ends_its_own_connection_and_nothing_else() {
    let node = Node::start();
    node.registry.add(Failing::handler("failing")).unwrap();
    node.registry.add(Arc::new(Panicking)).unwrap();
    for transport in BOTH {
        let bystander = node.dial("echo", transport).await.unwrap();
        for name in ["failing", "panicking"] {
            let connection = node.dial(name, transport).await.unwrap();
            assert!(echo(&connection, "hello").await.is_err(), "{name}");
        }
        echo(&bystander, "unharmed").await.unwrap();
    }
    until("the failed connections are gone", || node.endpoint.connections() == 0).await;
}

#[tokio::test]
async fn shutdown_lets_handlers_finish_what_they_have() {
    let node = Node::start();
    for transport in BOTH {
        let connection = node.dial("echo", transport).await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap().split();
        tokio::io::AsyncWriteExt::write_all(&mut send, b"begun ").await.unwrap();
        // The handler has the stream: its first line has come.
        assert!(recv.read_chunk(1024).await.unwrap().is_some());
        CONNECTIONS.lock().await.push((connection, send, recv));
    }
    let shutdown = node.endpoint.shutdown(PATIENCE);
    let finish = async {
        for (_connection, send, recv) in CONNECTIONS.lock().await.iter_mut() {
            send.write_chunk("and done".into()).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(send).await.unwrap();
            let mut rest = String::new();
            tokio::io::AsyncReadExt::read_to_string(recv, &mut rest).await.unwrap();
            assert!(rest.ends_with("and done"), "{rest:?}");
        }
    };
    let (drained, ()) = tokio::join!(shutdown, finish);
    assert!(drained, "all handlers finished by themselves");
}

static CONNECTIONS: tokio::sync::Mutex<Vec<(Connection, SendStream, RecvStream)>> =
    tokio::sync::Mutex::const_new(Vec::new());

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let node = Node::start();
    let dropped = Arc::new(AtomicBool::new(false));
    node.registry.add(Arc::new(Stubborn(dropped.clone()))).unwrap();
    let quic = node.dial("stubborn", TransportChoice::Quic).await.unwrap();
    let tcp = node.dial("stubborn", TransportChoice::Tcp).await.unwrap();
    until("both are served", || node.endpoint.connections() == 2).await;
    assert!(!node.endpoint.shutdown(std::time::Duration::from_millis(10)).await);
    let reason = quic.closed().await;
    assert!(matches!(&reason, ConnectionError::ClosedByPeer { code: 1, .. }), "{reason}");
    assert!(dropped.load(Ordering::SeqCst), "the handler's future was dropped");
    assert!(echo(&tcp, "x").await.is_err());
    assert!(node.dial("echo", TransportChoice::Tcp).await.is_err(), "nothing is accepted any more");
}

struct Failing(Alpn);

impl Failing {
    fn handler(name: &str) -> Arc<dyn ProtocolHandler> {
        Arc::new(Self(alpn(name)))
    }
}

impl ProtocolHandler for Failing {
    fn alpns(&self) -> Vec<Alpn> {
        vec![self.0.clone()]
    }

    fn handle(self: Arc<Self>, _: Connection, _: AuthContext) -> BoxFuture<'static, Result<(), HandlerError>> {
        Box::pin(async { Err(HandlerError::PeerMisbehaved("as expected by the test".into())) })
    }
}

struct Panicking;

impl ProtocolHandler for Panicking {
    fn alpns(&self) -> Vec<Alpn> {
        vec![alpn("panicking")]
    }

    fn handle(self: Arc<Self>, _: Connection, _: AuthContext) -> BoxFuture<'static, Result<(), HandlerError>> {
        Box::pin(async { panic!("as expected by the test") })
    }
}

/// Ignores every request to stop.
struct Stubborn(Arc<AtomicBool>);

impl ProtocolHandler for Stubborn {
    fn alpns(&self) -> Vec<Alpn> {
        vec![alpn("stubborn")]
    }

    fn handle(self: Arc<Self>, _: Connection, _: AuthContext) -> BoxFuture<'static, Result<(), HandlerError>> {
        struct OnDrop(Arc<AtomicBool>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let guard = OnDrop(self.0.clone());
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(())
        })
    }
}
