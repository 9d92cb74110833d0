//! Base 32 (RFC 4648 §6) in lower case and without padding: what it makes can be read aloud, and in upper case it is in the
//! small alphabet of QR codes.

use data_encoding::BASE32_NOPAD_NOCASE;
use zeroize::Zeroizing;

/// How many characters so many bytes have.
pub(super) const fn length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Appends bytes to a text, which should have room for them: growing would leave a part of a secret in freed memory.
pub(super) fn encode(bytes: &[u8], text: &mut String) {
    let start = text.len();
    BASE32_NOPAD_NOCASE.encode_append(bytes, text);
    if let Some(encoded) = text.get_mut(start..) {
        encoded.make_ascii_lowercase();
    }
}

/// The bytes of a text in either case. There is one text for each bytes: one with other bits behind the last is refused.
pub(super) fn decode<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    // It wants a place of exactly the length that the text asks for.
    let has_length = text.len() == length(N);
    let decoded = has_length.then(|| BASE32_NOPAD_NOCASE.decode_mut(text.as_bytes(), &mut *bytes))?;
    decoded.is_ok().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes, &mut text);
        text
    }

    #[test]
    fn it_is_that_of_the_rfc() {
        // RFC 4648 §10, in lower case.
        for (bytes, text) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(encoded(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn there_is_one_text_for_each_bytes() {
        assert_eq!(decode(&encoded(b"f")), Some(Zeroizing::new(*b"f")));
        // The last letter has three bits too many, which are nothing.
        assert_eq!(decode::<1>("mz"), None);
        for wrong in ["m", "my=", "m1", "mé", "MY "] {
            assert_eq!(decode::<1>(wrong), None, "{wrong}");
        }
        assert_eq!(decode::<1>("MY").as_deref(), Some(b"f"));
    }

    proptest! {
        #[test]
        fn all_bytes_read_back(bytes: [u8; 32], token: [u8; 16]) {
            prop_assert_eq!(*decode(&encoded(&bytes)).unwrap(), bytes);
            prop_assert_eq!(*decode(&encoded(&token).to_uppercase()).unwrap(), token);
        }

        #[test]
        fn what_is_read_is_what_was_written(text in "[a-z2-7]{26}") {
            if let Some(bytes) = decode::<16>(&text) {
                prop_assert_eq!(encoded(&*bytes), text);
            }
        }
    }
}
