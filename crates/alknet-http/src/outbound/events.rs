//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), read as they are asked for.
//!
//! Own code, since the crates that there are hold an event of any length.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use url::Url;

use super::RequestError;
use super::client::{Deadline, describe, server_of};

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// Its type; empty if it has none.
    pub(crate) kind: String,
    pub(crate) data: String,
    /// What to name to whoever is asked for the events after this one.
    pub(crate) id: Option<String>,
    /// How many milliseconds to wait before that.
    pub(crate) retry: Option<u64>,
}

impl Event {
    fn len(&self) -> usize {
        self.data.len() + self.kind.len() + self.id.as_ref().map_or(0, String::len)
    }
}

/// The events of an answer. To drop it is to give up the rest.
pub(crate) struct EventReader {
    response: reqwest::Response,
    url: Url,
    parser: Parser,
    idle: Duration,
}

impl EventReader {
    /// Events of at most `limit` bytes, between which there are no more than `idle`.
    pub(crate) fn new(response: reqwest::Response, limit: usize, idle: Duration) -> Self {
        Self { url: response.url().clone(), response, parser: Parser::new(limit), idle }
    }

    /// The next event; none at the end. One that has begun and does not end is dropped, as the standard has it.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, RequestError> {
        let Self { response, url, parser, idle } = self;
        loop {
            match parser.next() {
                Ok(None) => {}
                Ok(event) => return Ok(event),
                Err(TooLong { limit }) => return Err(RequestError::TooLong { server: server_of(url), limit }),
            }
            let chunk = async {
                let broken = |error| RequestError::Broken { server: server_of(url), reason: describe(error) };
                response.chunk().await.map_err(broken)
            };
            match Deadline::after(*idle).of(url, chunk).await? {
                Some(chunk) => parser.push(chunk),
                None => return Ok(None),
            }
        }
    }
}

/// An event that is longer than it may be.
#[derive(Debug, PartialEq, Eq)]
struct TooLong {
    limit: usize,
}

/// Makes events of bytes. It holds what has been pushed, and no more than the limit of an event that has not ended.
struct Parser {
    /// What was pushed and not looked at.
    chunks: VecDeque<Bytes>,
    /// The start of a line.
    line: BytesMut,
    event: Event,
    /// Whether the event has any data, be it an empty line.
    has_data: bool,
    /// Whether a line feed belongs to the carriage return before it.
    after_return: bool,
    is_first_line: bool,
    limit: usize,
}

