//! The `[http.mcp]` section.

#[cfg(feature = "mcp")]
use std::time::Duration;

use alknet_core::at_least;
use http::uri::Authority;
use serde::Deserialize;

/// The `[http.mcp]` section: the operations as tools of the Model Context Protocol, at `/mcp`. All limits are on by
/// default.
///
/// ```
/// use alknet_http::HttpConfig;
/// let config: HttpConfig = toml::from_str("mcp = { hosts = [\"node.example\"] }")?;
/// assert_eq!((config.mcp.hosts[0].as_str(), config.mcp.max_sessions), ("node.example", 1024));
/// assert!(toml::from_str::<HttpConfig>("mcp = { hosts = [\"https://node.example\"] }").is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct McpConfig {
    /// Whether `/mcp` is there. Default: true.
    pub enable: bool,
    /// The names that the node is asked for by, if it is to refuse requests to others. Default: it takes every one.
    pub hosts: Vec<Host>,
    /// How many sessions all clients together may have open. Clients that speak the protocol as it is from 2026-07-28 on
    /// have none. Default: 1024.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_sessions: u32,
    /// How many sessions one peer may have open; and as many clients that listen without one. Default: 64.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_sessions_per_peer: u32,
    /// How long a session is kept whose client is away: that reads no answer and sends nothing. Default: 300.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub session_idle_seconds: u32,
    /// How long the calls of a session go on whose client is away. Default: 15.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub resume_seconds: u32,
    /// How many calls of one peer may be under way. Default: 64.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_calls_per_peer: u32,
    /// How long a call may take. Default: 60.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub call_timeout_seconds: u32,
    /// How long a subscription is followed before its tool answers. Default: 300.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_subscription_seconds: u32,
    /// The longest result, in bytes of JSON: a longer output is an error, and of a subscription's events the last ones
    /// are kept, or the first ones if the client asks for no progress. It is sent twice, structured and as text. At least 1024. Default: 1 MiB.
    #[serde(deserialize_with = "at_least::<1024, _, _>")]
    pub max_result_bytes: u32,
    /// How many tools one answer lists. Default: 250.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub page_size: u32,
}

impl Default for McpConfig {
    fn default() -> Self {
        Self {
            enable: true,
            hosts: Vec::new(),
            max_sessions: 1024,
            max_sessions_per_peer: 64,
            session_idle_seconds: 300,
            resume_seconds: 15,
            max_calls_per_peer: 64,
            call_timeout_seconds: 60,
            max_subscription_seconds: 300,
            max_result_bytes: 1024 * 1024,
            page_size: 250,
        }
    }
}

#[cfg(feature = "mcp")]
impl McpConfig {
    pub(crate) fn session_idle(&self) -> Duration {
        Duration::from_secs(self.session_idle_seconds.into())
    }

    pub(crate) fn resume(&self) -> Duration {
        Duration::from_secs(self.resume_seconds.into())
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_secs(self.call_timeout_seconds.into())
    }

    pub(crate) fn max_subscription(&self) -> Duration {
        Duration::from_secs(self.max_subscription_seconds.into())
    }

    pub(crate) fn max_result(&self) -> usize {
        self.max_result_bytes as usize
    }
}

/// A name that a node is asked for by, as in the `Host` of a request: `node.example`, with a port or for every one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Host(Box<str>);

impl Host {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Host {
    type Error = InvalidHost;

    fn try_from(text: String) -> Result<Self, InvalidHost> {
        let is_host = |authority: Authority| !authority.host().is_empty() && !text.contains('@');
        match text.parse().is_ok_and(is_host) {
            true => Ok(Self(text.into())),
            false => Err(InvalidHost(text.chars().take(200).collect())),
        }
    }
}

/// A text that is no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no host: write node.example, node.example:4433 or [2001:db8::1]")]
pub struct InvalidHost(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_stands_in_a_request() {
        let host = |text: &str| Host::try_from(text.to_owned());
        for good in ["node.example", "node.example:4433", "localhost", "127.0.0.1:1", "[::1]:4433"] {
            assert_eq!(host(good).unwrap().as_str(), good);
        }
        for bad in ["", "https://node.example", "node.example/mcp", "me@node.example", "a b", ":4433"] {
            let error = host(bad).unwrap_err().to_string();
            assert!(error.contains("is no host: write node.example"), "{bad}: {error}");
        }
    }
}
