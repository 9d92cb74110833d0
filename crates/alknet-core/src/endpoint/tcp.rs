//! TLS over TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::LazyConfigAcceptor;

use super::Shared;
use super::admission::{Permit, Verdict};
use super::serve::{Established, spawn};
use crate::tls::{ClientHelloInfo, fingerprints_of};
use crate::{Alpn, Connection, SingleStream};

/// How long to wait when the system cannot give another socket.
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

/// What a client speaks that names no protocol.
const HTTP_1_1: &str = "http/1.1";
/// The content type of a record that carries a handshake message (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

pub(crate) async fn accept_loop(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.draining.cancelled() => return,
        };
        match accepted {
            Ok((stream, remote)) => accept(&shared, stream, remote),
            Err(error) if is_about_one_client(&error) => {}
            Err(error) => {
                tracing::warn!("cannot accept a TCP connection: {error}");
                tokio::time::sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
}

/// `accept` also reports errors of the connection that it would have returned (accept(2)).
fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn accept(shared: &Arc<Shared>, stream: TcpStream, remote: SocketAddr) {
    let remote = super::canonical(remote);
    match shared.admission.admit(remote.ip(), true) {
        Verdict::Admit(permit) => {
            let task_shared = shared.clone();
            spawn(shared, Box::pin(async move { handshake(&task_shared, stream, remote, permit).await }));
        }
        Verdict::Refuse(refusal) => {
            tracing::debug!(%remote, transport = "tls", "refused: {} reached", refusal.setting())
        }
        // Only QUIC's addresses are in doubt.
        Verdict::Validate => {}
    }
}

async fn handshake(shared: &Shared, stream: TcpStream, remote: SocketAddr, permit: Permit) -> Option<Established> {
    let failed = |reason: &str, hello: Option<&ClientHelloInfo>| shared.refusals.log(remote, "tls", hello, reason);
    let mut hello = None;
    match tokio::time::timeout(shared.limits.handshake_timeout(), negotiate(shared, stream, &mut hello)).await {
        Ok(Ok(Some(stream))) => {
            let (socket, session) = stream.get_ref();
            let local = socket.local_addr().ok().map(super::canonical);
            let alpn = session.alpn_protocol().map_or_else(|| Alpn::new(HTTP_1_1), Alpn::new).ok()?;
            let fingerprints = session.peer_certificates().map(fingerprints_of).unwrap_or_default();
            let transport = Box::new(SingleStream::new("tls", stream).at(local));
            Some(Established { transport, alpn, remote, fingerprints, permit })
        }
        Ok(Ok(None)) => {
            failed("it speaks no TLS", None);
            None
        }
        Ok(Err(error)) => {
            failed(&error.to_string(), hello.as_ref());
            None
        }
        Err(_) => {
            failed("it took too long", hello.as_ref());
            None
        }
    }
}

/// The handshake. None if the client speaks something else, and has been told so.
async fn negotiate(
    shared: &Shared,
    stream: TcpStream,
    hello: &mut Option<ClientHelloInfo>,
) -> io::Result<Option<tokio_rustls::server::TlsStream<TcpStream>>> {
    if let Some(handler) = shared.registry.handler(HTTP_1_1.as_bytes()).filter(|handler| handler.answers_plaintext())
        && !begins_like_tls(&stream).await?
    {
        let alpn = Alpn::new(HTTP_1_1).map_err(io::Error::other)?;
        let local = stream.local_addr().ok().map(super::canonical);
        handler.handle_plaintext(Connection::new(SingleStream::new("tcp", stream).at(local), alpn)).await;
        return Ok(None);
    }
    let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    let info = hello.insert(ClientHelloInfo::of(&start.client_hello()));
    let config = shared.tls().tcp(info);
    start.into_stream(config).await.map(Some)
}

/// Looks at the first byte, which belongs to TLS's record layer and not yet to any protocol above it.
async fn begins_like_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    let read = stream.peek(&mut first).await?;
    // A handshake record, or the ClientHello of SSL 2.0, which gets an alert as well.
    Ok(read == 0 || first == [HANDSHAKE_RECORD] || first.iter().any(|byte| byte & 0x80 != 0))
}
