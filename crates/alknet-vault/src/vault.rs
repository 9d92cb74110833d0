//! The vault: the keys of a node, and encryption of its credentials.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

use crate::aead::{self, AeadError};
use crate::encrypted::{EncryptedData, SALT_LEN};
use crate::random::{self, RandomError};
use crate::secret::{SecretKey32, Seed};
use crate::slip10::{self, DerivationPath, KeyVersionError};

/// Separates these keys from every other use of HKDF (RFC 5869 §3.2). The key version follows, as a big-endian `u32`.
const HKDF_INFO: &[u8] = b"alknet vault v1 AES-256-GCM";

/// The keys of a node, all derived from its seed.
///
/// Keys are derived when asked for (a handful of HMACs), so the seed is the only secret kept. Wiped when dropped.
///
/// ```
/// use alknet_vault::{Seed, Vault};
///
/// let vault = Vault::from_seed(Seed::from_bytes(&[7; 64]));
/// let encrypted = vault.encrypt(b"hunter2", b"db.password", 2)?;
/// assert_eq!(vault.decrypt(&encrypted, b"db.password")?.as_slice(), b"hunter2");
/// assert!(vault.decrypt(&encrypted, b"mail.password").is_err());
/// # Ok::<(), alknet_vault::vault::VaultError>(())
/// ```
pub struct Vault {
    seed: Seed,
}

impl Vault {
    /// The vault of a seed.
    pub fn from_seed(seed: Seed) -> Self {
        Self { seed }
    }

    /// The seed itself, for sealing it ([`SealedSeed::seal`](crate::SealedSeed::seal)).
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The Ed25519 private key that is the node's identity ([`DerivationPath::node_key`]).
    pub fn node_key(&self) -> SecretKey32 {
        slip10::derive(&self.seed, &DerivationPath::node_key())
    }

    /// The Ed25519 private key of the node's SSH server ([`DerivationPath::ssh_host_key`]).
    pub fn ssh_host_key(&self) -> SecretKey32 {
        slip10::derive(&self.seed, &DerivationPath::ssh_host_key())
    }

    /// The Ed25519 private key that signs Nix store paths ([`DerivationPath::nix_signing_key`]).
    pub fn nix_signing_key(&self) -> SecretKey32 {
        slip10::derive(&self.seed, &DerivationPath::nix_signing_key())
    }

    /// Encrypts `plaintext` with the key of `key_version`.
    ///
    /// `context` says what the plaintext is, such as the name of its entry. It is authenticated but not stored:
    /// [`Vault::decrypt`] must be given the same one, so that nobody can pass one entry off as another.
    ///
    /// The length of the plaintext stays visible.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyVersion`] if there is no such version, [`VaultError::Random`] without randomness,
    /// [`VaultError::Refused`] if the plaintext is longer than 64 GiB, where AES-GCM ends.
    pub fn encrypt(&self, plaintext: &[u8], context: &[u8], key_version: u32) -> Result<EncryptedData, VaultError> {
        self.encrypt_with(plaintext, context, key_version, random::array()?, random::array()?)
    }

    fn encrypt_with(
        &self,
        plaintext: &[u8],
        context: &[u8],
        key_version: u32,
        salt: [u8; SALT_LEN],
        iv: [u8; aead::IV_LEN],
    ) -> Result<EncryptedData, VaultError> {
        let key = self.message_key(key_version, &salt)?;
        let data = aead::seal(&key, &iv, context, plaintext).map_err(|AeadError| VaultError::Refused)?;
        Ok(EncryptedData { key_version, salt, iv, data })
    }

    /// Decrypts what [`Vault::encrypt`] made with the same seed and `context`.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyVersion`] if the data names a version that cannot exist, [`VaultError::Decrypt`] if the data, the
    /// context or the seed is not the one it was encrypted with.
    pub fn decrypt(&self, encrypted: &EncryptedData, context: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let EncryptedData { key_version, salt, iv, data } = encrypted;
        let key = self.message_key(*key_version, salt)?;
        aead::open(&key, iv, context, data).map_err(|AeadError| VaultError::Decrypt { key_version: *key_version })
    }

