//! Heads of requests, within the limits that nginx has for them.

use super::field::{FieldReader, HeadLine};
use super::line::{Line, LineReader};
use crate::decoy::pages::Refusal;
use crate::decoy::path;
use crate::decoy::request::{Fields, Method, Request, Version, parse_host};

/// `client_header_buffer_size`
const BUFFER: usize = 1024;
/// `large_client_header_buffers`: how many, and how large.
const LARGE_BUFFERS: u8 = 4;
const LARGE_BUFFER: usize = 8 * 1024;

/// Reads a head that comes in pieces.
#[derive(Debug)]
pub(crate) struct HeadReader {
    window: Window,
    at: usize,
    start: usize,
    stage: Stage,
    request: Request<Vec<u8>>,
}

#[derive(Debug)]
enum Stage {
    Line(LineReader),
    Field(FieldReader),
}

/// A head that has been read, or has been refused.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) request: Request<Vec<u8>>,
    pub(crate) refusal: Option<Refusal>,
    /// Where the request begins, behind empty lines, and where its head ends.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) window: Window,
}

/// What nginx's buffers have room for. It never moves bytes within one, so that a long line may or may not fit, depending on
/// where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    size: usize,
    room: usize,
    large: u8,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { size: BUFFER, room: BUFFER, large: 0 }
    }

    /// For the next request, of which `read` bytes are there already, behind a body of `skipped` bytes.
    pub(crate) fn next(mut self, skipped: usize, read: usize) -> Self {
        self.room = self.room.saturating_sub(skipped);
        if read == 0 || self.room == 0 {
            return Self::new();
        }
        self.large = self.large.min(1);
        self
    }

    /// Makes room behind the `held` bytes of a line that is not whole.
    fn grow(&mut self, held: usize) -> Result<(), Overflow> {
        if held >= LARGE_BUFFER || self.large == LARGE_BUFFERS {
            return Err(Overflow);
        }
        *self = Self { size: LARGE_BUFFER, room: LARGE_BUFFER - held, large: self.large + 1 };
        Ok(())
    }
}

struct Overflow;

impl HeadReader {
    pub(crate) fn new(window: Window) -> Self {
        Self { window, at: 0, start: 0, stage: Stage::Line(LineReader::new()), request: nothing() }
    }

    /// Whether nothing but empty lines has come. Then the reader forgets them: it goes on with whatever comes next.
    pub(crate) fn forget_blank(&mut self) -> bool {
        let is_blank = matches!(&self.stage, Stage::Line(line) if line.is_blank());
        if is_blank {
            self.at = 0;
        }
        is_blank
    }

    /// Reads on in what has come of the request, which is `bytes` by now.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Option<Head> {
        loop {
            let refusal = match self.read_line(bytes) {
                Ok(true) => None,
                Ok(false) if self.at == bytes.len() && self.window.room > 0 => return None,
                Ok(false) => continue,
                Err(refusal) => Some(refusal),
            };
            let request = std::mem::replace(&mut self.request, nothing());
            return Some(Head { request, refusal, start: self.start, end: self.at, window: self.window });
        }
    }

    /// Reads until a line ends, the window is full, or there are no more bytes. Whether that ended the head.
    fn read_line(&mut self, bytes: &[u8]) -> Result<bool, Refusal> {
        let unread = bytes.get(self.at..).unwrap_or_default();
        let unread = unread.get(..self.window.room).unwrap_or(unread);
        for &byte in unread {
            let at = self.at;
            self.at += 1;
            self.window.room -= 1;
            match &mut self.stage {
                Stage::Line(reader) => {
                    let read = reader.push(at, byte);
                    // A line that fails later is still answered as its method asks.
                    if let (b' ', Some(method)) = (byte, reader.method()) {
                        self.request.method = Method::parse(bytes.get(method).unwrap_or_default());
                    }
                    if let Some(line) = read? {
                        return self.begin(&line, bytes);
                    }
                }
                Stage::Field(reader) => {
                    if let Some(line) = reader.push(at, byte)? {
                        return self.add(line, bytes);
                    }
                }
            }
        }
        if self.window.room == 0 {
            self.make_room()?;
        }
        Ok(false)
    }

    /// Takes the request line. Whether that was all.
    fn begin(&mut self, line: &Line, bytes: &[u8]) -> Result<bool, Refusal> {
        self.start = line.method.start;
        let request = &mut self.request;
        request.version = line.version;
        if line.version == Version::HTTP_09 && request.method != Method::Get {
            return Err(Refusal::BadRequest);
        }
        let target = path::parse(bytes.get(line.target.clone()).unwrap_or_default());
        let target = target.map_err(|_| Refusal::BadRequest)?;
        (request.path, request.query) = (target.path, target.query.to_vec());
        if let Some(host) = line.host.clone() {
            let host = bytes.get(host).and_then(parse_host);
            request.fields.server = Some(host.ok_or(Refusal::BadRequest)?);
        }
        self.stage = Stage::Field(FieldReader::new(self.at));
        Ok(line.version == Version::HTTP_09)
    }

    /// Takes a line of the head. Whether that was the last.
    fn add(&mut self, line: HeadLine, bytes: &[u8]) -> Result<bool, Refusal> {
        let Request { method, version, fields, .. } = &mut self.request;
        match line {
            HeadLine::Field { name, value } => {
                fields.add(bytes.get(name).unwrap_or_default(), bytes.get(value).unwrap_or_default())?;
            }
            HeadLine::Ignored => {}
            HeadLine::End => {
                fields.complete(*method, *version)?;
                return Ok(true);
            }
        }
        self.stage = Stage::Field(FieldReader::new(self.at));
        Ok(false)
    }

    fn make_room(&mut self) -> Result<(), Refusal> {
        match &self.stage {
            Stage::Line(line) if line.is_blank() => {
                self.window.room = self.window.size;
                Ok(())
            }
            Stage::Line(line) => {
                let held = self.at - line.start();
                self.window.grow(held).map_err(|Overflow| Refusal::TargetTooLong)
            }
            Stage::Field(field) => {
                let held = if field.is_blank() { 0 } else { self.at - field.start() };
                self.window.grow(held).map_err(|Overflow| Refusal::HeadTooLarge)
            }
        }
    }
}

