//! gzip (RFC 1952) exactly as zlib 1.2.13 writes it at level 1, for any amount of memory that zlib is told to take.
//!
//! Where a match is looked for and given up, and how many symbols make a block, shows in the output. A binding to zlib that lets
//! nobody choose `memLevel` is of no use, then, and other compressors even less.

mod blocks;
mod huffman;

use crc32fast::Hasher;

use self::blocks::Blocks;

const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
/// As much must be there before anything is decided, except at the end.
const LOOKAHEAD: usize = MAX_MATCH + MIN_MATCH + 1;

/// What level 1 does not try: more candidates, more than this of a match, all positions in longer matches.
const MOST_CANDIDATES: u32 = 4;
const NICE_MATCH: usize = 8;
const LONGEST_INDEXED: usize = 4;

/// Compresses what comes in pieces.
pub(crate) struct Deflate {
    /// Two windows. What is before `start` has been compressed, what is behind it is still to be.
    window: Vec<u8>,
    size: usize,
    start: usize,
    filled: usize,
    /// The last position of each hash, and the one before it at each position. None is position 0, which no match is found at.
    heads: Vec<u16>,
    chain: Vec<u16>,
    hash_bits: u32,
    blocks: Blocks,
    checksum: Hasher,
    /// How many bytes came in, modulo 2^32 (RFC 1952 §2.3.1).
    length: u32,
    has_begun: bool,
}

impl Deflate {
    /// With a window of 2^`window_bits` bytes, from 9 to 15, and zlib's `memLevel`, from 1 to 9.
    pub(crate) fn new(window_bits: u8, memory_level: u8) -> Self {
        let size = 1 << window_bits;
        let hash_bits = u32::from(memory_level) + 7;
        Self {
            window: vec![0; 2 * size],
            size,
            start: 0,
            filled: 0,
            heads: vec![0; 1 << hash_bits],
            chain: vec![0; size],
            hash_bits,
            blocks: Blocks::new((1 << (memory_level + 6)) - 1),
            checksum: Hasher::new(),
            length: 0,
            has_begun: false,
        }
    }

