//! The seed and the keys derived from it: wrappers that are wiped when dropped and cannot be printed or copied.

use std::str;

use zeroize::Zeroizing;

use crate::encoding::{push_hex, read_hex};
use crate::mnemonic::{Mnemonic, MnemonicError};

/// The 64-byte BIP-39 seed that everything else is derived from.
///
/// Wiped when dropped. It lives on the heap, so that moving it leaves no copies behind, and implements neither `Debug`,
/// `Display`, `Serialize`, `Clone` nor `PartialEq`: a seed gets into a log or a file only through [`Seed::as_bytes`] or
/// [`Seed::to_credential`].
pub struct Seed(Box<Zeroizing<[u8; Self::LEN]>>);

impl Seed {
    /// Length in bytes: 64 (BIP-39, "From mnemonic to seed").
    pub const LEN: usize = 64;

    /// Copies a seed. The caller wipes its own copy.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut seed = Self::zero();
        seed.0.copy_from_slice(bytes);
        seed
    }

    /// Reads a seed from the contents of a credential, such as a file that systemd's `LoadCredential=` provides.
    ///
    /// The contents are either a BIP-39 phrase (its words separated by white space; without a passphrase) or the seed as
    /// 128 hex digits. White space around either is ignored, so a final newline does no harm.
    ///
    /// # Errors
    ///
    /// [`SeedError`] says what is wrong, and never repeats the contents.
    pub fn from_credential(contents: &[u8]) -> Result<Self, SeedError> {
        let text = str::from_utf8(contents).map_err(|_| SeedError::NotText)?.trim();
        if text.is_empty() {
            return Err(SeedError::Empty);
        }
        if text.contains(char::is_whitespace) {
            return Ok(Mnemonic::parse(text).map_err(SeedError::Mnemonic)?.to_seed(""));
        }
        let mut seed = Self::zero();
        if read_hex(text, seed.0.as_mut_slice()) {
            Ok(seed)
        } else if text.chars().all(|c| c.is_ascii_hexdigit()) {
            Err(SeedError::HexLength { found: text.len() })
        } else {
            Err(SeedError::Unrecognised { characters: text.chars().count() })
        }
    }

    /// The seed as [`Seed::from_credential`] reads it: 128 lower-case hex digits, without a newline.
    pub fn to_credential(&self) -> Zeroizing<String> {
        // The capacity is there from the start: growing would leave a part of the seed in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(2 * Self::LEN));
        push_hex(&mut text, self.as_bytes());
        text
    }

    /// The bytes of the seed. Every copy made of them is the caller's to wipe.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// A seed to be overwritten: filling it in place leaves no second copy on the stack.
    fn zero() -> Self {
        Self(Box::new(Zeroizing::new([0; Self::LEN])))
    }
}

/// A credential's contents were no seed. The messages never repeat the contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// Nothing, or only white space.
    #[error("the seed credential is empty: write a BIP-39 phrase or 128 hex digits into it")]
    Empty,
    /// Not UTF-8.
    #[error("the seed credential is not text: write a BIP-39 phrase or 128 hex digits into it")]
    NotText,
    /// Several words, but not a phrase. Why is part of the message, and therefore no `source`.
    #[error("the seed credential has several words and is not a BIP-39 phrase: {0}")]
    Mnemonic(MnemonicError),
    /// Hex digits, but not 128 of them.
    #[error("the seed credential has {found} hex digits: a seed has 128")]
    HexLength {
        /// How many digits there are.
        found: usize,
    },
    /// One word that is not made of hex digits.
    #[error(
        "the seed credential is one word of {characters} characters that are not all hex digits: write a BIP-39 phrase \
         (words separated by spaces) or 128 hex digits into it"
    )]
    Unrecognised {
        /// How many characters there are.
        characters: usize,
    },
}

/// A derived 32-byte secret: an Ed25519 private key (RFC 8032 §5.1.5, the "seed" from which the key pair is made) or an
/// AES-256 key.
///
/// Wiped when dropped. It lives on the heap, so that moving it leaves no copies behind, and implements neither `Debug`,
/// `Display`, `Serialize`, `Clone` nor `PartialEq`.
pub struct SecretKey32(Box<Zeroizing<[u8; Self::LEN]>>);

impl SecretKey32 {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Copies a key. The caller wipes its own copy.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut key = Box::new(Zeroizing::new([0; Self::LEN]));
        key.copy_from_slice(bytes);
        Self(key)
    }

    /// The bytes of the key. Every copy made of them is the caller's to wipe.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str =
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
    // BIP-39 seed of the phrase above with an empty passphrase.
    const HEX: &str = "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1\
                       9a5ac40b389cd370d086206dec8aa6c43daea6690f20ad3d8d48b2d2ce9e38e4";

    fn error(contents: &[u8]) -> SeedError {
        Seed::from_credential(contents).err().unwrap()
    }

    #[test]
    fn a_credential_is_a_phrase_or_hex() {
        for contents in [
            PHRASE.to_owned(),
            format!("{PHRASE}\n"),
            PHRASE.replace(' ', "\n"),
            PHRASE.replace(' ', " \t "),
            HEX.to_owned(),
            format!("  {HEX}\r\n"),
            HEX.to_uppercase(),
        ] {
            let seed = Seed::from_credential(contents.as_bytes()).unwrap();
            assert_eq!(*seed.to_credential(), HEX, "{contents}");
        }
    }

    #[test]
    fn other_contents_are_refused() {
        assert_eq!(error(b""), SeedError::Empty);
        assert_eq!(error(b" \n"), SeedError::Empty);
        assert_eq!(error(b"\xff\xfe"), SeedError::NotText);
        assert_eq!(error(b"00ff\n"), SeedError::HexLength { found: 4 });
        assert_eq!(error("abcdx".as_bytes()), SeedError::Unrecognised { characters: 5 });
        assert_eq!(error(b"abandon about"), SeedError::Mnemonic(MnemonicError::WordCount { found: 2 }));
    }

    #[test]
    fn errors_do_not_repeat_the_contents() {
        let phrase = PHRASE.replace("about", "hunter2");
        for contents in [phrase.as_str(), "hunter2", "hunter2 hunter2"] {
            let error = error(contents.as_bytes());
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
