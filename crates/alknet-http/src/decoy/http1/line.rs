//! Request lines, read byte by byte: nginx refuses one at its first wrong byte, and a client can see when.

use std::ops::Range;

use crate::decoy::pages::Refusal;
use crate::decoy::request::Version;

/// Reads a request line that comes in pieces.
#[derive(Debug)]
pub(crate) struct LineReader {
    state: State,
    /// Where the method begins: empty lines before it do not count.
    start: usize,
    method_end: usize,
    /// An absolute target's host.
    host: Option<Range<usize>>,
    target: Target,
    version: Version,
}

/// A request line, as places in the bytes that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) method: Range<usize>,
    pub(crate) host: Option<Range<usize>>,
    /// Empty for an absolute target without a path.
    pub(crate) target: Range<usize>,
    pub(crate) version: Version,
}

#[derive(Debug, Clone, Copy)]
struct Target {
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Method,
    BeforeTarget,
    Scheme,
    /// How many slashes of `//` are still to come.
    SchemeSlashes(u8),
    HostStart,
    Host,
    /// Within the brackets of an address of IPv6.
    Literal,
    HostEnd,
    Port,
    Target,
    AfterTarget,
    /// How much of `HTTP/` was there.
    Protocol(u8),
    Major,
    Dot,
    Minor,
    MoreMinor,
    AfterVersion,
    LineEnd,
}

/// What a byte does to the line.
enum Step {
    To(State),
    Done,
    Bad(Refusal),
}

impl LineReader {
    pub(crate) fn new() -> Self {
        let target = Target { start: 0, end: 0 };
        Self { state: State::Start, start: 0, method_end: 0, host: None, target, version: Version::HTTP_10 }
    }

    /// Where the line begins, as far as that is known.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The method, once all of it has come.
    pub(crate) fn method(&self) -> Option<Range<usize>> {
        (self.method_end > self.start).then_some(self.start..self.method_end)
    }

    /// Whether only empty lines have been seen.
    pub(crate) fn is_blank(&self) -> bool {
        self.state == State::Start
    }

    /// The next byte, which is number `at` of all. The line, if that ends it.
    ///
    /// # Errors
    /// What a line gets that is none.
    pub(crate) fn push(&mut self, at: usize, byte: u8) -> Result<Option<Line>, Refusal> {
        match self.step(at, byte) {
            Step::To(state) => {
                self.state = state;
                Ok(None)
            }
            Step::Done => Ok(Some(Line {
                method: self.start..self.method_end,
                host: self.host.clone(),
                target: self.target.start..self.target.end,
                version: self.version,
            })),
            Step::Bad(refusal) => Err(refusal),
        }
    }

    fn step(&mut self, at: usize, byte: u8) -> Step {
        use State::*;
        let to = Step::To;
        let bad = Step::Bad(Refusal::BadRequest);
        match self.state {
            Start => {
                self.start = at;
                match byte {
                    b'\r' | b'\n' => to(Start),
                    byte if is_method(byte) => to(Method),
                    _ => bad,
                }
            }
            Method => match byte {
                b' ' => {
                    self.method_end = at;
                    to(BeforeTarget)
                }
                byte if is_method(byte) => to(Method),
                _ => bad,
            },
            BeforeTarget => match byte {
                b' ' => to(BeforeTarget),
                b'/' => self.begin_target(at),
                byte if byte.is_ascii_alphabetic() => to(Scheme),
                _ => bad,
            },
            Scheme => match byte {
                b':' => to(SchemeSlashes(2)),
                byte if byte.is_ascii_alphanumeric() || b"+-.".contains(&byte) => to(Scheme),
                _ => bad,
            },
            SchemeSlashes(left) => match (byte, left) {
                (b'/', 2) => to(SchemeSlashes(1)),
                (b'/', _) => to(HostStart),
                _ => bad,
            },
            HostStart => {
                self.host = Some(at..at);
                match byte {
                    b'[' => to(Literal),
                    byte => self.in_host(at, byte),
                }
            }
            Host => self.in_host(at, byte),
            Literal => match byte {
                b']' => to(HostEnd),
                byte if byte.is_ascii_alphanumeric() || b":-._~!$&'()*+,;=".contains(&byte) => to(Literal),
                _ => bad,
            },
            HostEnd => self.after_host(at, byte),
            Port => match byte {
                byte if byte.is_ascii_digit() => to(Port),
                b':' => bad,
                byte => self.after_authority(at, byte),
            },
            Target => self.in_target(at, byte),
            AfterTarget => match byte {
                b' ' => to(AfterTarget),
                b'\r' | b'\n' => self.without_version(byte),
                b'H' => to(Protocol(1)),
                _ => bad,
            },
            Protocol(seen) => match (b"HTTP/".get(usize::from(seen)), seen) {
                (Some(expected), 4) if *expected == byte => to(Major),
                (Some(expected), _) if *expected == byte => to(Protocol(seen + 1)),
                _ => bad,
            },
            Major => match byte {
                b'1' => to(Dot),
                b'2'..=b'9' => Step::Bad(Refusal::VersionNotSupported),
                _ => bad,
            },
            Dot => match byte {
                b'.' => to(Minor),
                // A second digit makes it a version above nine.
                b'0'..=b'9' => Step::Bad(Refusal::VersionNotSupported),
                _ => bad,
            },
            Minor => match byte {
                b'0'..=b'9' => self.minor(0, byte),
                _ => bad,
            },
            MoreMinor => match byte {
                b' ' => to(AfterVersion),
                b'\r' => to(LineEnd),
                b'\n' => Step::Done,
                b'0'..=b'9' if self.version.0 <= 1099 => self.minor(self.version.0 - 1000, byte),
                _ => bad,
            },
            AfterVersion => match byte {
                b' ' => to(AfterVersion),
                b'\r' => to(LineEnd),
                b'\n' => Step::Done,
                _ => bad,
            },
            LineEnd => match byte {
                b'\n' => Step::Done,
                _ => bad,
            },
        }
    }

