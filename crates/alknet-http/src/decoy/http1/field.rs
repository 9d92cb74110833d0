//! Lines of a head, read byte by byte.

use std::ops::Range;

use crate::decoy::pages::Refusal;

/// Reads one line of a head that comes in pieces.
#[derive(Debug)]
pub(crate) struct FieldReader {
    state: State,
    is_ignored: bool,
    name: Range<usize>,
    value: Range<usize>,
}

/// A line of a head, as places in the bytes that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeadLine {
    Field {
        name: Range<usize>,
        value: Range<usize>,
    },
    /// A field whose name has other characters than letters, digits and hyphens. nginx acts as if it were not there.
    Ignored,
    /// The empty line that ends a head.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Name,
    BeforeValue,
    Value,
    LineEnd,
    HeadEnd,
}

impl FieldReader {
    /// For a line that begins with byte number `at`.
    pub(crate) fn new(at: usize) -> Self {
        Self { state: State::Start, is_ignored: false, name: at..at, value: at..at }
    }

    /// Where the line begins.
    pub(crate) fn start(&self) -> usize {
        self.name.start
    }

    /// Whether nothing of the line has come yet.
    pub(crate) fn is_blank(&self) -> bool {
        self.state == State::Start
    }

    /// The next byte, which is number `at` of all. The line, if that ends it.
    ///
    /// # Errors
    /// When no head has such a byte there.
    pub(crate) fn push(&mut self, at: usize, byte: u8) -> Result<Option<HeadLine>, Refusal> {
        self.state = match (self.state, byte) {
            (State::Start, b'\r') => State::HeadEnd,
            (State::Start | State::HeadEnd, b'\n') => return Ok(Some(HeadLine::End)),
            (State::HeadEnd, _) | (State::Start, b':') => return Err(Refusal::BadRequest),
            (State::Name, b':') => {
                self.name.end = at;
                State::BeforeValue
            }
            // A line without a colon is a field without a value.
            (State::Name, b'\r' | b'\n') => {
                self.name.end = at;
                self.value = at..at;
                return Ok(self.end_line(byte));
            }
            (State::Start | State::Name, 0..=b' ' | 0x7f) => return Err(Refusal::BadRequest),
            (State::Start | State::Name, byte) => {
                self.is_ignored |= !byte.is_ascii_alphanumeric() && byte != b'-';
                State::Name
            }
            (State::BeforeValue | State::Value, 0) => return Err(Refusal::BadRequest),
            (State::BeforeValue, b'\r' | b'\n') => {
                self.value = at..at;
                return Ok(self.end_line(byte));
            }
            (State::Value, b'\r' | b'\n') => return Ok(self.end_line(byte)),
            (State::BeforeValue, b' ') => State::BeforeValue,
            (State::BeforeValue, _) => {
                self.value = at..at + 1;
                State::Value
            }
            // Spaces at its end are not of the value; those within it are, once something follows.
            (State::Value, b' ') => State::Value,
            (State::Value, _) => {
                self.value.end = at + 1;
                State::Value
            }
            (State::LineEnd, b'\n') => return Ok(Some(self.line())),
            (State::LineEnd, b'\r') => State::LineEnd,
            (State::LineEnd, _) => return Err(Refusal::BadRequest),
        };
        Ok(None)
    }

    fn end_line(&mut self, byte: u8) -> Option<HeadLine> {
        self.state = State::LineEnd;
        (byte == b'\n').then(|| self.line())
    }

    fn line(&self) -> HeadLine {
        if self.is_ignored {
            HeadLine::Ignored
        } else {
            HeadLine::Field { name: self.name.clone(), value: self.value.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<HeadLine>, Refusal> {
        let mut reader = FieldReader::new(0);
        for (at, byte) in line.bytes().enumerate() {
            if let Some(read) = reader.push(at, byte)? {
                assert_eq!(at + 1, line.len(), "{line} ends too early");
                return Ok(Some(read));
            }
        }
        Ok(None)
    }

    #[test]
    fn names_and_values_are_found() {
        for (line, name, value) in [
            ("Host: a\r\n", "Host", "a"),
            ("a:b\n", "a", "b"),
            ("a:   b  c   \r\n", "a", "b  c"),
            ("a: \t b\t\n", "a", "\t b\t"),
            ("a:\r\n", "a", ""),
            ("a:   \n", "a", ""),
            ("a-1\r\n", "a-1", ""),
            ("a: b\r\r\r\n", "a", "b"),
            ("a: \u{fc}:\u{7f}\n", "a", "\u{fc}:\u{7f}"),
        ] {
            let Ok(Some(HeadLine::Field { name: found, value: of })) = read(line) else { panic!("{line:?}") };
            assert_eq!((&line[found], &line[of]), (name, value), "{line:?}");
        }
    }

    #[test]
    fn strange_names_are_ignored_and_broken_lines_are_refused() {
        for line in ["a_b: c\n", "_: c\n", "a(b): c\r\n", "\u{fc}: c\n", "/x\n"] {
            assert_eq!(read(line), Ok(Some(HeadLine::Ignored)), "{line:?}");
        }
        for line in [
            " a: b\n",
            "\ta: b\n",
            ": b\n",
            "a b: c\n",
            "a : b\n",
            "a\0: b\n",
            "a: \0\n",
            "a: b\0\n",
            "a: b\rc\n",
            "\ra",
        ] {
            assert_eq!(read(line), Err(Refusal::BadRequest), "{line:?}");
        }
        assert_eq!(read("\r\n"), Ok(Some(HeadLine::End)));
        assert_eq!(read("\n"), Ok(Some(HeadLine::End)));
    }
}
