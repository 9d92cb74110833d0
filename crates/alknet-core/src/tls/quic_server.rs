//! QUIC handshakes whose configuration is chosen from the ClientHello.
//!
//! quinn wants a configuration when a connection begins, before a byte of the ClientHello was read. [`PerConnection`]
//! therefore starts a session that only collects: as soon as the ClientHello is whole it picks the configuration,
//! starts the real session, replays the bytes into it, and stands aside.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use quinn::ConnectionId;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::crypto::{
    ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, ServerConfig, Session, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{Side, TransportError};

use super::{ClientHelloInfo, ClientHelloReader, ServerConfigs};

/// The crypto configuration of a single connection. Keeps what the client offered, for the log.
pub(crate) struct PerConnection {
    configs: Arc<ServerConfigs>,
    hello: Mutex<Option<Box<ClientHelloInfo>>>,
}

impl PerConnection {
    pub(crate) fn new(configs: Arc<ServerConfigs>) -> Arc<Self> {
        Arc::new(Self { configs, hello: Mutex::default() })
    }

    /// Takes what the client offered, if its ClientHello has been read. quinn keeps this configuration for as long as
    /// the connection, so what is of no more use is taken out of it.
    pub(crate) fn take_hello(&self) -> Option<Box<ClientHelloInfo>> {
        self.hello.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerConfig for PerConnection {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.configs.quic_default().initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.configs.quic_default().retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        // Initial keys do not depend on the configuration, so any session can answer for them until one is chosen.
        let placeholder = self.configs.quic_default().start_session(version, params);
        let collecting = Collecting { reader: ClientHelloReader::new(), config: self, version, params: *params };
        Box::new(LateSession { session: placeholder, collecting: Some(Box::new(collecting)) })
    }
}

struct LateSession {
    session: Box<dyn Session>,
    /// Behind a pointer, because it is gone after the first packets and the session stays.
    collecting: Option<Box<Collecting>>,
}

struct Collecting {
    reader: ClientHelloReader,
    config: Arc<PerConnection>,
    version: u32,
    params: TransportParameters,
}

impl Collecting {
    /// Starts the session that the ClientHello asks for. One that cannot be read gets the default session, which finds
    /// the same fault and answers with the alert that it deserves.
    fn choose(&mut self, piece: &[u8]) -> Option<Box<dyn Session>> {
        let chosen: Arc<QuicServerConfig> = match self.reader.push(piece) {
            Ok(None) => return None,
            Ok(Some(hello)) => {
                let chosen = self.config.configs.quic(&hello);
                *self.config.hello.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(hello));
                chosen
            }
            Err(_) => self.config.configs.quic_default(),
        };
        Some(chosen.start_session(self.version, &self.params))
    }
}

impl Session for LateSession {
    fn read_handshake(&mut self, piece: &[u8]) -> Result<bool, TransportError> {
        let Some(collecting) = &mut self.collecting else { return self.session.read_handshake(piece) };
        let Some(session) = collecting.choose(piece) else { return Ok(false) };
        self.session = session;
        let bytes = self.collecting.take().map(|collecting| collecting.reader.into_bytes()).unwrap_or_default();
        self.session.read_handshake(&bytes)
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        match self.collecting {
            Some(_) => None,
            None => self.session.write_handshake(buf),
        }
    }

    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.session.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.session.handshake_data()
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        self.session.peer_identity()
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.session.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.session.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.session.transport_parameters()
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.session.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.session.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.session.export_keying_material(output, label, context)
    }
}