/// A request of which nothing has been read, as errors in its first line are answered.
fn nothing() -> Request<Vec<u8>> {
    Request {
        method: Method::Other,
        version: Version::HTTP_10,
        path: Vec::new(),
        query: Vec::new(),
        fields: Fields::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(head: &[u8]) -> Option<Head> {
        HeadReader::new(Window::new()).read(head)
    }

    fn refusal(head: &str) -> Option<Refusal> {
        read(head.as_bytes()).unwrap_or_else(|| panic!("{head:?} is not whole")).refusal
    }

    #[test]
    fn a_request_is_understood() {
        let text = "\r\nGET /a/../b?c HTTP/1.1\r\nHost: X\r\nIf-Match: *\r\nx_y: z\r\n\r\nrest";
        let head = read(text.as_bytes()).unwrap();
        assert_eq!((head.start, head.end, head.refusal), (2, text.len() - 4, None));
        let Request { method, version, path, query, fields } = head.request;
        assert_eq!((method, version, &path[..], &query[..]), (Method::Get, Version::HTTP_11, &b"/b"[..], &b"c"[..]));
        assert_eq!((fields.server.unwrap(), fields.if_match.unwrap()), (b"x".to_vec(), b"*".to_vec()));
    }

    #[test]
    fn the_host_of_an_absolute_target_comes_first() {
        let server = |text: &str| read(text.as_bytes()).unwrap().request.fields.server;
        assert_eq!(server("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"), Some(b"a".to_vec()));
        assert_eq!(
            refusal("GET http://a/ HTTP/1.1\r\n\r\n"),
            Some(Refusal::BadRequest),
            "a host is needed all the same"
        );
        assert_eq!(refusal("GET http:// HTTP/1.1\r\n"), Some(Refusal::BadRequest));
    }

    #[test]
    fn a_head_without_fields_is_whole_without_an_empty_line() {
        assert_eq!(refusal("GET /\r\n"), None);
        assert_eq!(refusal("HEAD /\r\n"), Some(Refusal::BadRequest));
    }

    #[test]
    fn a_line_that_fails_has_its_method_all_the_same() {
        assert_eq!(read(b"HEAD /\0").unwrap().request.method, Method::Head);
        assert_eq!(read(b"HEAD\t").unwrap().request.method, Method::Other);
    }

    #[test]
    fn what_is_too_long_is_refused_when_the_buffers_are_full() {
        let refusal = |head: &[u8]| read(head).map(|head| (head.end, head.refusal));
        let line = [b"GET /".as_slice(), &[b'a'; 9000]].concat();
        assert_eq!(refusal(&line), Some((8192, Some(Refusal::TargetTooLong))));
        assert!(refusal(&line[..8191]).is_none());
        let field = [b"GET / HTTP/1.1\r\na: ".as_slice(), &[b'a'; 9000]].concat();
        assert_eq!(refusal(&field), Some((16 + 8192, Some(Refusal::HeadTooLarge))));
        let many = [b"GET / HTTP/1.1\r\n".as_slice(), &b"a: b\r\n".repeat(10_000)].concat();
        let (end, refused) = refusal(&many).unwrap();
        assert_eq!(refused, Some(Refusal::HeadTooLarge));
        assert!((32 * 1024..=33 * 1024).contains(&end), "{end}");
    }

    #[test]
    fn empty_lines_take_no_room() {
        let mut reader = HeadReader::new(Window::new());
        for _ in 0..100 {
            assert!(reader.read(&b"\r\n".repeat(100)).is_none());
            assert!(reader.forget_blank());
        }
        assert!(reader.read(b"GET /\n").is_some());
    }

    proptest! {
        #[test]
        fn the_pieces_change_nothing(
            text in "(GET|POST|x| |/|a|\\.|%2e|\\?|HTTP/1\\.1|HTTP/1\\.0|\r\n|\r|\n|\r\nHost: a|: |Content-Length: 1){0,30}",
            cuts in proptest::collection::vec(1_usize..9, 1..5),
        ) {
            let bytes = text.as_bytes();
            let whole = HeadReader::new(Window::new()).read(bytes);
            let (mut reader, mut end) = (HeadReader::new(Window::new()), 0);
            let mut cuts = cuts.iter().cycle();
            let pieces = loop {
                end = (end + cuts.next().unwrap()).min(bytes.len());
                match reader.read(&bytes[..end]) {
                    None if end < bytes.len() => {}
                    read => break read,
                }
            };
            prop_assert_eq!(format!("{pieces:?}"), format!("{whole:?}"));
        }

        #[test]
        fn no_head_is_longer_than_the_buffers(bytes in proptest::collection::vec(any::<u8>(), 0..200), times in 1_usize..400) {
            let bytes = [b"GET / HTTP/1.1\r\n".as_slice(), &bytes.repeat(times)].concat();
            if let Some(head) = read(&bytes) {
                prop_assert!(head.end <= BUFFER + usize::from(LARGE_BUFFERS) * LARGE_BUFFER);
            } else {
                prop_assert!(bytes.len() < BUFFER + usize::from(LARGE_BUFFERS) * LARGE_BUFFER);
            }
        }
    }
}
