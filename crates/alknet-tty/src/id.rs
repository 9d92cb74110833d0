//! The names of terminals.

use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

/// The alphabet of RFC 4648's base32, in lower case.
const ALPHABET: [char; 32] = [
    'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w',
    'x', 'y', 'z', '2', '3', '4', '5', '6', '7',
];

/// A new id: `t-` and 80 random bits. It cannot be guessed, and does not come a second time.
pub(crate) fn generate() -> Result<Arc<str>, Unspecified> {
    let mut bytes = [0u8; 16];
    rand::fill(&mut bytes)?;
    // Each character takes five bits of a byte of its own, so that nothing has to be shifted together.
    let text = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    Ok(['t', '-'].iter().chain(text).collect::<String>().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_long_and_never_the_same() {
        let ids: BTreeSet<_> = (0..1000).map(|_| generate().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 18 && id.starts_with("t-")));
        // Each of the 32 characters is there: no bit is stuck.
        let used: BTreeSet<char> = ids.iter().flat_map(|id| id.chars().skip(2)).collect();
        assert_eq!(used, BTreeSet::from(ALPHABET));
    }
}