    /// Decrypts and encrypts again with the key of `to_version`; the same version again is allowed.
    ///
    /// # Errors
    ///
    /// [`VaultError::Backwards`] if `to_version` is older than the data's version, and those of [`Vault::decrypt`] and
    /// [`Vault::encrypt`].
    pub fn rotate(
        &self,
        encrypted: &EncryptedData,
        context: &[u8],
        to_version: u32,
    ) -> Result<EncryptedData, VaultError> {
        if to_version < encrypted.key_version {
            return Err(VaultError::Backwards { from: encrypted.key_version, to: to_version });
        }
        self.encrypt(&self.decrypt(encrypted, context)?, context, to_version)
    }

    /// The key of one message: HKDF-SHA256 (RFC 5869) of the version's key and the message's salt.
    ///
    /// With a key of its own for every message, random 96-bit IVs never come near the 2³² messages per key at which NIST
    /// SP 800-38D §8.3 draws the line.
    fn message_key(
        &self,
        key_version: u32,
        salt: &[u8; SALT_LEN],
    ) -> Result<Zeroizing<[u8; aead::KEY_LEN]>, VaultError> {
        let version_key = slip10::derive(&self.seed, &DerivationPath::encryption_key(key_version)?);
        let mut key = Zeroizing::new([0; aead::KEY_LEN]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(version_key.as_bytes())
            .expand(&[HKDF_INFO, &key_version.to_be_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(key.as_mut_slice()))
            .map_err(|Unspecified| VaultError::Refused)?;
        Ok(key)
    }
}

/// Encryption or decryption failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// There is no key of this version.
    #[error(transparent)]
    KeyVersion(#[from] KeyVersionError),
    /// The data is not what this vault encrypted in this context.
    #[error(
        "cannot decrypt with the key of version {key_version}: the data was changed, it belongs to another entry, or it \
         was encrypted with another seed"
    )]
    Decrypt {
        /// The version that the data names.
        key_version: u32,
    },
    /// The cryptographic library refused to work, for which only the length of the plaintext can be a reason.
    #[error("the cryptographic library refused to encrypt: AES-GCM ends at 64 GiB")]
    Refused,
    /// A rotation to an older key.
    #[error("cannot rotate from key version {from} back to {to}: versions only go up")]
    Backwards {
        /// The version of the data.
        from: u32,
        /// The version asked for.
        to: u32,
    },
    /// There was no randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

#[cfg(test)]
mod tests {
    use std::array;

    use proptest::prelude::*;

    use super::*;
    use crate::encoding::push_hex;

    /// The vault of the seed 00 01 02 … 3f.
    fn vault() -> Vault {
        Vault::from_seed(Seed::from_bytes(&array::from_fn(|i| i as u8)))
    }

    fn hex(key: &SecretKey32) -> String {
        let mut text = String::new();
        push_hex(&mut text, key.as_bytes());
        text
    }

    // The expected values of the next two tests were computed with Python's hmac and cryptography modules. They must
    // never change: nodes would lose their identity, and credentials their contents.
    #[test]
    fn the_keys_of_a_seed_never_change() {
        let vault = vault();
        assert_eq!(hex(&vault.node_key()), "1d2310f176f10c657e9fdf9b89f6471ecf16085573698bf63cc11e854e0c268d");
        assert_eq!(hex(&vault.ssh_host_key()), "e15915e7f93ff867692de88ec53ff52556eb570805e1a26c432ca9f4e1863785");
        assert_eq!(hex(&vault.nix_signing_key()), "9ea02fd1aac239e4c481bbaa77198ec20cf1204b0f57b3b027e6141a8fcf4c60");
    }

