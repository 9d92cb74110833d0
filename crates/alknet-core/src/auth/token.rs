//! Bearer tokens: `alk_` and 256 random bits; only their SHA-256 is ever stored.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::fingerprint::{Hex, sha256, unhex};

const PREFIX: &str = "alk_";

/// A bearer token. It has neither `Debug` nor `Display`; [`Token::reveal`] hands it out where it is shown once.
///
/// ```compile_fail
/// println!("{:?}", alknet_core::Token::generate());
/// ```
pub struct Token(Zeroizing<String>);

impl Token {
    /// Makes a token of 256 random bits.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| NoRandomness)?;
        Ok(Self(Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*bytes)))))
    }

    /// The token itself, for the one time that it is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// SHA-256 of a token's text: what configuration and stores hold.
///
/// A token has enough entropy that the plain digest cannot be searched, and that looking it up in a hash map tells an
/// attacker nothing: to learn from the timing he would have to choose the digest, not the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token as a client sent it.
    pub fn of(token: &str) -> Self {
        Self(sha256(token.as_bytes()))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TokenHash {
    type Err = InvalidTokenHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(PREFIX) {
            return Err(InvalidTokenHash::IsToken);
        }
        unhex(text).map(Self).ok_or_else(|| InvalidTokenHash::NotHex(text.chars().take(80).collect()))
    }
}

/// A text that is no token hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTokenHash {
    /// A token stands where its hash belongs. The value is left out of the message, it is a secret.
    #[error(
        "this is a token, not its SHA-256: it is now known to whoever read this file, so make a new one with `alknet token new`"
    )]
    IsToken,
    /// Not 64 hex digits.
    #[error("\"{0}\" is no SHA-256: write 64 hex digits")]
    NotHex(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (a, b) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(a.reveal(), b.reveal());
        assert!(a.reveal().starts_with("alk_"));
        assert_eq!(a.reveal().len(), 4 + 43);
        assert_eq!(a.hash(), TokenHash::of(a.reveal()));
    }

    #[test]
    fn the_hash_is_plain_sha256() {
        let hash = TokenHash::of("abc").to_string();
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(hash.parse::<TokenHash>().unwrap(), TokenHash::of("abc"));
    }

    #[test]
    fn a_token_in_the_place_of_its_hash_is_not_repeated() {
        let error = "alk_secretsecret".parse::<TokenHash>().unwrap_err();
        assert_eq!(error, InvalidTokenHash::IsToken);
        assert!(!error.to_string().contains("secretsecret"));
    }
}
