//! Reads a ClientHello (RFC 8446 §4.1.2) before a TLS configuration has been chosen for it.
//!
//! rustls settles on raw public keys or X.509 once per configuration, but which one is right depends on what the client
//! offers. Over TCP rustls itself shows the ClientHello first. Over QUIC nothing does, so this module puts the bytes of
//! the CRYPTO frames into TLS records and lets the same parser of rustls read them: there is no parser of our own.

use std::io::Read;

use rustls::server::CertificateType;
use rustls::server::{Acceptor, ClientHello};

use crate::Alpn;
use crate::alpn::list_for_log;

/// The most bytes that a ClientHello may have: those of a TLS record (RFC 8446 §5.1). Today's browsers, with post-quantum
/// keys, send about 2 KiB.
const MAX_CLIENT_HELLO: usize = 16 * 1024;
/// The type of the handshake message (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
/// TLSPlaintext, content type handshake (RFC 8446 §5.1).
const RECORD_HEADER: [u8; 3] = [22, 3, 1];

/// What a client offered, as far as the choice of a configuration and the log need it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientHelloInfo {
    /// The ALPNs offered; `None` if the client did not send the extension.
    pub alpns: Option<Vec<Alpn>>,
    /// The server name (SNI), if any.
    pub server_name: Option<String>,
    /// Whether it takes a raw public key from the server (RFC 7250).
    pub raw_server_key: bool,
    /// Whether it can show a raw public key of its own.
    pub raw_client_key: bool,
}

impl ClientHelloInfo {
    pub(crate) fn of(hello: &ClientHello<'_>) -> Self {
        let raw = |types: Option<&[CertificateType]>| types.is_some_and(|t| t.contains(&CertificateType::RawPublicKey));
        Self {
            // rustls has refused empty names already, so none is lost here.
            alpns: hello.alpn().map(|alpns| alpns.filter_map(|alpn| Alpn::new(alpn).ok()).collect()),
            server_name: hello.server_name().map(str::to_owned),
            raw_server_key: raw(hello.server_cert_types()),
            raw_client_key: raw(hello.client_cert_types()),
        }
    }

    /// The offered ALPNs as a log line shows them.
    pub(crate) fn offered(&self) -> String {
        self.alpns.as_deref().map_or_else(|| "none".to_owned(), list_for_log)
    }
}

/// Collects the bytes of a TLS handshake, in pieces of any size, until its ClientHello is whole.
///
/// ```
/// use alknet_core::tls::ClientHelloReader;
/// assert!(matches!(ClientHelloReader::new().push(&[1, 0, 0]), Ok(None))); // not yet whole
/// assert!(ClientHelloReader::new().push(b"GET / HTTP/1.1").is_err());
/// ```
pub struct ClientHelloReader {
    seen: Vec<u8>,
}

impl ClientHelloReader {
    /// Has seen nothing yet.
    pub fn new() -> Self {
        Self { seen: Vec::new() }
    }

    /// Takes the next bytes of the handshake, without TLS record headers, as QUIC's CRYPTO frames carry them.
    /// `None` means that more are needed. What comes of it does not depend on how the bytes are cut into pieces.
    ///
    /// # Errors
    /// When this is no ClientHello, or a larger one than any honest client sends.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<ClientHelloInfo>, InvalidClientHello> {
        self.seen.extend_from_slice(bytes);
        match self.announced()? {
            Some(length) if self.seen.len() >= length => parse(&self.seen).map(Some),
            _ => Ok(None),
        }
    }

    /// The length of the whole message, once its header is there (RFC 8446 §4).
    fn announced(&self) -> Result<Option<usize>, InvalidClientHello> {
        let length = match self.seen.as_slice() {
            [CLIENT_HELLO, high, middle, low, ..] => u32::from_be_bytes([0, *high, *middle, *low]) as usize + 4,
            [] | [CLIENT_HELLO, ..] => return Ok(None),
            [kind, ..] => return Err(InvalidClientHello(format!("it begins with a handshake message of type {kind}"))),
        };
        if length.max(self.seen.len()) > MAX_CLIENT_HELLO {
            return Err(InvalidClientHello("it is longer than 16 KiB".to_owned()));
        }
        Ok(Some(length))
    }

    /// All bytes that were pushed, for whoever goes on with the handshake.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.seen
    }
}