    #[test]
    fn the_format_never_changes() {
        for (key_version, data) in [
            (2, "tdmfztenb4PHRZcebN1e7J4/CZlk7lLv0NhFFJ/h2+03PV6K"),
            (7, "5pW854e9grs0dNmiSyyl7dTEH1OiHH+6ZC4JPNXDNZALv/fg"),
        ] {
            let encrypted =
                vault().encrypt_with(b"a secret of the node", b"db.password", key_version, [0xa1; 16], [0xb2; 12]);
            let json = serde_json::to_string(&encrypted.unwrap()).unwrap();
            let start = format!(r#"{{"key_version":{key_version},"salt":"oaGhoaGhoaGhoaGhoaGhoQ==","#);
            assert_eq!(json, format!(r#"{start}"iv":"srKysrKysrKysrKy","data":"{data}"}}"#));
        }
    }

    #[test]
    fn every_message_has_a_salt_and_an_iv_of_its_own() {
        let (one, two) = (vault().encrypt(b"x", b"", 2).unwrap(), vault().encrypt(b"x", b"", 2).unwrap());
        assert!(one.salt != two.salt && one.iv != two.iv && one.data != two.data);
    }

    #[test]
    fn every_field_is_authenticated() {
        let vault = vault();
        let encrypted = vault.encrypt(b"secret", b"name", 3).unwrap();
        let refused = |encrypted: &EncryptedData, context: &[u8]| {
            let key_version = encrypted.key_version;
            assert_eq!(vault.decrypt(encrypted, context).err(), Some(VaultError::Decrypt { key_version }));
        };
        for bit in 0..8 {
            let flip = |bytes: &mut [u8], index: usize| bytes[index] ^= 1 << bit;
            for index in 0..encrypted.salt.len() {
                let mut changed = encrypted.clone();
                flip(&mut changed.salt, index);
                refused(&changed, b"name");
            }
            for index in 0..encrypted.iv.len() {
                let mut changed = encrypted.clone();
                flip(&mut changed.iv, index);
                refused(&changed, b"name");
            }
            for index in 0..encrypted.data.len() {
                let mut changed = encrypted.clone();
                flip(&mut changed.data, index);
                refused(&changed, b"name");
            }
        }
        refused(&EncryptedData { key_version: 2, ..encrypted.clone() }, b"name");
        refused(&EncryptedData { key_version: 4, ..encrypted.clone() }, b"name");
        refused(&encrypted, b"");
        refused(&encrypted, b"eman");
        let other = Vault::from_seed(Seed::from_bytes(&[0; 64]));
        assert!(other.decrypt(&encrypted, b"name").is_err());
    }

    #[test]
    fn rotation_keeps_the_plaintext_and_the_old_version_readable() {
        let vault = vault();
        let old = vault.encrypt(b"secret", b"name", 2).unwrap();
        let new = vault.rotate(&old, b"name", 3).unwrap();
        assert_eq!((old.key_version(), new.key_version()), (2, 3));
        for encrypted in [&old, &new, &vault.rotate(&new, b"name", 3).unwrap()] {
            assert_eq!(vault.decrypt(encrypted, b"name").unwrap().as_slice(), b"secret");
        }
        assert_eq!(vault.rotate(&new, b"name", 2), Err(VaultError::Backwards { from: 3, to: 2 }));
        assert!(vault.rotate(&old, b"another", 3).is_err());
    }

    #[test]
    fn versions_that_do_not_exist_are_refused() {
        for version in [0, 1, u32::MAX] {
            let error = vault().encrypt(b"", b"", version).unwrap_err();
            assert_eq!(error, VaultError::KeyVersion(KeyVersionError { version }));
        }
    }

    proptest! {
        #[test]
        fn what_was_encrypted_is_decrypted(
            plaintext: Vec<u8>, context: Vec<u8>, other: Vec<u8>, key_version in 2u32..=slip10::LAST_KEY_VERSION
        ) {
            let vault = vault();
            let encrypted = vault.encrypt(&plaintext, &context, key_version).unwrap();
            let json = serde_json::to_string(&encrypted).unwrap();
            let encrypted: EncryptedData = serde_json::from_str(&json).unwrap();
            let decrypted = vault.decrypt(&encrypted, &context).unwrap();
            prop_assert_eq!(decrypted.as_slice(), plaintext.as_slice());
            prop_assert_eq!(vault.decrypt(&encrypted, &other).is_ok(), other == context);
        }
    }
}
