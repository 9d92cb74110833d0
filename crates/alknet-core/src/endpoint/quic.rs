//! QUIC.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Incoming, VarInt};
use rustls::pki_types::CertificateDer;

use super::admission::{Permit, Verdict};
use super::serve::{Established, spawn};
use super::{Limits, Shared};
use crate::tls::{PerConnection, fingerprints_of};
use crate::{Alpn, Fingerprint, NodeKey, QuicTransport};

/// What a peer may have under way on one stream.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// What a known peer may have under way on all its streams, and a stranger on all of his.
const PEER_WINDOW: u32 = 16 * 1024 * 1024;
const STRANGER_WINDOW: u32 = 1024 * 1024;
/// quinn keeps a place for every stream that a peer may open, from the start: 20 KiB for 256 of them. A stranger gets few,
/// as many as fill a table of 16 places.
const STRANGER_STREAMS: u32 = 14;
/// What we keep for a peer until it has acknowledged it.
const SEND_WINDOW: u64 = 8 * 1024 * 1024;

/// QUIC's own settings for the side that accepts: what a stranger gets.
pub(crate) fn server_transport_config(limits: &Limits) -> quinn::TransportConfig {
    let mut config = transport_config(limits);
    let streams = limits.max_streams_per_connection.min(STRANGER_STREAMS);
    config.max_concurrent_bidi_streams(VarInt::from_u32(streams)).receive_window(VarInt::from_u32(STRANGER_WINDOW));
    config
}

/// QUIC's own settings, as they are between nodes that know each other.
pub(crate) fn transport_config(limits: &Limits) -> quinn::TransportConfig {
    let mut config = quinn::TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(limits.max_streams_per_connection))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(PEER_WINDOW))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        // An error means that the time is too long for QUIC to express: then there is no limit to announce.
        .max_idle_timeout(limits.idle_timeout().try_into().ok());
    config
}

/// What all connections of a node's sockets have in common. The secrets come from the node's key, so that a node that was
/// restarted can tell the peers of its former connections that these are gone (RFC 9000 §10.3), instead of leaving them to
/// their time-outs.
pub(super) fn endpoint_config(key: &NodeKey) -> quinn::EndpointConfig {
    let reset = hmac::Key::new(hmac::HMAC_SHA256, &key.derive("alknet: QUIC stateless reset"));
    let mut config = quinn::EndpointConfig::new(Arc::new(reset));
    let [a, b, c, d, e, f, g, h, ..] = key.derive("alknet: QUIC connection ids");
    let ids = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    config.cid_generator(move || Box::new(quinn_proto::HashedConnectionIdGenerator::from_key(ids)));
    config
}

pub(crate) async fn accept_loop(shared: Arc<Shared>, endpoint: quinn::Endpoint) {
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = shared.draining.cancelled() => return endpoint.set_server_config(None),
        };
        match incoming {
            Some(incoming) => accept(&shared, incoming),
            None => return,
        }
    }
}

fn accept(shared: &Arc<Shared>, incoming: Incoming) {
    let remote = super::canonical(incoming.remote_address());
    // A client that has answered a Retry, or cannot be asked again, is taken at its word.
    let validated = incoming.remote_address_validated() || !incoming.may_retry();
    match shared.admission.admit(remote.ip(), validated) {
        Verdict::Admit(permit) => {
            let task_shared = shared.clone();
            spawn(shared, Box::pin(async move { handshake(&task_shared, incoming, remote, permit).await }));
        }
        Verdict::Validate => {
            if let Err(error) = incoming.retry() {
                tracing::debug!(%remote, transport = "quic", "cannot ask for a Retry");
                error.into_incoming().refuse();
            }
        }
        Verdict::Refuse(refusal) => {
            tracing::debug!(%remote, transport = "quic", "refused: {} reached", refusal.setting());
            incoming.refuse();
        }
    }
}

async fn handshake(shared: &Shared, incoming: Incoming, remote: SocketAddr, permit: Permit) -> Option<Established> {
    let crypto = PerConnection::new(shared.tls());
    let mut config = shared.quic_config.clone();
    config.crypto = crypto.clone();
    let failed = |reason: &str| shared.refusals.log(remote, "quic", crypto.take_hello().as_deref(), reason);
    let connecting = match incoming.accept_with(Arc::new(config)) {
        Ok(connecting) => connecting,
        Err(error) => {
            failed(&error.to_string());
            return None;
        }
    };
    let connection = match tokio::time::timeout(shared.limits.handshake_timeout(), connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            failed(&error.to_string());
            return None;
        }
        Err(_) => {
            failed("it took too long");
            return None;
        }
    };
    drop(crypto.take_hello());
    let alpn = negotiated_alpn(&connection)?;
    let fingerprints = shown_fingerprints(&connection);
    if fingerprints.iter().any(|fingerprint| shared.identities.resolve_fingerprint(fingerprint).is_some()) {
        connection.set_receive_window(VarInt::from_u32(PEER_WINDOW));
        connection.set_max_concurrent_bi_streams(VarInt::from_u32(shared.limits.max_streams_per_connection));
    }
    let transport = Box::new(QuicTransport::new(connection));
    Some(Established { transport, alpn, remote, fingerprints, permit })
}

pub(crate) fn negotiated_alpn(connection: &quinn::Connection) -> Option<Alpn> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    Alpn::new(data.protocol?).ok()
}

fn shown_fingerprints(connection: &quinn::Connection) -> Vec<Fingerprint> {
    let chain =
        connection.peer_identity().and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.map(|chain| fingerprints_of(&chain)).unwrap_or_default()
}
