//! The JSON form of a sealed seed.
//!
//! Written by hand: every value is a number, base64 or hex, so nothing needs escaping and nothing can fail, and the
//! authenticated text depends on no library's habits.

use std::mem;

use serde::{Deserialize, Deserializer};

use super::{Cost, SealedError, SealedSeed, sha256_hex};
use crate::encoding::{array_from_base64, field, json_reason, to_base64};

pub(super) const FORMAT: &str = "alknet-vault";
pub(super) const VERSION: u32 = 1;
pub(super) const ALGORITHM: &str = "argon2id";

/// The file as it is written, before any of its values is believed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(deserialize_with = "format")]
    format: String,
    #[serde(deserialize_with = "version")]
    version: u32,
    kdf: Kdf,
    #[serde(deserialize_with = "iv")]
    iv: String,
    #[serde(deserialize_with = "data")]
    data: String,
    #[serde(deserialize_with = "checksum")]
    checksum: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    #[serde(deserialize_with = "algorithm")]
    algorithm: String,
    #[serde(deserialize_with = "memory_kib")]
    memory_kib: u32,
    #[serde(deserialize_with = "iterations")]
    iterations: u32,
    #[serde(deserialize_with = "parallelism")]
    parallelism: u32,
    #[serde(deserialize_with = "salt")]
    salt: String,
}

/// The two members that have a meaning in every version.
#[derive(Deserialize)]
struct Kind {
    #[serde(deserialize_with = "format")]
    format: String,
    #[serde(deserialize_with = "version")]
    version: u32,
}

/// Functions that read a field and name it when that fails.
macro_rules! named_fields {
    ($($name:ident: $type:ty),+ $(,)?) => {$(
        fn $name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            field(stringify!($name), deserializer)
        }
    )+};
}

named_fields! {
    format: String, version: u32, iv: String, data: String, checksum: String,
    algorithm: String, memory_kib: u32, iterations: u32, parallelism: u32, salt: String,
}

/// The associated data of the encryption.
pub(super) fn header(sealed: &SealedSeed) -> String {
    Document::from(sealed).header()
}

/// The file's contents.
pub(super) fn write(sealed: &SealedSeed) -> String {
    let document = Document::from(sealed);
    let Document { format, version, kdf, iv, data, checksum } = &document;
    let Kdf { algorithm, memory_kib, iterations, parallelism, salt } = kdf;
    format!(
        r#"{{
  "format": "{format}",
  "version": {version},
  "kdf": {{
    "algorithm": "{algorithm}",
    "memory_kib": {memory_kib},
    "iterations": {iterations},
    "parallelism": {parallelism},
    "salt": "{salt}"
  }},
  "iv": "{iv}",
  "data": "{data}",
  "checksum": "{checksum}"
}}
"#
    )
}

/// Reads the file's contents and checks them, in the order in which the errors say most.
pub(super) fn read(json: &[u8]) -> Result<SealedSeed, SealedError> {
    let kind: Kind = serde_json::from_slice(json).map_err(syntax)?;
    if kind.format != FORMAT {
        return Err(SealedError::Format);
    }
    if kind.version != VERSION {
        return Err(SealedError::Version { found: kind.version });
    }
    let mut document: Document = serde_json::from_slice(json).map_err(syntax)?;
    // Compared as text: upper-case digits are a change of the file, too.
    if mem::take(&mut document.checksum) != document.checksum() {
        return Err(SealedError::Damaged);
    }
    let kdf = &document.kdf;
    if kdf.algorithm != ALGORITHM {
        return Err(SealedError::Algorithm);
    }
    Ok(SealedSeed {
        cost: Cost::new(kdf.memory_kib, kdf.iterations, kdf.parallelism)?,
        salt: bytes("salt", &kdf.salt)?,
        iv: bytes("iv", &document.iv)?,
        data: bytes("data", &document.data)?,
    })
}

fn bytes<const N: usize>(name: &str, text: &str) -> Result<[u8; N], SealedError> {
    array_from_base64(text).map_err(|error| SealedError::Syntax { reason: format!("field `{name}` {error}") })
}

fn syntax(error: serde_json::Error) -> SealedError {
    SealedError::Syntax { reason: json_reason(&error) }
}

impl Document {
    /// The canonical text of everything that goes with the encryption.
    fn header(&self) -> String {
        let Self { format, version, kdf, .. } = self;
        let Kdf { algorithm, memory_kib, iterations, parallelism, salt } = kdf;
        format!(
            r#"{{"format":"{format}","version":{version},"kdf":{{"algorithm":"{algorithm}","memory_kib":{memory_kib},"#
        ) + &format!(r#""iterations":{iterations},"parallelism":{parallelism},"salt":"{salt}"}}}}"#)
    }

    /// SHA-256 of the canonical text of everything but the checksum.
    fn checksum(&self) -> String {
        let Self { iv, data, .. } = self;
        let mut body = self.header();
        body.pop();
        body.push_str(&format!(r#","iv":"{iv}","data":"{data}"}}"#));
        sha256_hex(body.as_bytes())
    }
}

impl From<&SealedSeed> for Document {
    fn from(sealed: &SealedSeed) -> Self {
        let mut document = Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            kdf: Kdf {
                algorithm: ALGORITHM.to_owned(),
                memory_kib: sealed.cost.memory_kib,
                iterations: sealed.cost.iterations,
                parallelism: sealed.cost.parallelism,
                salt: to_base64(&sealed.salt),
            },
            iv: to_base64(&sealed.iv),
            data: to_base64(&sealed.data),
            checksum: String::new(),
        };
        document.checksum = document.checksum();
        document
    }
}
