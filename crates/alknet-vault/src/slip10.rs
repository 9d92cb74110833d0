//! SLIP-0010 key derivation for Ed25519: one seed, a separate key for every purpose.
//!
//! Source: [SLIP-0010](https://github.com/satoshilabs/slips/blob/master/slip-0010.md). Ed25519 has hardened derivation
//! only: a child's private key comes from its parent's private key, and public keys derive nothing.
//!
//! BIP32-Ed25519 (Khovratovich and Law; used by Cardano) is another scheme. It has non-hardened children too, gives
//! other keys for the same seed and path, and is not implemented here.

use std::fmt::{self, Display};
use std::str::FromStr;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::secret::{SecretKey32, Seed};

#[cfg(test)]
mod tests;

/// The bit that marks a component as hardened (BIP-32). Written as `'`.
const HARDENED: u32 = 1 << 31;

/// The version of the first AES-256-GCM key. Versions count upwards from here.
pub const FIRST_KEY_VERSION: u32 = 2;
/// The version of the last AES-256-GCM key: a component of a path has 31 bits.
pub const LAST_KEY_VERSION: u32 = FIRST_KEY_VERSION + (HARDENED - 1);

/// Derives the 32-byte private key at `path`.
///
/// Every path of a seed gives an independent key: from one of them nobody can compute another, or the seed.
pub fn derive(seed: &Seed, path: &DerivationPath) -> SecretKey32 {
    let node = path.0.iter().fold(Node::master(seed.as_bytes()), |node, &index| node.child(index));
    SecretKey32::from_bytes(&node.key)
}

/// A key together with the chain code that its children are derived with.
struct Node {
    key: Zeroizing<[u8; 32]>,
    chain_code: Zeroizing<[u8; 32]>,
}

impl Node {
    /// SLIP-0010, "Master key generation".
    fn master(seed: &[u8]) -> Self {
        Self::from_hmac(b"ed25519 seed", seed)
    }

    /// SLIP-0010, "Private parent key → private child key", for the hardened child `index` (without the hardened bit).
    fn child(&self, index: u32) -> Self {
        // 0x00 ‖ key ‖ index, in memory that does not grow and is wiped.
        let mut data = Zeroizing::new(Vec::with_capacity(1 + SecretKey32::LEN + 4));
        data.push(0);
        data.extend_from_slice(self.key.as_slice());
        data.extend_from_slice(&(index | HARDENED).to_be_bytes());
        Self::from_hmac(self.chain_code.as_slice(), &data)
    }

    /// HMAC-SHA512 of `data`, whose left half is the key and right half the chain code. For Ed25519 every 32 bytes are a
    /// valid private key, so there is nothing to retry.
    fn from_hmac(hmac_key: &[u8], data: &[u8]) -> Self {
        // Into a buffer of our own, because `hmac::Tag` is not wiped when dropped.
        let mut tag = Zeroizing::new([0; 64]);
        let signed = hmac::sign_to_buffer(&hmac::Key::new(hmac::HMAC_SHA512, hmac_key), data, tag.as_mut_slice());
        assert!(signed.is_ok(), "HMAC-SHA512 fills 64 bytes");
        let (left, right) = tag.split_at(SecretKey32::LEN);
        let mut node = Self { key: Zeroizing::new([0; 32]), chain_code: Zeroizing::new([0; 32]) };
        node.key.copy_from_slice(left);
        node.chain_code.copy_from_slice(right);
        node
    }
}

/// A path of hardened components, such as `m/74'/0'/0'/0'`.
///
/// `m` alone is the master key. [`FromStr`] accepts `'`, `h` and `H` as the mark of a hardened component, as BIP-32 does;
/// [`Display`] writes `'`. A path is no secret.
///
/// ```
/// use alknet_vault::DerivationPath;
///
/// let path: DerivationPath = "m/74h/0h/0h/0h".parse()?;
/// assert_eq!(path, DerivationPath::node_key());
/// assert_eq!(path.to_string(), "m/74'/0'/0'/0'");
/// # Ok::<(), alknet_vault::slip10::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DerivationPath(Vec<u32>);

impl DerivationPath {
    /// The most components that a path has: BIP-32 counts the depth of a key in one byte.
    pub const MAX_DEPTH: usize = 255;

    /// The node's identity: `m/74'/0'/0'/0'`.
    pub fn node_key() -> Self {
        Self(vec![74, 0, 0, 0])
    }

    /// The host key of the node's SSH server: `m/74'/0'/1'/0'`.
    pub fn ssh_host_key() -> Self {
        Self(vec![74, 0, 1, 0])
    }

    /// The AES-256-GCM key of a version: `m/74'/2'/0'/{version - 2}'`.
    ///
    /// # Errors
    ///
    /// [`KeyVersionError`] if `version` is not from [`FIRST_KEY_VERSION`] to [`LAST_KEY_VERSION`].
    pub fn encryption_key(version: u32) -> Result<Self, KeyVersionError> {
        match version.checked_sub(FIRST_KEY_VERSION) {
            Some(index) if index < HARDENED => Ok(Self(vec![74, 2, 0, index])),
            _ => Err(KeyVersionError { version }),
        }
    }

    /// The key that signs Nix store paths: `m/74'/3'/0'/0'`.
    pub fn nix_signing_key() -> Self {
        Self(vec![74, 3, 0, 0])
    }
}

impl FromStr for DerivationPath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        let mut parts = path.split('/');
        if parts.next() != Some("m") {
            return Err(PathError::Root);
        }
        let components = parts.map(parse_component).collect::<Result<Vec<_>, _>>()?;
        if components.len() > Self::MAX_DEPTH {
            return Err(PathError::Depth { found: components.len() });
        }
        Ok(Self(components))
    }
}

fn parse_component(component: &str) -> Result<u32, PathError> {
    let invalid = || PathError::Component { component: shortened(component) };
    let digits = component.strip_suffix(['\'', 'h', 'H']);
    let number = digits.unwrap_or(component);
    // `parse` alone would let a sign through.
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    let index = number.parse().ok().filter(|index| *index < HARDENED).ok_or_else(invalid)?;
    match digits {
        Some(_) => Ok(index),
        None => Err(PathError::NotHardened { index }),
    }
}

/// The start of a text from outside, for an error message of bounded length.
fn shortened(text: &str) -> String {
    text.chars().take(16).collect()
}

impl Display for DerivationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("m")?;
        self.0.iter().try_for_each(|index| write!(f, "/{index}'"))
    }
}

/// A text was no derivation path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The path does not start at the master key.
    #[error("a derivation path starts with `m`, as in m/74'/0'/0'/0'")]
    Root,
    /// A component is not a number below 2³¹.
    #[error("`{component}` is no component of a derivation path: write a number from 0 to 2147483647 followed by '")]
    Component {
        /// The component, at most its first 16 characters.
        component: String,
    },
    /// A component lacks the mark of a hardened one.
    #[error("`{index}` is not hardened, and Ed25519 has only hardened derivation (SLIP-0010): write {index}'")]
    NotHardened {
        /// The component's number.
        index: u32,
    },
    /// There are more components than [`DerivationPath::MAX_DEPTH`].
    #[error("a derivation path of {found} components is too long: it has at most {}", DerivationPath::MAX_DEPTH)]
    Depth {
        /// How many components there are.
        found: usize,
    },
}

/// There is no key of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no key of version {version}: versions are from {FIRST_KEY_VERSION} to {LAST_KEY_VERSION}")]
pub struct KeyVersionError {
    /// The version asked for.
    pub version: u32,
}
