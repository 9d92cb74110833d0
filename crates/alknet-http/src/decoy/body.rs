//! The bodies of answers: parts of files and of memory, read as they are sent.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};

use super::gzip::Encoder;
use super::site::Content;

/// How much is read at a time: a buffer of `output_buffers`.
const PORTION: usize = 32 * 1024;

/// Some bytes of a content.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) content: Content,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// The parts of an answer that are still to be sent.
#[derive(Debug, Default)]
pub(crate) struct Body {
    parts: VecDeque<Part>,
    encoder: Option<Encoder>,
}

impl Part {
    /// All of a content in memory; nothing of another, whose length only its file knows.
    pub(crate) fn new(content: Content) -> Self {
        let end = match &content {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File(_) => 0,
        };
        Self { content, start: 0, end }
    }

    fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

impl From<Part> for Body {
    fn from(part: Part) -> Self {
        std::iter::once(part).collect()
    }
}

impl FromIterator<Part> for Body {
    fn from_iter<I: IntoIterator<Item = Part>>(parts: I) -> Self {
        Self { parts: parts.into_iter().filter(|part| part.len() > 0).collect(), encoder: None }
    }
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// How many bytes are left, before any compression.
    pub(crate) fn len(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether [`next`](Self::next) has given all.
    pub(crate) fn is_at_end(&self) -> bool {
        self.parts.is_empty()
    }

    /// Has what is left, of which there are `length` bytes, compressed as it is sent.
    pub(crate) fn compress(&mut self, length: u64) {
        self.encoder = Some(Encoder::new(length));
    }

    /// The next portion, never an empty one.
    ///
    /// # Errors
    /// When a file cannot be read, or is shorter than it was.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(portion) = self.read().await? else { return Ok(None) };
            let portion = match &mut self.encoder {
                None => portion,
                Some(encoder) => {
                    let is_last = self.parts.is_empty();
                    let output = encoder.push(&portion, is_last);
                    if is_last {
                        self.encoder = None;
                    }
                    output
                }
            };
            if !portion.is_empty() {
                return Ok(Some(portion));
            }
        }
    }

    /// Reads on in the first part.
    async fn read(&mut self) -> io::Result<Option<Bytes>> {
        let Some(part) = self.parts.front_mut() else { return Ok(None) };
        let limit = usize::try_from(part.len()).unwrap_or(PORTION).min(PORTION);
        let portion = part.content.read(part.start, limit).await?;
        if portion.len() < limit {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was"));
        }
        part.start += portion.len() as u64;
        if part.len() == 0 {
            self.parts.pop_front();
        }
        Ok(Some(portion))
    }

    /// All that is left, if it is in memory and fits into one portion.
    pub(crate) fn take_small(&mut self) -> Option<Bytes> {
        if self.encoder.is_some() || self.len() > PORTION as u64 {
            return None;
        }
        let mut whole = BytesMut::new();
        for part in &self.parts {
            let Content::Memory(bytes) = &part.content else { return None };
            let range = usize::try_from(part.start).ok()?..usize::try_from(part.end).ok()?;
            if self.parts.len() == 1 {
                let small = bytes.get(range.clone()).map(|_| bytes.slice(range));
                self.parts.clear();
                return small;
            }
            whole.extend_from_slice(bytes.get(range)?);
        }
        self.parts.clear();
        Some(whole.freeze())
    }
}