    /// Takes `input` in, and appends to `output` what is certain by then.
    pub(crate) fn push(&mut self, mut input: &[u8], is_last: bool, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            // No name, no date, the fastest level, from Unix.
            output.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3]);
        }
        self.checksum.update(input);
        self.length = self.length.wrapping_add(input.len() as u32);
        loop {
            input = self.fill(input);
            self.compress(is_last && input.is_empty(), output);
            if input.is_empty() {
                break;
            }
        }
        if is_last {
            self.blocks.finish(&self.window, self.start, output);
            output.extend_from_slice(&self.checksum.clone().finalize().to_le_bytes());
            output.extend_from_slice(&self.length.to_le_bytes());
        }
    }

    /// Takes as much of the input into the window as there is room for. Gives back the rest.
    fn fill<'i>(&mut self, input: &'i [u8]) -> &'i [u8] {
        if self.start >= self.size + (self.size - LOOKAHEAD) {
            self.slide();
        }
        let room = self.window.get_mut(self.filled..).unwrap_or_default();
        let count = room.len().min(input.len());
        let (now, later) = input.split_at(count);
        if let Some(room) = room.get_mut(..count) {
            room.copy_from_slice(now);
        }
        self.filled += count;
        later
    }

    /// Makes the second window the first.
    fn slide(&mut self) {
        self.window.copy_within(self.size.., 0);
        self.start -= self.size;
        self.filled -= self.size;
        self.blocks.slide(self.size);
        for position in self.heads.iter_mut().chain(&mut self.chain) {
            *position = u16::try_from(usize::from(*position).saturating_sub(self.size)).unwrap_or(0);
        }
    }

    fn compress(&mut self, is_last: bool, output: &mut Vec<u8>) {
        loop {
            let ahead = self.filled - self.start;
            if ahead == 0 || (ahead < LOOKAHEAD && !is_last) {
                return;
            }
            let candidate = if ahead >= MIN_MATCH { self.index(self.start) } else { 0 };
            let is_full = match self.find(candidate, ahead) {
                Some((at, length)) => {
                    let is_full = self.blocks.add_match(self.start - at, length);
                    if length <= LONGEST_INDEXED && ahead - length >= MIN_MATCH {
                        for position in self.start + 1..self.start + length {
                            self.index(position);
                        }
                    }
                    self.start += length;
                    is_full
                }
                None => {
                    let is_full = self.blocks.add_literal(self.window.get(self.start).copied().unwrap_or(0));
                    self.start += 1;
                    is_full
                }
            };
            if is_full {
                self.blocks.flush(&self.window, self.start, false, output);
            }
        }
    }

    /// Remembers the string at `position`. Where one of the same hash was before.
    fn index(&mut self, position: usize) -> usize {
        let Some([first, second, third]) = self.window.get(position..position + MIN_MATCH) else { return 0 };
        let shift = self.hash_bits.div_ceil(3);
        let hash = (usize::from(*first) << (2 * shift)) ^ (usize::from(*second) << shift) ^ usize::from(*third);
        let mask = self.heads.len() - 1;
        let (Some(head), Some(before)) =
            (self.heads.get_mut(hash & mask), self.chain.get_mut(position & (self.size - 1)))
        else {
            return 0;
        };
        *before = *head;
        *head = u16::try_from(position).unwrap_or(0);
        usize::from(*before)
    }

    /// The longest match among a few candidates: where it is, and how long.
    fn find(&self, mut candidate: usize, ahead: usize) -> Option<(usize, usize)> {
        let furthest = self.size - LOOKAHEAD;
        if candidate == 0 || self.start - candidate > furthest {
            return None;
        }
        let limit = self.start.saturating_sub(furthest);
        let wanted = self.window.get(self.start..self.start + ahead.min(MAX_MATCH))?;
        let mut best = None;
        let mut best_length = MIN_MATCH - 1;
        for _ in 0..MOST_CANDIDATES {
            let found = self.window.get(candidate..)?;
            let length = wanted.iter().zip(found).take_while(|(wanted, found)| wanted == found).count();
            if length > best_length {
                (best, best_length) = (Some(candidate), length);
                if length >= NICE_MATCH.min(ahead) {
                    break;
                }
            }
            candidate = usize::from(*self.chain.get(candidate & (self.size - 1))?);
            if candidate <= limit {
                break;
            }
        }
        best.map(|at| (at, best_length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    fn deflate(data: &[u8], window_bits: u8, memory_level: u8, piece: usize) -> Vec<u8> {
        let mut deflate = Deflate::new(window_bits, memory_level);
        let mut output = Vec::new();
        let mut pieces = data.chunks(piece).peekable();
        while let Some(piece) = pieces.next() {
            deflate.push(piece, pieces.peek().is_none(), &mut output);
        }
        output
    }

    /// zlib itself, which can be had with a `memLevel` of 8 alone.
    fn zlib(data: &[u8], window_bits: u8) -> Vec<u8> {
        let mut output = Vec::with_capacity(2 * data.len() + 1000);
        Compress::new_gzip(Compression::fast(), window_bits)
            .compress_vec(data, &mut output, FlushCompress::Finish)
            .unwrap();
        output
    }

    /// Data with something to find in it.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 12_345_u32;
        let mut text = Vec::new();
        while text.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.extend_from_slice(format!("<p class=\"{}\">{}</p>\n", state % 7, state >> 20).as_bytes());
        }
        text.truncate(length);
        text
    }

    #[test]
    fn the_output_is_that_of_zlib() {
        for length in [1, 2, 3, 10, 100, 1000, 20_000, 70_000, 500_000] {
            let text = text(length);
            assert!(deflate(&text, 15, 8, length) == zlib(&text, 15), "{length} bytes");
            assert!(deflate(&text, 15, 8, 777) == zlib(&text, 15), "{length} bytes in pieces");
        }
        for window_bits in 10..15 {
            let text = text(5000);
            assert!(deflate(&text, window_bits, 8, 5000) == zlib(&text, window_bits), "{window_bits}");
        }
    }

    #[test]
    fn other_amounts_of_memory_have_the_output_that_zlib_has() {
        // Checksums of what zlib 1.2.13 makes of it.
        for (length, window_bits, memory_level, expected_length, expected) in OF_ZLIB {
            let packed = deflate(&text(*length), *window_bits, *memory_level, 32 * 1024);
            assert_eq!(
                (packed.len(), crc32fast::hash(&packed)),
                (*expected_length, *expected),
                "{length} {memory_level}"
            );
        }
    }

    const OF_ZLIB: &[(usize, u8, u8, usize, u32)] = &[
        (153, 9, 2, 88, 0x78b8c27d),
        (300, 10, 3, 126, 0x516a8e23),
        (700, 10, 3, 206, 0x27c00afb),
        (1500, 11, 4, 368, 0xc442c9ea),
        (3000, 12, 5, 668, 0xecf16c00),
        (7000, 14, 7, 1462, 0xa51a20a1),
        (20000, 15, 9, 4080, 0x68fced37),
        (200000, 15, 8, 39844, 0x35bfe72a),
        (1000000, 15, 9, 197856, 0x157bc6e6),
    ];

    proptest! {
        #[test]
        fn any_data_has_the_output_of_zlib(
            pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..300), 1_usize..40), 1..12),
            window_bits in 9_u8..16,
        ) {
            let data: Vec<u8> = pieces.iter().flat_map(|(piece, times)| piece.repeat(*times)).collect();
            prop_assume!(!data.is_empty());
            prop_assert!(deflate(&data, window_bits, 8, data.len()) == zlib(&data, window_bits));
        }

        #[test]
        fn a_few_letters_have_the_output_of_zlib(data in "[ab]{1,400}", times in 1_usize..100) {
            let data = data.repeat(times).into_bytes();
            prop_assert!(deflate(&data, 15, 8, 1000) == zlib(&data, 15));
        }

        #[test]
        fn rare_letters_have_the_output_of_zlib(numbers in proptest::collection::vec(any::<u32>(), 1..20_000)) {
            // Each letter half as often as the one before: their codes would be longer than codes may be.
            let letters = |number: &u32| [100 + number.leading_zeros() as u8, number.trailing_zeros() as u8, *number as u8 >> 3];
            let data: Vec<u8> = numbers.iter().flat_map(letters).collect();
            prop_assert!(deflate(&data, 15, 8, data.len()) == zlib(&data, 15));
        }
    }
}