impl Parser {
    fn new(limit: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            line: BytesMut::new(),
            event: Event::default(),
            has_data: false,
            after_return: false,
            is_first_line: true,
            limit,
        }
    }

    fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// The next event among what was pushed.
    fn next(&mut self) -> Result<Option<Event>, TooLong> {
        while let Some(mut chunk) = self.chunks.pop_front() {
            if std::mem::take(&mut self.after_return) && chunk.first() == Some(&b'\n') {
                chunk.advance(1);
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let part = chunk.split_to(end.unwrap_or(chunk.len()));
            if self.event.len() + self.line.len() + part.len() > self.limit {
                return Err(TooLong { limit: self.limit });
            }
            if end.is_none() {
                self.line.extend_from_slice(&part);
                continue;
            }
            self.after_return = chunk.first() == Some(&b'\r');
            chunk.advance(1);
            // An empty chunk would be taken for one without a line feed.
            if !chunk.is_empty() {
                self.chunks.push_front(chunk);
            }
            let event = match self.line.is_empty() {
                true => self.take(&part),
                false => {
                    self.line.extend_from_slice(&part);
                    let line = self.line.split();
                    self.take(&line)
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Takes a line; an empty one ends the event.
    fn take(&mut self, line: &[u8]) -> Option<Event> {
        let line = match std::mem::take(&mut self.is_first_line) {
            true => line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line),
            false => line,
        };
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at_checked(colon)?;
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(&value);
            }
            b"event" => self.event.kind = value.into_owned(),
            b"id" if !value.contains('\0') => self.event.id = Some(value.into_owned()),
            b"retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => self.event.retry = value.parse().ok(),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a text that comes in pieces.
    fn parse(pieces: &[&[u8]], limit: usize) -> Result<Vec<(String, String)>, TooLong> {
        let (mut parser, mut events) = (Parser::new(limit), Vec::new());
        for piece in pieces {
            parser.push(Bytes::copy_from_slice(piece));
            while let Some(event) = parser.next()? {
                events.push((event.kind, event.data));
            }
        }
        Ok(events)
    }

    fn events(text: &str) -> Vec<(String, String)> {
        parse(&[text.as_bytes()], 1000).unwrap()
    }

    fn event(kind: &str, data: &str) -> (String, String) {
        (kind.to_owned(), data.to_owned())
    }

    #[test]
    fn events_are_read_as_the_standard_has_it() {
        // The examples of the standard, §9.2.6.
        assert_eq!(events("data: YHOO\ndata: +2\ndata: 10\n\n"), [event("", "YHOO\n+2\n10")]);
        let text = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(events(text), [event("", "first event"), event("", "second event"), event("", " third event")]);
        assert_eq!(events("data\n\ndata\ndata\n\ndata:"), [event("", ""), event("", "\n")]);
        assert_eq!(events("data:test\n\ndata: test\n\n"), [event("", "test"), event("", "test")]);
        // A byte order mark, types, what is not known, and a block without data.
        assert_eq!(
            events("\u{feff}data: a\r\revent: b\r\nretry: 5\r\ndata: c\r\n\r\n"),
            [event("", "a"), event("b", "c")]
        );
        assert_eq!(events("event: a\n\ndata: b\n\nnew: c\n\n"), [event("", "b")]);
    }

    #[test]
    fn an_event_says_how_to_go_on_after_it() {
        let mut parser = Parser::new(100);
        parser.push(Bytes::from_static(
            b"id: 7\nretry: 1500\ndata:\n\nid: a\0b\nretry: soon\ndata: x\n\nid: gone\n\ndata: y\n\n",
        ));
        let mut next = || parser.next().unwrap().map(|event| (event.data, event.id, event.retry));
        assert_eq!(next(), Some((String::new(), Some("7".to_owned()), Some(1500))));
        assert_eq!(next(), Some(("x".to_owned(), None, None)));
        // A block without data is no event, and leaves nothing to the next.
        assert_eq!(next(), Some(("y".to_owned(), None, None)));
    }

    #[test]
    fn an_event_has_a_limit_and_a_stream_has_none() {
        let long = format!("data: {}\n\n", "x".repeat(90));
        assert_eq!(parse(&[long.repeat(50).as_bytes()], 100).unwrap().len(), 50);
        assert_eq!(parse(&[&long.as_bytes()[..50], &long.as_bytes()[50..]], 80), Err(TooLong { limit: 80 }));
        let lines = "data: 0123456789\n".repeat(20);
        assert_eq!(parse(&[lines.as_bytes()], 100), Err(TooLong { limit: 100 }));
        let kind = format!("event: {}\ndata: {}\n\n", "x".repeat(60), "y".repeat(60));
        assert_eq!(parse(&[kind.as_bytes()], 100), Err(TooLong { limit: 100 }));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(
            text in "((data|event|id|:)?:? ?[a-cé]{0,3}(\r|\n|\r\n)){0,12}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(parse(&pieces, 1000).unwrap(), events(&text));
        }

        #[test]
        fn what_was_written_is_read(data in prop::collection::vec("[^\r\n]{0,20}", 1..5), kind in "[^\r\n]{0,10}") {
            let lines: String = data.iter().map(|line| format!("data: {line}\n")).collect();
            prop_assert_eq!(events(&format!("event: {kind}\n{lines}\n")), [(kind, data.join("\n"))]);
        }
    }
}
