//! ALPN protocol identifiers (RFC 7301).

use std::fmt;
use std::sync::Arc;

/// An ALPN protocol identifier: 1 to 255 opaque bytes (RFC 7301 §3.1). Cheap to clone.
///
/// ```
/// use alknet_core::Alpn;
/// assert_eq!(Alpn::new("alknet/call")?.to_string(), "alknet/call");
/// assert!(Alpn::new("").is_err());
/// # Ok::<(), alknet_core::InvalidAlpn>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Alpn(Arc<[u8]>);

impl Alpn {
    /// Takes the identifier's bytes.
    ///
    /// # Errors
    /// When there are none, or more than 255, which TLS cannot carry.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, InvalidAlpn> {
        let bytes = bytes.as_ref();
        match bytes.len() {
            1..=255 => Ok(Self(bytes.into())),
            length => Err(InvalidAlpn { length }),
        }
    }

    /// The identifier as it stands on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl std::borrow::Borrow<[u8]> for Alpn {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// An identifier that TLS cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an ALPN identifier has 1 to 255 bytes, this one has {length}")]
pub struct InvalidAlpn {
    length: usize,
}

/// Formats what a client offered for a log line: `"h2", "x/y"`, cut after eight entries.
pub(crate) fn list_for_log(offered: &[Alpn]) -> String {
    const SHOWN: usize = 8;
    let mut text = offered.iter().take(SHOWN).map(|alpn| format!("{alpn:?}")).collect::<Vec<_>>().join(", ");
    if offered.len() > SHOWN {
        text.push_str(&format!(" and {} more", offered.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_bounded_by_tls() {
        assert!(Alpn::new([7; 255]).is_ok());
        let error = Alpn::new([7; 256]).unwrap_err();
        assert_eq!(error.to_string(), "an ALPN identifier has 1 to 255 bytes, this one has 256");
    }

    #[test]
    fn what_a_stranger_offers_cannot_garble_the_log() {
        let offered = [Alpn::new("h2").unwrap(), Alpn::new(b"a\n\x1b[31m\"").unwrap()];
        assert_eq!(list_for_log(&offered), r#""h2", "a\n\x1b[31m\"""#);
    }

    #[test]
    fn a_long_offer_is_cut() {
        let offered: Vec<_> = (0..20u8).map(|n| Alpn::new([b'a' + n]).unwrap()).collect();
        assert!(list_for_log(&offered).ends_with("\"h\" and 12 more"));
    }
}
