//! How the node calls other services.

use std::path::PathBuf;
use std::time::Duration;

use alknet_core::at_least;
use serde::Deserialize;

/// The limits of outbound HTTP, and whom it trusts, as the `[http.outbound]` section of the configuration has them.
///
/// ```
/// use alknet_http::OutboundConfig;
/// let config: OutboundConfig = toml::from_str("timeout_seconds = 5")?;
/// assert_eq!((config.timeout_seconds, config.max_retries), (5, 3));
/// assert!(toml::from_str::<OutboundConfig>("timeout_seconds = 0").is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundConfig {
    /// How long a connection may take to be made, with TLS. Default: 10.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub connect_timeout_seconds: u32,
    /// How long a call may take in all, from the first attempt to the end of the answer; for one that is answered with
    /// events, to the head of the answer. The time limit of the call itself counts as well. Default: 60.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub timeout_seconds: u32,
    /// How long an answer of events may be silent. Default: 300.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub idle_timeout_seconds: u32,
    /// The longest body of an answer, in bytes. A single event may have a sixteenth of it. Default: 16 MiB.
    #[serde(deserialize_with = "at_least::<1024, _, _>")]
    pub max_response_bytes: u32,
    /// How often a call is tried again when it makes sense to. Default: 3.
    pub max_retries: u32,
    /// Root certificates in PEM that are trusted beside those of the system. Those of the system are where `SSL_CERT_FILE`
    /// and `SSL_CERT_DIR` say, if the environment has them; nothing else is taken from there.
    pub ca_bundle: Option<PathBuf>,
    /// What the node shows to services that ask for a certificate.
    pub client_certificate: Option<ClientCertificate>,
}

/// The certificate that the node shows to other services, and its private key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The chain in PEM, the leaf first.
    pub certificate: PathBuf,
    /// The private key in PEM (PKCS #8, PKCS #1 or SEC 1).
    pub key: PathBuf,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            connect_timeout_seconds: 10,
            timeout_seconds: 60,
            idle_timeout_seconds: 300,
            max_response_bytes: 16 * 1024 * 1024,
            max_retries: 3,
            ca_bundle: None,
            client_certificate: None,
        }
    }
}

impl OutboundConfig {
    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds.into())
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into())
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        let read = |text: &str| toml::from_str::<OutboundConfig>(text);
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert!(error("max_response_bytes = 100").contains("100 is too little; the least is 1024"));
        assert!(error("proxy = \"http://proxy\"").contains("unknown field"));
        assert!(error("client_certificate = { certificate = \"a.pem\" }").contains("missing field `key`"));
        assert_eq!(read("").unwrap(), OutboundConfig::default());
    }
}
