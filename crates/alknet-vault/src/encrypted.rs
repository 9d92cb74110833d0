//! Encrypted data and its JSON form.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::aead;
use crate::encoding::{array_from_base64, field, from_base64, to_base64};
use crate::slip10::DerivationPath;

/// Length of the salt that a message's key is derived with, in bytes.
pub(crate) const SALT_LEN: usize = 16;

/// What [`Vault::encrypt`](crate::Vault::encrypt) makes: no secret, and safe to store anywhere.
///
/// As JSON it is `{"key_version": 2, "salt": …, "iv": …, "data": …}`: the version is a number, the others are standard
/// base64 with padding (RFC 4648 §4) of 16, 12 and at least 16 bytes. `data` is the ciphertext followed by the 128-bit
/// tag. Reading JSON checks the form and names a field that is wrong; whether the contents are authentic is found out by
/// [`Vault::decrypt`](crate::Vault::decrypt).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptedData {
    #[serde(deserialize_with = "read_key_version")]
    pub(crate) key_version: u32,
    #[serde(serialize_with = "write_base64", deserialize_with = "read_salt")]
    pub(crate) salt: [u8; SALT_LEN],
    #[serde(serialize_with = "write_base64", deserialize_with = "read_iv")]
    pub(crate) iv: [u8; aead::IV_LEN],
    #[serde(serialize_with = "write_base64", deserialize_with = "read_data")]
    pub(crate) data: Vec<u8>,
}

impl EncryptedData {
    /// The version of the key that it is encrypted with.
    pub fn key_version(&self) -> u32 {
        self.key_version
    }
}

fn write_base64<S: Serializer>(bytes: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_base64(bytes.as_ref()))
}

fn read_key_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = field("key_version", deserializer)?;
    match DerivationPath::encryption_key(version) {
        Ok(_) => Ok(version),
        Err(error) => Err(Error::custom(format_args!("field `key_version`: {error}"))),
    }
}

fn read_salt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; SALT_LEN], D::Error> {
    let text: String = field("salt", deserializer)?;
    array_from_base64(&text).map_err(|error| Error::custom(format_args!("field `salt` {error}")))
}

fn read_iv<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; aead::IV_LEN], D::Error> {
    let text: String = field("iv", deserializer)?;
    array_from_base64(&text).map_err(|error| Error::custom(format_args!("field `iv` {error}")))
}

fn read_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: String = field("data", deserializer)?;
    let data = from_base64(&text).map_err(|error| Error::custom(format_args!("field `data` {error}")))?;
    if data.len() < aead::TAG_LEN {
        let (found, least) = (data.len(), aead::TAG_LEN);
        return Err(Error::custom(format_args!("field `data` has {found} bytes, fewer than the {least} of its tag")));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> EncryptedData {
        EncryptedData { key_version: 2, salt: [1; 16], iv: [2; 12], data: vec![3; 20] }
    }

    #[test]
    fn json_errors_name_the_field() {
        let good = serde_json::to_value(good()).unwrap();
        for (name, value, expected) in [
            ("key_version", serde_json::json!("2"), "field `key_version`: invalid type"),
            ("key_version", serde_json::json!(1), "field `key_version`: there is no key of version 1"),
            ("key_version", serde_json::json!(-2), "field `key_version`: invalid value"),
            ("salt", serde_json::json!(5), "field `salt`: invalid type"),
            ("salt", serde_json::json!("AAAA"), "field `salt` has 3 bytes instead of 16"),
            ("iv", serde_json::json!("srKysrKysrKysrK"), "field `iv` is not standard base64 with padding"),
            ("iv", serde_json::json!(null), "field `iv`: invalid type"),
            ("data", serde_json::json!("*"), "field `data` is not standard base64 with padding"),
            ("data", serde_json::json!("AAAA"), "field `data` has 3 bytes, fewer than the 16 of its tag"),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            let error = serde_json::from_str::<EncryptedData>(&bad.to_string()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        for name in ["key_version", "salt", "iv", "data"] {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(name);
            let error = serde_json::from_value::<EncryptedData>(bad).unwrap_err().to_string();
            assert_eq!(error, format!("missing field `{name}`"));
        }
    }
}
