//! What an invitation is used with.

use std::str::FromStr;

use alknet_core::TokenHash;
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::{PairingError, base32};

/// 128 bits: beyond guessing for something that is good for days, and a link stays short enough to be a QR code.
const BYTES: usize = 16;

/// A one-time token. It has neither `Debug` nor `Display`.
///
/// ```compile_fail
/// println!("{:?}", alknet::pairing::JoinToken::generate());
/// ```
pub struct JoinToken(Zeroizing<[u8; BYTES]>);

impl JoinToken {
    /// How many characters it has.
    pub const LENGTH: usize = base32::length(BYTES);

    /// Makes a token.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, PairingError> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| PairingError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// The token itself, to be shown to the node that made it.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(Self::LENGTH));
        base32::encode(&*self.0, &mut text);
        text
    }

    /// What is stored of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.reveal())
    }
}

impl FromStr for JoinToken {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        base32::decode(text).map(Self).ok_or(())
    }
}
