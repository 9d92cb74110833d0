//! Bodies that nobody reads: they are only looked at to find where the next request begins.

/// Skips a body that comes in pieces.
#[derive(Debug)]
pub(crate) enum Discard {
    /// So many bytes are left.
    Length(u64),
    Chunked(Chunks),
}

/// What a piece was to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// All of it; more is to come.
    All,
    /// The body ended behind so many bytes.
    End(usize),
    /// No body has such a byte there.
    Invalid,
}

/// Where in a chunked body (RFC 9112 §7.1) its next byte is.
#[derive(Debug)]
pub(crate) struct Chunks {
    state: State,
    size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Size,
    Extension,
    ExtensionEnd,
    Data,
    DataEnd,
    DataEndLine,
    LastExtension,
    LastExtensionEnd,
    Trailer,
    TrailerField,
    TrailerFieldEnd,
    LastLineEnd,
    End,
}

impl Discard {
    pub(crate) fn new(is_chunked: bool, length: Option<u64>) -> Self {
        match is_chunked {
            true => Self::Chunked(Chunks { state: State::Start, size: 0 }),
            false => Self::Length(length.unwrap_or(0)),
        }
    }

    pub(crate) fn skip(&mut self, piece: &[u8]) -> Skipped {
        match self {
            Self::Length(left) => match usize::try_from(*left) {
                Ok(left) if left <= piece.len() => {
                    *self = Self::Length(0);
                    Skipped::End(left)
                }
                _ => {
                    *left -= piece.len() as u64;
                    Skipped::All
                }
            },
            Self::Chunked(chunks) => chunks.skip(piece),
        }
    }
}

impl Chunks {
    fn skip(&mut self, piece: &[u8]) -> Skipped {
        let mut at = 0;
        while let Some(&byte) = piece.get(at) {
            if self.state == State::Data {
                let data = usize::try_from(self.size).unwrap_or(usize::MAX).min(piece.len() - at);
                self.size -= data as u64;
                at += data;
                if self.size == 0 {
                    self.state = State::DataEnd;
                }
                continue;
            }
            at += 1;
            match self.step(byte) {
                Some(State::End) => return Skipped::End(at),
                Some(state) => self.state = state,
                None => return Skipped::Invalid,
            }
        }
        Skipped::All
    }

    fn step(&mut self, byte: u8) -> Option<State> {
        use State::*;
        Some(match (self.state, byte) {
            (Start, byte) => {
                self.size = hex(byte)?;
                Size
            }
            (Size, b'\r') if self.size == 0 => LastExtensionEnd,
            (Size, b'\n') if self.size == 0 => Trailer,
            (Size, b';' | b' ' | b'\t') if self.size == 0 => LastExtension,
            (Size, b'\r') => ExtensionEnd,
            (Size, b'\n') => Data,
            (Size, b';' | b' ' | b'\t') => Extension,
            (Size, byte) => {
                // As many bytes as a file may have, less what a chunk has around it.
                const MOST: u64 = i64::MAX as u64 - 5;
                let size = self.size.checked_mul(16)?.checked_add(hex(byte)?)?;
                self.size = Some(size).filter(|size| *size <= MOST)?;
                Size
            }
            (Extension, b'\r') => ExtensionEnd,
            (Extension | ExtensionEnd, b'\n') => Data,
            (Extension, _) => Extension,
            (DataEnd, b'\r') => DataEndLine,
            (DataEnd | DataEndLine, b'\n') => Start,
            (LastExtension, b'\r') => LastExtensionEnd,
            (LastExtension | LastExtensionEnd, b'\n') => Trailer,
            (LastExtension, _) => LastExtension,
            (Trailer, b'\n') => End,
            (Trailer, b'\r') => LastLineEnd,
            (LastLineEnd, b'\n') => End,
            (Trailer, _) => TrailerField,
            (TrailerField, b'\r') => TrailerFieldEnd,
            (TrailerField | TrailerFieldEnd, b'\n') => Trailer,
            (TrailerField, _) => TrailerField,
            _ => return None,
        })
    }
}

fn hex(byte: u8) -> Option<u64> {
    char::from(byte).to_digit(16).map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chunked(body: &str) -> Skipped {
        Discard::new(true, None).skip(body.as_bytes())
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        let mut body = Discard::new(false, Some(5));
        assert_eq!([body.skip(b"abc"), body.skip(b"defg")], [Skipped::All, Skipped::End(2)]);
        assert_eq!(Discard::new(false, None).skip(b"abc"), Skipped::End(0));
    }

    #[test]
    fn chunks_are_skipped() {
        for body in [
            "0\r\n\r\n",
            "0\n\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A;x=y\nabcdefghij\n00 ;z\r\na: b\r\n\r\n",
            "1 \r\na\r\n0\nx\n\n",
        ] {
            assert_eq!(chunked(&format!("{body}GET /")), Skipped::End(body.len()), "{body:?}");
            assert_eq!(chunked(&body[..body.len() - 1]), Skipped::All, "{body:?}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_invalid() {
        for body in
            ["x", "\r\n", "1\rx", "1\r\nab", "1\r\na\rb", "0\rx", "0\r\n\rx", "0\r\na\rb", "8000000000000000\r", "1x"]
        {
            assert_eq!(chunked(body), Skipped::Invalid, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn the_pieces_change_nothing(body in "([0-9a-f]|\r\n|;|x|\n|0\r\n){0,40}", cut in 1_usize..10) {
            let mut discard = Discard::new(true, None);
            let mut before = 0;
            let mut pieces = Skipped::All;
            for piece in body.as_bytes().chunks(cut) {
                pieces = match discard.skip(piece) {
                    Skipped::End(end) => Skipped::End(before + end),
                    other => other,
                };
                if pieces != Skipped::All {
                    break;
                }
                before += piece.len();
            }
            prop_assert_eq!(pieces, chunked(&body));
        }
    }
}
