//! What the configuration structs of handlers have in common.

use serde::{Deserialize, Deserializer, de};

/// Refuses a setting that would let nothing through. For `#[serde(deserialize_with = …)]`, so that the error has the
/// place in the file.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Section {
///     #[serde(deserialize_with = "alknet_core::at_least::<1, _, _>")]
///     timeout_seconds: u32,
/// }
/// let zero = serde_json::from_str::<Section>(r#"{"timeout_seconds": 0}"#);
/// assert!(zero.err().unwrap().to_string().starts_with("0 is too little; the least is 1"));
/// ```
///
/// # Errors
/// When there is no number, or one below `MIN`.
pub fn at_least<'de, const MIN: u64, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Into<u64> + Copy,
{
    let value = T::deserialize(deserializer)?;
    match value.into() {
        given if given < MIN => Err(de::Error::custom(format_args!("{given} is too little; the least is {MIN}"))),
        _ => Ok(value),
    }
}
