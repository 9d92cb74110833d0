//! The other side: the same exchange on quinn and on tokio-rustls, written as their own examples are.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::exchange::answer;
use crate::tls::{Client, server_config, transport_config};

/// The hidden argument with which this program is a bare server and nothing else.
pub(crate) const CHILD: &str = "--serve-bare";
/// The ALPN of the servers without an `Endpoint`.
pub(crate) const ALPN: &str = "bench";

/// Starts quinn on the port that it returns.
pub(crate) fn serve_quic(runtime: &Runtime, client: Client) -> SocketAddr {
    let crypto = QuicServerConfig::try_from(server_config(ALPN, client)).unwrap();
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(transport_config(client));
    let _inside = runtime.enter();
    let endpoint = quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = endpoint.local_addr().unwrap();
    runtime.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await?;
                while let Ok((send, recv)) = connection.accept_bi().await {
                    let _ = answer(&mut tokio::io::join(recv, send)).await;
                }
                Ok::<_, quinn::ConnectionError>(())
            });
        }
    });
    address
}

/// Starts tokio-rustls on the port that it returns.
pub(crate) fn serve_tcp(runtime: &Runtime, client: Client) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(ALPN, client)));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let mut stream = acceptor.accept(stream).await?;
                answer(&mut stream).await
            });
        }
    });
    address
}

/// The body of the child whose memory is measured: writes its two addresses, QUIC's first, and serves.
pub(crate) fn serve_until_killed() {
    let runtime = Runtime::new().unwrap();
    let quic = serve_quic(&runtime, Client::Stranger);
    let tcp = serve_tcp(&runtime, Client::Stranger);
    println!("{quic} {tcp}");
    std::io::stdout().flush().unwrap();
    runtime.block_on(std::future::pending::<()>());
}
