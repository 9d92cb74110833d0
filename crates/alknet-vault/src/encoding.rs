//! Hex and base64, and the serde functions that name the field they failed at.

use std::fmt::{self, Display};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, Error};

/// Enough for every message that does not quote the file.
const MAX_REASON_CHARS: usize = 250;

/// Lower-case hex digits of `bytes`, appended to `text`.
pub(crate) fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
        }
    }
}

/// Decodes hex digits of either case into `bytes`, which they must fill exactly.
///
/// Answers whether they did; `bytes` holds an unfinished result if not.
pub(crate) fn read_hex(text: &str, bytes: &mut [u8]) -> bool {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != bytes.len() {
        return false;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16)) else {
            return false;
        };
        *byte = (high << 4 | low) as u8;
    }
    true
}

/// Standard base64 with padding (RFC 4648 §4).
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Why a base64 text was refused. Never shows the text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Base64Error {
    NotBase64,
    Length { found: usize, expected: usize },
}

impl Display for Base64Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64 => f.write_str("is not standard base64 with padding"),
            Self::Length { found, expected } => write!(f, "has {found} bytes instead of {expected}"),
        }
    }
}

/// Decodes standard base64 with padding; any other spelling of the same bytes is refused.
pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, Base64Error> {
    STANDARD.decode(text).map_err(|_| Base64Error::NotBase64)
}

/// Decodes standard base64 of exactly `N` bytes.
pub(crate) fn array_from_base64<const N: usize>(text: &str) -> Result<[u8; N], Base64Error> {
    let bytes = from_base64(text)?;
    bytes.as_slice().try_into().map_err(|_| Base64Error::Length { found: bytes.len(), expected: N })
}

/// Deserializes a field and, when that fails, says which field it was: serde names only missing ones.
pub(crate) fn field<'de, T, D>(name: &str, deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map_err(|error| D::Error::custom(format_args!("field `{name}`: {error}")))
}

/// What is wrong with a JSON text, without repeating what was read.
///
/// serde quotes a string it did not expect. A damaged or mistaken file can hold anything: a secret in plain text, control
/// characters for the terminal, a megabyte for the log.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let mut reason = String::new();
    let mut quoted = false;
    let message = error.to_string();
    let mut characters = message.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted => {
                quoted = false;
                reason.push_str("\"…\"");
            }
            '"' => quoted = true,
            // Inside of quotes a backslash escapes the next character.
            '\\' if quoted => drop(characters.next()),
            _ if quoted || character.is_control() => {}
            _ => reason.push(character),
        }
    }
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
        reason.truncate(end);
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        push_hex(&mut text, &bytes);
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
        let mut decoded = [0; 256];
        assert!(read_hex(&text, &mut decoded));
        assert_eq!(decoded.as_slice(), bytes);
        assert!(read_hex(&text.to_uppercase(), &mut decoded));
    }

    #[test]
    fn hex_must_fill_the_buffer_and_have_only_digits() {
        let mut bytes = [0; 2];
        for text in ["", "0", "00", "000", "00000", "000000", "00g0", "+0+0", "0x00", " 000", "0é0"] {
            assert!(!read_hex(text, &mut bytes), "{text}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(array_from_base64::<2>("AAE="), Ok([0, 1]));
        for text in ["AAE", "AAF=", "AAE=\n", "AA-_", "AAE=="] {
            assert_eq!(from_base64(text), Err(Base64Error::NotBase64), "{text}");
        }
        let error = array_from_base64::<3>("AAE=").unwrap_err();
        assert_eq!(error.to_string(), "has 2 bytes instead of 3");
    }

    #[test]
    fn reasons_do_not_repeat_the_text() {
        let reason = |json: &str| json_reason(&serde_json::from_str::<u32>(json).unwrap_err());
        assert_eq!(reason(r#""hunter2""#), "invalid type: string \"…\", expected u32 at line 1 column 9");
        assert_eq!(reason(r#""a\"hunter2\\""#), "invalid type: string \"…\", expected u32 at line 1 column 14");
        assert_eq!(reason("-1"), "invalid value: integer `-1`, expected u32 at line 1 column 2");
        let long: serde_json::Error = Error::custom("x\n\u{1b}".repeat(1000));
        assert_eq!(json_reason(&long), "x".repeat(MAX_REASON_CHARS));
    }
}
