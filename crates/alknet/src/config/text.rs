//! Values that are written as text.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use toml::Spanned;

/// Reads a `T` from its text; serde then knows the place of a text that is none.
#[derive(Debug, Clone)]
pub(crate) struct Parsed<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextVisitor<T> {
    type Value = Parsed<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(Parsed).map_err(E::custom)
    }
}

/// One text, or a list of them.
#[derive(Debug, Clone)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<Spanned<Parsed<T>>>),
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: FromStr<Err: fmt::Display>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(OneOrMany::One).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = list.next_element()? {
            all.push(element);
        }
        Ok(OneOrMany::Many(all))
    }
}

/// A node's name: 1 to 63 lower-case letters, digits and hyphens, as a DNS label is written (RFC 1123 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(Arc<str>);

impl NodeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for NodeName {
    fn default() -> Self {
        Self("node".into())
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let label = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !label || !(1..=63).contains(&text.len()) || text.starts_with('-') || text.ends_with('-') {
            return Err(format!(
                "\"{}\" is no node name: write 1 to 63 of a-z, 0-9 and, between them, -, as in a DNS label",
                shown(text)
            ));
        }
        Ok(Self(text.into()))
    }
}

/// What stands before the names of operations that come from elsewhere: one to six words as those of operations, with a
/// slash between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Eight words is the most that a name has, and what is exported has two at least.
        let is_prefix = alknet_call::OperationName::from_static("a/b").prefixed(text).is_ok();
        match is_prefix {
            true => Ok(Self(text.to_owned())),
            false => Err(format!("\"{}\" is no prefix: write a word in lower case, as in \"a\"", text.escape_debug())),
        }
    }
}

/// A peer's id: 1 to 64 letters, digits and `.`, `_`, `@`, `-`, the first a letter or a digit.
///
/// An id stands in log lines, tables and paths of operations, so it needs no quoting anywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Arc<str>);

impl PeerId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the node itself: whoever dials with the node's own key, as `alknet status` does, is this peer.
    pub const OWN: &'static str = "self";

    pub(crate) fn to_arc(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for PeerId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "anonymous" {
            return Err("\"anonymous\" is what log lines call an unknown client; choose another id".to_owned());
        }
        if text == Self::OWN {
            return Err(format!("\"{text}\" is the node itself, by its own key; choose another id"));
        }
        let word = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._@-".contains(&b));
        if !word || text.len() > 64 || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let text = shown(text);
            return Err(format!(
                "\"{text}\" is no peer id: write 1 to 64 letters, digits and . _ @ -, the first a letter or a digit"
            ));
        }
        Ok(Self(text.into()))
    }
}

/// Where a peer is dialed: `host:port`, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid = text
            .rsplit_once(':')
            .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0));
        if valid {
            return Ok(Self(text.to_owned()));
        }
        let example = match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]:4433"),
            Ok(ip) => format!("{ip}:4433"),
            Err(_) if is_host(text) => format!("{text}:4433"),
            Err(_) => "hub.example:4433".to_owned(),
        };
        Err(format!("\"{}\" is no address: write host:port, as in \"{example}\"", shown(text)))
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(ip) => matches!(ip.parse(), Ok(IpAddr::V6(_))),
        None => host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label),
    }
}

/// Where the node listens: an IP address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listen(pub(super) SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let port = text.rsplit_once(':').map_or(text, |(_, port)| port).parse::<u16>().unwrap_or(4433);
        let example = match text.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("\"[{ip}]:4433\""),
            Ok(ip) => format!("\"{ip}:4433\""),
            Err(_) => format!("\"[::]:{port}\" for all addresses"),
        };
        Err(format!("\"{}\" is no IP address and port: write, for instance, {example}", shown(text)))
    }
}

/// As much of a wrong value as a message can take.
fn shown(text: &str) -> String {
    text.escape_debug().to_string().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ids_and_addresses_are_checked() {
        assert!(["hub", "a", "0-1"].iter().all(|name| name.parse::<NodeName>().is_ok()));
        assert!(
            ["", "Hub", "-a", "a-", "a.b", "é", &"a".repeat(64)].iter().all(|name| name.parse::<NodeName>().is_err())
        );
        assert!(["alice", "a.b@c", "A_1"].iter().all(|id| id.parse::<PeerId>().is_ok()));
        assert!(
            ["", ".a", "a b", "a/b", "a:b", "anonymous", &"a".repeat(65)]
                .iter()
                .all(|id| id.parse::<PeerId>().is_err())
        );
        for address in ["hub.example:4433", "hub.example.:1", "10.0.0.1:443", "[::1]:443", "my_host:1"] {
            assert!(address.parse::<Address>().is_ok(), "{address}");
        }
        for address in ["", "hub", "hub:", "hub:0", "hub:65536", "::1:443", "[hub]:1", "a..b:1", ":443", "http://hub:1"]
        {
            assert!(address.parse::<Address>().is_err(), "{address}");
        }
    }

    #[test]
    fn errors_show_what_to_write() {
        let address = |text: &str| text.parse::<Address>().unwrap_err();
        assert!(address("hub.example").ends_with("as in \"hub.example:4433\""));
        assert!(address("::1").ends_with("as in \"[::1]:4433\""));
        let listen = |text: &str| text.parse::<Listen>().unwrap_err();
        assert!(listen("*:443").ends_with("\"[::]:443\" for all addresses"));
        assert!(listen("443").ends_with("\"[::]:443\" for all addresses"));
        assert!(listen("10.0.0.1").ends_with("\"10.0.0.1:4433\""));
        assert!(listen("localhost").ends_with("\"[::]:4433\" for all addresses"));
    }
}
