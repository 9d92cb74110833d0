//! Writes the seeds of the target `client_hello`: what rustls clients really send.
//!
//! `cargo +nightly run --example client_hellos` from the folder of this crate. The keys and random numbers in them are
//! new each time, so run it when rustls has learned something, not for the fun of it.

use std::fs;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

const RECORD_HEADER: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/client_hello");
    let both = ["alknet/call", "h2", "http/1.1"];
    let hellos = [
        ("raw-key", hello(true, &["alknet/call"], "node.example", true)?),
        ("browser-like", hello(false, &both[1..], "node.example", true)?),
        ("without-alpn", hello(false, &[], "node.example", true)?),
        ("address-as-name", hello(true, &both, "192.0.2.1", true)?),
        ("without-post-quantum", hello(true, &both, "node.example", false)?),
    ];
    for (name, hello) in &hellos {
        // In one piece, and in pieces as QUIC's packets and a slow line make them.
        fs::write(format!("{folder}/{name}"), seed(&[], hello))?;
    }
    let [(_, raw_key), ..] = &hellos;
    fs::write(format!("{folder}/in-packets"), seed(&[0, 250, 0], raw_key))?;
    fs::write(format!("{folder}/header-apart"), seed(&[1, 3, 0, 0, 0, 0, 0], raw_key))?;
    fs::write(format!("{folder}/cut-off"), seed(&[100], &raw_key[..raw_key.len() / 2]))?;
    fs::write(format!("{folder}/no-tls"), seed(&[], b"GET / HTTP/1.1\r\nHost: node.example\r\n\r\n"))?;
    Ok(())
}

/// The lengths of the pieces, then the bytes.
fn seed(lengths: &[u8], bytes: &[u8]) -> Vec<u8> {
    [&[lengths.len() as u8], lengths, bytes].concat()
}

fn hello(
    raw_keys: bool,
    alpns: &[&str],
    name: &str,
    post_quantum: bool,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if !post_quantum {
        provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone { raw_keys }))
        .with_no_client_auth();
    config.alpn_protocols = alpns.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned())?)?;
    let mut record = Vec::new();
    client.write_tls(&mut record)?;
    Ok(record.split_off(RECORD_HEADER))
}

/// Never gets to see a server.
#[derive(Debug)]
struct Anyone {
    raw_keys: bool,
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(Error::DecryptError)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::DecryptError)
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::DecryptError)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519, SignatureScheme::ECDSA_NISTP256_SHA256]
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw_keys
    }
}
