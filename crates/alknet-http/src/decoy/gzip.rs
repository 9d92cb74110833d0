//! Compression, as `gzip on` has it: `text/html` alone, at the lowest level.

use std::fmt;

use bytes::Bytes;

use super::deflate::Deflate;
use super::request::{Request, Version, position};

/// What nginx collects before it passes it on: a buffer of `gzip_buffers`.
const BUFFER: usize = 4096;

/// Whether the client takes compressed answers, by nginx's reading of `Accept-Encoding`.
pub(crate) fn is_wanted<B: AsRef<[u8]>>(request: &Request<B>) -> bool {
    let accepted = request.fields.accept_encoding.as_ref().is_some_and(|accepted| accepts(accepted.as_ref()));
    // Whatever stands between is not trusted to tell the forms apart.
    accepted && request.version >= Version::HTTP_11 && !request.fields.has_via
}

fn accepts(value: &[u8]) -> bool {
    if value.starts_with(b"gzip,") {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower.get(from..).and_then(|rest| position(rest, b"gzip")).map(|at| at + from) {
        if at == 0 || matches!(lower.get(at - 1), Some(b',' | b' ')) {
            return has_weight(lower.get(at + 4..).unwrap_or_default());
        }
        from = at + 4;
    }
    false
}

/// Whether what follows `gzip` is nothing, another coding, or a weight above zero.
fn has_weight(rest: &[u8]) -> bool {
    let rest = skip_spaces(rest);
    match rest.split_first() {
        None | Some((b',', _)) => true,
        Some((b';', rest)) => match skip_spaces(rest).split_first() {
            None => true,
            Some((b'q', [b'=', weight @ ..])) => weight_in_thousandths(weight).is_some_and(|weight| weight > 0),
            Some(_) => false,
        },
        Some(_) => false,
    }
}

/// Not quite thousandths: it is enough to know whether the sum of the digits is none.
fn weight_in_thousandths(weight: &[u8]) -> Option<u32> {
    let (whole, rest) = weight.split_first().filter(|(whole, _)| matches!(whole, b'0' | b'1'))?;
    let mut sum = u32::from(whole - b'0') * 100;
    let (dot, fraction) = match rest.split_first() {
        None | Some((b',' | b' ', _)) => return Some(sum),
        Some(split) => split,
    };
    if *dot != b'.' {
        return None;
    }
    let mut digits = 0;
    for digit in fraction.iter().take_while(|byte| !matches!(byte, b',' | b' ')) {
        if !digit.is_ascii_digit() {
            return None;
        }
        sum += u32::from(digit - b'0');
        digits += 1;
    }
    (sum <= 100 && digits <= 3).then_some(sum)
}

fn skip_spaces(bytes: &[u8]) -> &[u8] {
    let spaces = bytes.iter().take_while(|byte| **byte == b' ').count();
    bytes.get(spaces..).unwrap_or_default()
}

/// A compressor that gives its output away in the portions that nginx does, which show as chunks.
pub(crate) struct Encoder {
    deflate: Deflate,
    held: Vec<u8>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Encoder").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl Encoder {
    /// For `length` bytes.
    pub(crate) fn new(length: u64) -> Self {
        let window_bits = window_bits(length);
        // As much less than the usual 8 as the window is smaller.
        Self { deflate: Deflate::new(window_bits, window_bits - 7), held: Vec::new() }
    }

    /// Takes `input` in. What comes back is whole buffers, except at the end.
    pub(crate) fn push(&mut self, input: &[u8], is_last: bool) -> Bytes {
        self.deflate.push(input, is_last, &mut self.held);
        let whole = if is_last { self.held.len() } else { self.held.len() / BUFFER * BUFFER };
        let rest = self.held.split_off(whole);
        std::mem::replace(&mut self.held, rest).into()
    }
}

/// The smallest window that is enough, as nginx reckons.
fn window_bits(length: u64) -> u8 {
    const UNUSED: u64 = 262;
    let mut bits = 15;
    while length > 0 && bits > 9 && length + UNUSED < 1 << (bits - 1) {
        bits -= 1;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read;

    #[test]
    fn weights_above_zero_are_accepted() {
        for value in
            ["gzip", "gzip, deflate", "deflate, GZIP", "gzip;q=0.001", "gzip ; q=1", "x,gzip;q=1.000, a", "gzip;"]
        {
            assert!(accepts(value.as_bytes()), "{value}");
        }
        for value in
            ["", "*", "xgzip", "gzipx", "gzip;q=0", "gzip;q=0.000", "gzip;q=2", "gzip;q=1.001", "gzip;q=0.0001"]
        {
            assert!(!accepts(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn small_pages_get_small_windows() {
        assert_eq!([153, 615, 5000, 16_121, 16_122, 0].map(window_bits), [9, 10, 13, 14, 15, 15]);
    }

    proptest! {
        #[test]
        fn what_was_compressed_unpacks(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..9000), 1..6)) {
            let whole = pieces.concat();
            let mut encoder = Encoder::new(whole.len() as u64);
            let mut packed = Vec::new();
            for (index, piece) in pieces.iter().enumerate() {
                let is_last = index + 1 == pieces.len();
                let output = encoder.push(piece, is_last);
                prop_assert!(is_last || output.len().is_multiple_of(BUFFER));
                packed.extend_from_slice(&output);
            }
            let mut unpacked = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
            prop_assert_eq!(unpacked, whole);
        }
    }
}
