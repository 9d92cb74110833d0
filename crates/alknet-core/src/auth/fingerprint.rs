//! Fingerprints: how a peer's key is named in configuration, in logs and to people.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What names a public key.
///
/// - `ed25519:<64 hex>`: a raw Ed25519 public key, however TLS carried it (RFC 7250, or inside a certificate)
/// - `SHA256:<64 hex>`: the digest of an X.509 leaf certificate's DER
/// - `ssh:SHA256:<base64>`: another SSH key, as `ssh-keygen -l` prints it
///
/// ```
/// use alknet_core::Fingerprint;
/// let text = format!("ed25519:{}", "ab".repeat(32));
/// assert_eq!(text.parse::<Fingerprint>()?.to_string(), text);
/// # Ok::<(), alknet_core::InvalidFingerprint>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fingerprint {
    /// A raw Ed25519 public key (RFC 8032), not hashed.
    Ed25519([u8; 32]),
    /// SHA-256 of an X.509 leaf certificate's DER.
    X509Sha256([u8; 32]),
    /// SHA-256 of an SSH public key blob (RFC 4253 §6.6).
    SshSha256([u8; 32]),
}

impl Fingerprint {
    /// Names an X.509 leaf certificate by its DER encoding.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self::X509Sha256(sha256(der))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(key) => write!(f, "ed25519:{}", Hex(key)),
            Self::X509Sha256(hash) => write!(f, "SHA256:{}", Hex(hash)),
            Self::SshSha256(hash) => write!(f, "ssh:SHA256:{}", STANDARD_NO_PAD.encode(hash)),
        }
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason| InvalidFingerprint { text: text.chars().take(100).collect(), reason };
        if let Some(hex) = text.strip_prefix("ed25519:") {
            unhex(hex).map(Self::Ed25519).ok_or_else(|| invalid("after \"ed25519:\" come 64 hex digits"))
        } else if let Some(hex) = text.strip_prefix("SHA256:") {
            unhex(hex).map(Self::X509Sha256).ok_or_else(|| {
                invalid("after \"SHA256:\" come 64 hex digits (an SSH key's fingerprint starts with \"ssh:SHA256:\")")
            })
        } else if let Some(digest) = text.strip_prefix("ssh:SHA256:") {
            let bytes = STANDARD_NO_PAD.decode(digest.trim_end_matches('=')).ok().and_then(|b| b.try_into().ok());
            bytes.map(Self::SshSha256).ok_or_else(|| invalid("after \"ssh:SHA256:\" come 43 base64 characters"))
        } else {
            Err(invalid("a fingerprint starts with \"ed25519:\", \"SHA256:\" or \"ssh:SHA256:\""))
        }
    }
}

/// A text that is no fingerprint, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no fingerprint: {reason}")]
pub struct InvalidFingerprint {
    text: String,
    reason: &'static str,
}

pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |c: &u8| (*c as char).to_digit(16);
        *byte = (digit(high)? * 16 + digit(low)?) as u8;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_fingerprint_reads_back(bytes: [u8; 32]) {
            for fingerprint in [
                Fingerprint::Ed25519(bytes),
                Fingerprint::X509Sha256(bytes),
                Fingerprint::SshSha256(bytes),
            ] {
                prop_assert_eq!(fingerprint.to_string().parse::<Fingerprint>().unwrap(), fingerprint);
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,120}") {
            let _ = text.parse::<Fingerprint>();
        }
    }

    #[test]
    fn errors_say_what_is_expected() {
        let error = |text: &str| text.parse::<Fingerprint>().unwrap_err().to_string();
        assert!(error("ed25519:abc").contains("64 hex digits"));
        assert!(error("SHA256:qJ5vS1vBXvCVZ").contains("ssh:SHA256:"));
        assert!(error("rsa:1").starts_with("\"rsa:1\" is no fingerprint: a fingerprint starts with"));
        assert!(error(&format!("ed25519:{}", "é".repeat(32))).contains("64 hex digits"));
    }
}
