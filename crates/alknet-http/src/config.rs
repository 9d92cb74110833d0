//! What a client may use up.

use std::time::Duration;

use alknet_core::at_least;
use serde::Deserialize;

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
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            max_header_bytes: 16 * 1024,
            max_headers: 100,
            header_timeout_seconds: 30,
            request_timeout_seconds: 60,
            max_concurrent_streams: 128,
        }
    }
}

impl HttpConfig {
    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds.into())
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
        assert_eq!(toml::from_str::<HttpConfig>("").unwrap(), HttpConfig::default());
    }
}
