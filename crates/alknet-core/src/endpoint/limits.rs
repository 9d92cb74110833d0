//! What a stranger can make a node hold. All on by default.

use std::time::Duration;

use serde::Deserialize;

/// Limits of an endpoint; the configuration's `[endpoint.limits]`.
///
/// ```
/// let limits = alknet_core::Limits::default();
/// assert_eq!(limits.handshake_timeout().as_secs(), 10);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Seconds from a client's first byte to the end of its TLS handshake.
    pub handshake_timeout_seconds: u64,
    /// Seconds without a byte in either direction after which a connection is closed. Over TCP this holds for
    /// connections without an identity; those of known peers live as long as TCP's own keep-alive finds the peer there.
    pub idle_timeout_seconds: u64,
    /// Connections at once, handshakes included.
    pub max_connections: usize,
    /// Connections at once from one address: one IPv4 address or one IPv6 /64.
    pub max_connections_per_address: usize,
    /// Streams at once that a known peer may have open on a QUIC connection. An unknown one gets no more than 14.
    pub max_streams_per_connection: u32,
    /// Handshakes at once above which a QUIC client has to prove its address first (a Retry, RFC 9000 §8.1.2). Zero
    /// asks every client.
    pub retry_above_handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake_timeout_seconds: 10,
            idle_timeout_seconds: 60,
            max_connections: 8192,
            max_connections_per_address: 256,
            max_streams_per_connection: 256,
            retry_above_handshakes: 64,
        }
    }
}

impl Limits {
    /// The time for a handshake.
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }

    /// The time without a byte.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }

    /// Whether the values make sense together.
    ///
    /// # Errors
    /// A sentence that names the setting, its value and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let range = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(format!("{name} = {value}: write {low} to {high}")) }
        };
        range("handshake_timeout_seconds", self.handshake_timeout_seconds, 1, 300)?;
        range("idle_timeout_seconds", self.idle_timeout_seconds, 5, 86_400)?;
        range("max_connections", self.max_connections as u64, 1, 1_000_000)?;
        range("max_connections_per_address", self.max_connections_per_address as u64, 1, 1_000_000)?;
        range("max_streams_per_connection", self.max_streams_per_connection.into(), 1, 65_536)?;
        range("retry_above_handshakes", self.retry_above_handshakes as u64, 0, 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_named() {
        let limits = Limits { idle_timeout_seconds: 1, ..Limits::default() };
        assert_eq!(limits.check().unwrap_err(), "idle_timeout_seconds = 1: write 5 to 86400");
        assert_eq!(Limits::default().check(), Ok(()));
    }
}