/// Has rustls read a whole ClientHello, as one TLS record.
fn parse(hello: &[u8]) -> Result<ClientHelloInfo, InvalidClientHello> {
    let invalid = |reason: &dyn ToString| InvalidClientHello(reason.to_string());
    let length = u16::try_from(hello.len()).map_err(|error| invalid(&error))?;
    let [high, low] = length.to_be_bytes();
    let [kind, major, minor] = RECORD_HEADER;
    let header = [kind, major, minor, high, low];
    let mut record = header.chain(hello);
    let mut acceptor = Acceptor::default();
    while acceptor.read_tls(&mut record).map_err(|error| invalid(&error))? > 0 {}
    match acceptor.accept() {
        Ok(Some(accepted)) => Ok(ClientHelloInfo::of(&accepted.client_hello())),
        Ok(None) => Err(invalid(&"it is shorter than it says")),
        Err((error, _)) => Err(invalid(&error)),
    }
}

impl Default for ClientHelloReader {
    fn default() -> Self {
        Self::new()
    }
}

/// The first bytes of a handshake are no ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a usable ClientHello: {0}")]
pub struct InvalidClientHello(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ServerIdentity, client_config};
    use crate::{Fingerprint, NodeKey};

    /// The handshake bytes of a real ClientHello: what a rustls client writes, without the record header.
    fn client_hello(alpns: &[&str], server: ServerIdentity, key: Option<NodeKey>) -> Vec<u8> {
        let alpns: Vec<_> = alpns.iter().map(|alpn| Alpn::new(alpn).unwrap()).collect();
        let config = client_config(&server, key.as_ref(), &alpns).unwrap().config;
        let name = "node.example".try_into().unwrap();
        let mut client = rustls::ClientConnection::new(config.into(), name).unwrap();
        let mut record = Vec::new();
        client.write_tls(&mut record).unwrap();
        record.split_off(5)
    }

    fn pinned() -> ServerIdentity {
        ServerIdentity::Pinned(vec![Fingerprint::Ed25519([1; 32])])
    }

    #[test]
    fn what_a_client_offers_is_seen() {
        let key = NodeKey::from_seed(&[3; 32]).unwrap();
        let hello = client_hello(&["alknet/call", "h2"], pinned(), Some(key));
        let info = ClientHelloReader::new().push(&hello).unwrap().unwrap();
        assert_eq!(info.offered(), r#""alknet/call", "h2""#);
        assert_eq!(info.server_name.as_deref(), Some("node.example"));
        assert!(info.raw_server_key && info.raw_client_key);

        let pin = ServerIdentity::Pinned(vec![Fingerprint::X509Sha256([1; 32])]);
        let info = ClientHelloReader::new().push(&client_hello(&[], pin, None)).unwrap().unwrap();
        assert_eq!(info.offered(), "none");
        assert!(!info.raw_server_key && !info.raw_client_key);
    }

    #[test]
    fn it_may_come_in_pieces_of_any_size() {
        let hello = client_hello(&["x"], pinned(), None);
        for size in [1, 7, 100, 1200] {
            let mut reader = ClientHelloReader::new();
            let results: Vec<_> = hello.chunks(size).map(|piece| reader.push(piece).unwrap()).collect();
            let (last, before) = results.split_last().unwrap();
            assert!(before.iter().all(Option::is_none));
            assert_eq!(last.as_ref().unwrap().offered(), "\"x\"", "in pieces of {size}");
            assert_eq!(reader.into_bytes(), hello);
        }
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(ClientHelloReader::new().push(b"GET / HTTP/1.1\r\n\r\n").is_err());
        assert!(ClientHelloReader::new().push(&[0; 64]).is_err());
    }

    #[test]
    fn a_hello_that_is_too_long_is_refused_as_soon_as_it_says_so() {
        let header = |length: u32| [&[1], &length.to_be_bytes()[1..]].concat();
        assert!(ClientHelloReader::new().push(&header(16 * 1024 - 4)).unwrap().is_none());
        assert!(ClientHelloReader::new().push(&header(16 * 1024 - 3)).is_err());
        assert!(ClientHelloReader::new().push(&[header(100), vec![0; 16 * 1024]].concat()).is_err());
    }
}