    fn in_host(&mut self, at: usize, byte: u8) -> Step {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b".-".contains(&byte) => Step::To(State::Host),
            byte => self.after_host(at, byte),
        }
    }

    fn after_host(&mut self, at: usize, byte: u8) -> Step {
        if let Some(host) = &mut self.host {
            host.end = at;
        }
        match byte {
            b':' => Step::To(State::Port),
            byte => self.after_authority(at, byte),
        }
    }

    fn after_authority(&mut self, at: usize, byte: u8) -> Step {
        match byte {
            b'/' | b'?' => self.begin_target(at),
            b' ' => {
                self.target = Target { start: at, end: at };
                Step::To(State::AfterTarget)
            }
            _ => Step::Bad(Refusal::BadRequest),
        }
    }

    fn begin_target(&mut self, at: usize) -> Step {
        self.target.start = at;
        Step::To(State::Target)
    }

    fn in_target(&mut self, at: usize, byte: u8) -> Step {
        match byte {
            b' ' | b'\r' | b'\n' => {
                self.target.end = at;
                match byte {
                    b' ' => Step::To(State::AfterTarget),
                    byte => self.without_version(byte),
                }
            }
            0..=0x1f | 0x7f => Step::Bad(Refusal::BadRequest),
            _ => Step::To(State::Target),
        }
    }

    fn without_version(&mut self, byte: u8) -> Step {
        self.version = Version::HTTP_09;
        if byte == b'\n' { Step::Done } else { Step::To(State::LineEnd) }
    }

    fn minor(&mut self, before: u16, digit: u8) -> Step {
        self.version = Version(1000 + before * 10 + u16::from(digit - b'0'));
        Step::To(State::MoreMinor)
    }
}

fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Option<Line>, Refusal> {
        let mut reader = LineReader::new();
        for (at, byte) in line.bytes().enumerate() {
            if let Some(line) = reader.push(at, byte)? {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn target(text: &str) -> (&str, Option<&str>, u16) {
        let line = read(text).unwrap().expect("it is whole");
        (&text[line.target], line.host.map(|host| &text[host]), line.version.0)
    }

    #[test]
    fn lines_of_all_forms_are_read() {
        assert_eq!(target("GET / HTTP/1.1\r\n"), ("/", None, 1001));
        assert_eq!(target("\r\n\nGET  /a?b   HTTP/1.0  \n"), ("/a?b", None, 1000));
        assert_eq!(target("GET /\r\n"), ("/", None, 9));
        assert_eq!(target("GET / \n"), ("/", None, 9));
        assert_eq!(target("GET http://a.b:80/c HTTP/1.1\n"), ("/c", Some("a.b"), 1001));
        assert_eq!(target("GET x+y://[::1]?c HTTP/1.99\n"), ("?c", Some("[::1]"), 1099));
        assert_eq!(target("GET http://a HTTP/1.1\n"), ("", Some("a"), 1001));
        assert_eq!(target("GET http:// HTTP/1.1\n"), ("", Some(""), 1001));
        assert_eq!(target("A_-B /\u{fc}~ HTTP/1.123\n"), ("/\u{fc}~", None, 1123));
    }

    #[test]
    fn a_line_is_refused_at_its_first_wrong_byte() {
        for (line, length) in [
            ("get / HTTP/1.1\r\n", 1),
            (" GET / HTTP/1.1\r\n", 1),
            ("GE\tT / HTTP/1.1\r\n", 3),
            ("GET a HTTP/1.1\r\n", 6),
            ("GET * HTTP/1.1\r\n", 5),
            ("GET http:/a HTTP/1.1\r\n", 11),
            ("GET http://a_b/ HTTP/1.1\r\n", 13),
            ("GET /\t HTTP/1.1\r\n", 6),
            ("GET /\0 HTTP/1.1\r\n", 6),
            ("GET / X\r\n", 7),
            ("GET / HTTP/0.9\r\n", 12),
            ("GET / HTTP/1.x\r\n", 14),
            ("GET / HTTP/1.1000\r\n", 17),
            ("GET / HTTP/1.1 x\r\n", 16),
            ("GET /\rx", 7),
        ] {
            assert_eq!(read(&line[..length - 1]), Ok(None), "{line}");
            assert_eq!(read(&line[..length]), Err(Refusal::BadRequest), "{line}");
        }
        assert_eq!(read("GET / HTTP/2"), Err(Refusal::VersionNotSupported));
        assert_eq!(read("GET / HTTP/11"), Err(Refusal::VersionNotSupported));
    }
}
