//! Reading the JSON of a credentials file.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{CredentialFile, CredentialsError, VERSION, check_name, syntax};
use crate::encoding::field;
use crate::encrypted::EncryptedData;
use crate::slip10::DerivationPath;

pub(super) fn read(json: &[u8]) -> Result<CredentialFile, CredentialsError> {
    let kind: Kind = serde_json::from_slice(json).map_err(syntax)?;
    if kind.version != VERSION {
        return Err(CredentialsError::Version { found: kind.version });
    }
    let document: Document = serde_json::from_slice(json).map_err(syntax)?;
    let Document { version, key_version, entries: Entries(entries) } = document;
    // The next rotation would take such an entry backwards.
    if let Some((name, entry)) = entries.iter().find(|(_, entry)| entry.key_version() > key_version) {
        let (name, found) = (name.clone(), entry.key_version());
        return Err(CredentialsError::NewerEntry { name, found, key_version });
    }
    Ok(CredentialFile { version, key_version, entries })
}

/// The member that has a meaning in every version.
#[derive(Deserialize)]
struct Kind {
    #[serde(deserialize_with = "version")]
    version: u32,
}

/// The file as it is read. Members that are not known would be lost by saving it again, so they are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(deserialize_with = "version")]
    version: u32,
    #[serde(deserialize_with = "key_version")]
    key_version: u32,
    entries: Entries,
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    field("version", deserializer)
}

fn key_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let version = field("key_version", deserializer)?;
    DerivationPath::encryption_key(version).map_err(|e| D::Error::custom(format_args!("field `key_version`: {e}")))?;
    Ok(version)
}

/// The entries, read with their names checked and none of them twice.
struct Entries(BTreeMap<String, EncryptedData>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            check_name(&name).map_err(A::Error::custom)?;
            let value = map.next_value();
            let value = value.map_err(|error| A::Error::custom(format_args!("entry `{name}`: {error}")))?;
            match entries.entry(name) {
                Entry::Vacant(place) => place.insert(value),
                Entry::Occupied(place) => {
                    return Err(A::Error::custom(format_args!("entry `{}` is there twice", place.key())));
                }
            };
        }
        Ok(Entries(entries))
    }
}
