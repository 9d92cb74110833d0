//! Base 32 (RFC 4648 §6) in lower case and without padding: what it makes can be read aloud, and in upper case it is in the
//! small alphabet of QR codes.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// How many characters so many bytes have.
pub(super) const fn length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Appends bytes to a text, which should have room for them: growing would leave a part of a secret in freed memory.
pub(super) fn encode(bytes: &[u8], text: &mut String) {
    let (mut buffer, mut bits) = (0u32, 0);
    let mut push = |index: u32| text.extend(ALPHABET.get(index as usize & 31).map(|byte| char::from(*byte)));
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(buffer >> bits);
        }
    }
    if bits > 0 {
        push(buffer << (5 - bits));
    }
}

/// The bytes of a text in either case. There is one text for each bytes: one with other bits behind the last is refused.
pub(super) fn decode<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    if text.len() != length(N) {
        return None;
    }
    let mut bytes = Zeroizing::new([0; N]);
    let mut free = bytes.iter_mut();
    let (mut buffer, mut bits) = (0u32, 0);
    for letter in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == letter.to_ascii_lowercase())?;
        buffer = (buffer << 5) | u32::try_from(digit).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *free.next()? = (buffer >> bits) as u8;
            buffer &= (1 << bits) - 1;
        }
    }
    (buffer == 0).then_some(bytes)
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
