//! TLS and QUIC settings for the bare servers and for the client: those of alknet-core, whose own are private.
//!
//! Ed25519 raw public keys, the client's asked for and not required, TLS 1.3, no resumption, the same crypto provider.

use std::sync::Arc;
use std::time::Duration;

use quinn::VarInt;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// The servers of this process.
pub(crate) const SERVER_SEED: [u8; 32] = [1; 32];
/// The client where it is no stranger.
pub(crate) const CLIENT_SEED: [u8; 32] = [2; 32];

/// Whether the client shows a key that the server knows. Decides on the client's receive window, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Stranger,
    Peer,
}

// From alknet-core's endpoint/quic.rs, and its default limits.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
const PEER_WINDOW: u32 = 16 * 1024 * 1024;
const STRANGER_WINDOW: u32 = 1024 * 1024;
const SEND_WINDOW: u64 = 8 * 1024 * 1024;
const PEER_STREAMS: u32 = 256;
const STRANGER_STREAMS: u32 = 14;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn transport_config(client: Client) -> Arc<quinn::TransportConfig> {
    let (streams, window) = match client {
        Client::Peer => (PEER_STREAMS, PEER_WINDOW),
        Client::Stranger => (STRANGER_STREAMS, STRANGER_WINDOW),
    };
    let mut config = quinn::TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(window))
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().unwrap()));
    Arc::new(config)
}

pub(crate) fn server_config(alpn: &str, client: Client) -> rustls::ServerConfig {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(AskForKey(client)))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(raw_key(&SERVER_SEED))));
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// A client that expects the key of `server_seed` at the other end.
pub(crate) fn client_config(alpn: &str, client: Client, server_seed: &[u8; 32]) -> rustls::ClientConfig {
    let expected = raw_key(server_seed).cert[0].clone();
    let builder = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(expected)));
    let mut config = match client {
        Client::Stranger => builder.with_no_client_auth(),
        Client::Peer => {
            builder.with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(raw_key(&CLIENT_SEED))))
        }
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    config.resumption = Resumption::disabled();
    config
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    PROVIDER.clone()
}

fn raw_key(seed: &[u8; 32]) -> Arc<CertifiedKey> {
    // PKCS #8 v1 of an Ed25519 private key, up to its 32 bytes (RFC 8410 §7).
    let prefix = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let pkcs8 = PrivatePkcs8KeyDer::from([prefix.as_slice(), seed].concat());
    let signer = rustls::crypto::aws_lc_rs::sign::any_eddsa_type(&pkcs8).unwrap();
    let public = signer.public_key().unwrap().to_vec();
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], signer))
}

fn verify(
    message: &[u8],
    key: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = &provider().signature_verification_algorithms;
    verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(key.as_ref()), signature, algorithms)
}

#[derive(Debug)]
struct Pinned(CertificateDer<'static>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        assert_eq!(shown, &self.0, "another server answers");
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.2 is off")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

struct AskForKey(Client);

impl std::fmt::Debug for AskForKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AskForKey")
    }
}

impl ClientCertVerifier for AskForKey {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.2 is off")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, key, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }

    // rustls turns a client away that cannot show what this asks for, so a bare server has to know its clients.
    fn requires_raw_public_keys(&self) -> bool {
        self.0 == Client::Peer
    }
}
