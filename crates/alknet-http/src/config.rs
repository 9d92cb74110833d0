//! What a client may use up.

use std::time::Duration;

use alknet_core::at_least;
use serde::Deserialize;
use url::Url;

use crate::decoy::DecoyConfig;
use crate::{DashboardConfig, McpConfig, OutboundConfig};

/// The limits of HTTP, as the `[http]` section of the configuration has them. All are on by default.
///
/// ```
/// use alknet_http::HttpConfig;
/// let config: HttpConfig = toml::from_str("max_body_bytes = 4096")?;
/// assert_eq!((config.max_body_bytes, config.request_timeout_seconds), (4096, 60));
/// assert!(toml::from_str::<HttpConfig>("max_concurrent_streams = 0").is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// The longest body of a request, in bytes; a longer one is answered with 413. Default: 1 MiB.
    pub max_body_bytes: u32,
    /// The longest head of a request, in bytes; at least 1024. Default: 16 KiB.
    #[serde(deserialize_with = "at_least::<1024, _, _>")]
    pub max_header_bytes: u32,
    /// How many fields the head of a request over `http/1.1` may have. Default: 100.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_headers: u32,
    /// How long the next head of a request may take over `http/1.1`, from the end of the request before. Over `h2` the
    /// endpoint's idle time-out stands for it: pings of ours would keep it from ever passing. Default: 30.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub header_timeout_seconds: u32,
    /// How long a request may take from its head to the head of its answer. Default: 60.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub request_timeout_seconds: u32,
    /// How many requests of one `h2` connection run at the same time. Default: 128.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_concurrent_streams: u32,
    /// How long a client may take nothing of what is being sent to it before its connection is ended. Default: 60.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub write_timeout_seconds: u32,
    /// How many subscriptions all clients together may follow as server-sent events; beyond that they are refused with
    /// 429. Default: 1024.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_event_streams: u32,
    /// How long a subscription may be silent before a comment is sent, which keeps proxies from closing it. Default: 15.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub heartbeat_seconds: u32,
    /// How many WebSockets all clients together may have open at `/call`; beyond that they are refused with 429.
    /// Default: 1024.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_websockets: u32,
    /// The longest message of a WebSocket, in bytes; a longer one ends it with the code 1009. What is sent is a stream of
    /// bytes, so it can be cut anywhere. At least 1024. Default: 1 MiB.
    #[serde(deserialize_with = "at_least::<1024, _, _>")]
    pub max_message_bytes: u32,
    /// How long a WebSocket may be silent before it is pinged; one that stays silent for as long again is ended.
    /// Default: 30.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub ping_seconds: u32,
    /// What whoever has no valid token is shown. Default: that this is a node.
    pub decoy: Option<DecoyConfig>,
    /// The page that shows the node in a browser.
    pub dashboard: DashboardConfig,
    /// The client that the node calls other services with.
    pub outbound: OutboundConfig,
    /// Which pages of other sites may use the node from within a browser.
    pub cors: CorsConfig,
    /// The operations as tools of the Model Context Protocol.
    #[cfg_attr(not(feature = "mcp"), serde(deserialize_with = "not_built"))]
    pub mcp: McpConfig,
}

/// A node must not start without what it was told to serve.
#[cfg(not(feature = "mcp"))]
fn not_built<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<McpConfig, D::Error> {
    match McpConfig::deserialize(deserializer)? {
        config if !config.enable => Ok(config),
        _ => Err(serde::de::Error::custom(
            "[http.mcp] is not in this build (feature \"mcp\"); use a build with it, or remove the section",
        )),
    }
}

/// The `[http.cors]` section: cross-origin resource sharing. It is off as long as it names no origin. With origins, a
/// preflight request (`OPTIONS` with `origin`) is answered without a token, as browsers need it, and answers to requests
/// with an `origin` say who may read them: so a stranger can tell that this is no plain web server.
///
/// ```
/// use alknet_http::HttpConfig;
/// let config: HttpConfig = toml::from_str("cors = { origins = [\"https://console.example\"] }")?;
/// assert_eq!(config.cors.origins[0].as_str(), "https://console.example");
/// assert!(toml::from_str::<HttpConfig>("cors = { origins = [\"https://console.example/\"] }").is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// The origins, as browsers send them; `*` is every one.
    pub origins: Vec<Origin>,
}

/// Where a page comes from (RFC 6454), as browsers send it: `https://console.example`, with a port if that is not the
/// scheme's own; or `*`, any.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(Box<str>);

impl Origin {
    /// The origin as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for every origin.
    pub fn is_any(&self) -> bool {
        &*self.0 == "*"
    }
}

impl TryFrom<String> for Origin {
    type Error = InvalidOrigin;

    fn try_from(text: String) -> Result<Self, InvalidOrigin> {
        let is_origin = |text: &str| {
            Url::parse(text)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text)
        };
        match text == "*" || is_origin(&text) {
            true => Ok(Self(text.into())),
            false => Err(InvalidOrigin(text.chars().take(200).collect())),
        }
    }
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: write https://host or https://host:port, in lower case and without a slash behind, or \"*\""
)]
pub struct InvalidOrigin(String);

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            max_header_bytes: 16 * 1024,
            max_headers: 100,
            header_timeout_seconds: 30,
            request_timeout_seconds: 60,
            max_concurrent_streams: 128,
            write_timeout_seconds: 60,
            max_event_streams: 1024,
            heartbeat_seconds: 15,
            max_websockets: 1024,
            max_message_bytes: 1024 * 1024,
            ping_seconds: 30,
            decoy: None,
            dashboard: DashboardConfig::default(),
            outbound: OutboundConfig::default(),
            cors: CorsConfig::default(),
            mcp: McpConfig::default(),
        }
    }
}

impl HttpConfig {
    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds.into())
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_seconds.into())
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_seconds.into())
    }

    pub(crate) fn ping(&self) -> Duration {
        Duration::from_secs(self.ping_seconds.into())
    }

    /// How long an answer that is a stream may take to begin, before its head is sent without it.
    #[cfg(feature = "mcp")]
    pub(crate) fn patience(&self) -> Duration {
        self.heartbeat().min(self.request_timeout() / 2)
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        let error = |text: &str| toml::from_str::<HttpConfig>(text).unwrap_err().to_string();
        assert!(error("max_header_bytes = 100").contains("100 is too little; the least is 1024"));
        assert!(error("max_body = 1").contains("unknown field"));
        assert!(error("cors = { origin = [] }").contains("unknown field"));
        assert_eq!(toml::from_str::<HttpConfig>("").unwrap(), HttpConfig::default());
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        let origin = |text: &str| Origin::try_from(text.to_owned());
        for good in ["*", "https://a.example", "http://localhost:8080", "https://[::1]:8443"] {
            assert_eq!(origin(good).unwrap().as_str(), good);
        }
        let bad =
            ["", "null", "a.example", "https://a.example/", "https://A.example", "https://a.example:443", "file:///x"];
        for bad in bad {
            let error = origin(bad).unwrap_err().to_string();
            assert!(error.contains("is no origin: write https://host"), "{bad}: {error}");
        }
    }
}
