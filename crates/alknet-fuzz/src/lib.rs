//! What the fuzz targets have in common: how an input says in which pieces its bytes arrive.
//!
//! The network cuts a byte stream wherever it likes, so what a parser makes of it must not depend on the cuts. Every
//! target that reads a stream feeds the same bytes whole and in pieces, and compares.

/// Splits a fuzz input into the lengths of the pieces and the bytes to be cut.
///
/// The first byte counts the lengths, of which there are at most 15, and each takes a byte. An input that starts with a
/// zero is therefore its bytes behind that zero, in one piece: seeds are easy to make by hand.
pub fn split(input: &[u8]) -> Option<(Pieces<'_>, &[u8])> {
    let (count, rest) = input.split_first()?;
    let (lengths, bytes) = rest.split_at_checked(usize::from(count % 16))?;
    Some((Pieces(lengths), bytes))
}

/// The lengths of the pieces, used again from the start as long as bytes are left.
#[derive(Clone, Copy)]
pub struct Pieces<'a>(&'a [u8]);

impl Pieces<'_> {
    /// Cuts `bytes`. No piece is empty, so a length of zero stands for one byte more than a byte can say.
    pub fn of(self, mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut lengths = self.0.iter().cycle().map(|length| if *length == 0 { 256 } else { usize::from(*length) });
        std::iter::from_fn(move || {
            let length = lengths.next().unwrap_or(bytes.len()).min(bytes.len());
            let (piece, rest) = bytes.split_at(length);
            bytes = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
