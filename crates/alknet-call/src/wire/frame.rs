//! Frames: a 4-byte big-endian length, then that many bytes of UTF-8 JSON.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;

/// The longest frame that is taken unless configured otherwise: 16 MiB, the length field not counted.
pub const DEFAULT_MAX_FRAME: usize = 16 * 1024 * 1024;

const HEADER: usize = size_of::<u32>();

/// Cuts a byte stream into frames. It has no state but its limit: what is incomplete stays in the caller's buffer, which
/// grows with the bytes that arrive and never with the length that a peer announces.
#[derive(Debug, Clone, Copy)]
pub struct FrameDecoder {
    max: usize,
}

impl FrameDecoder {
    /// Takes frames of up to `max` bytes, the length field not counted.
    pub const fn new(max: usize) -> Self {
        Self { max }
    }

    /// The length of the frame at the front of `buffer`, as soon as its four bytes are there.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] when it is over the limit.
    pub fn announced(&self, buffer: &[u8]) -> Result<Option<usize>, FrameError> {
        let Some(header) = buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_be_bytes(*header) as usize;
        if length > self.max {
            return Err(FrameError::TooLong { length, max: self.max });
        }
        Ok(Some(length))
    }

    /// Takes the next frame off the front of `buffer`, without its length field; none if it is not complete yet.
    ///
    /// # Errors
    /// [`FrameError::Empty`] takes the empty frame off the buffer, and decoding can go on. After
    /// [`FrameError::TooLong`] it cannot: where the next frame starts would be known only after reading all of this one.
    pub fn decode(&self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some(length) = self.announced(buffer)? else { return Ok(None) };
        if length == 0 {
            buffer.advance(HEADER);
            return Err(FrameError::Empty);
        }
        if buffer.len() - HEADER < length {
            return Ok(None);
        }
        buffer.advance(HEADER);
        Ok(Some(buffer.split_to(length).freeze()))
    }
}

/// Bytes that are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Longer than the receiver takes.
    #[error("a frame of {length} bytes is longer than the limit of {max}")]
    TooLong {
        /// The length that was announced.
        length: usize,
        /// The receiver's limit.
        max: usize,
    },
    /// A length of zero, which no JSON has.
    #[error("an empty frame holds no JSON")]
    Empty,
}

/// Writes `message` as one frame.
///
/// # Errors
/// When the JSON has more than `max` bytes (writing stops there), or `message` cannot be written as JSON.
pub fn encode(message: &impl Serialize, max: usize) -> Result<Bytes, EncodeError> {
    let mut frame = BytesMut::new();
    encode_to(message, &mut frame, max)?;
    Ok(frame.freeze())
}

/// Writes `message` as one frame at the end of `buffer`: the JSON goes straight behind the length field that is filled in
/// at the end.
///
/// # Errors
/// As [`encode`]; then `buffer` is as it was.
pub fn encode_to(message: &impl Serialize, buffer: &mut BytesMut, max: usize) -> Result<(), EncodeError> {
    const FIRST_GUESS: usize = 256;
    let max = max.min(u32::MAX as usize);
    let start = buffer.len();
    buffer.reserve(FIRST_GUESS);
    buffer.put_u32(0);
    if let Err(error) = serde_json::to_writer((&mut *buffer).limit(max).writer(), message) {
        buffer.truncate(start);
        return Err(match error.classify() {
            // The only way in which writing to memory fails is that the limit is reached.
            serde_json::error::Category::Io => EncodeError::TooLong { max },
            _ => EncodeError::Json(error),
        });
    }
    let length = (buffer.len() - start - HEADER) as u32;
    if let Some(header) = buffer.get_mut(start..).and_then(|frame| frame.first_chunk_mut::<HEADER>()) {
        *header = length.to_be_bytes();
    }
    Ok(())
}

/// A message that does not go into a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Longer than the limit.
    #[error("the message is longer than a frame may be ({max} bytes)")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// The value has no JSON form, as a map whose keys are no strings.
    #[error("the message cannot be written as JSON: {0}")]
    Json(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(text: &str) -> Vec<u8> {
        [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
    }

    /// Feeds `wire` in pieces and collects what comes out, up to the first error that ends it.
    fn decode_all(wire: &[u8], pieces: &[usize], max: usize) -> (Vec<Bytes>, Option<FrameError>) {
        let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
        let mut rest = wire;
        let mut pieces = pieces.iter().cycle();
        loop {
            let length = pieces.next().map_or(rest.len(), |piece| (*piece).clamp(1, rest.len().max(1)).min(rest.len()));
            let (piece, later) = rest.split_at(length);
            (rest, _) = (later, buffer.extend_from_slice(piece));
            loop {
                match FrameDecoder::new(max).decode(&mut buffer) {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(FrameError::Empty) => {}
                    Err(error) => return (frames, Some(error)),
                }
            }
            if rest.is_empty() {
                return (frames, None);
            }
        }
    }

    proptest! {
        #[test]
        fn every_split_of_the_bytes_gives_the_same_frames(
            texts in prop::collection::vec(".{1,40}", 0..8),
            pieces in prop::collection::vec(1usize..20, 0..20),
        ) {
            let wire: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
            let (frames, error) = decode_all(&wire, &pieces, 1000);
            prop_assert_eq!(error, None);
            prop_assert_eq!(frames, texts.iter().map(|text| Bytes::from(text.clone())).collect::<Vec<_>>());
        }

        #[test]
        fn garbage_gives_an_error_or_waits_and_never_panics(
            wire in prop::collection::vec(any::<u8>(), 0..200),
            pieces in prop::collection::vec(1usize..20, 0..20),
            max in 0usize..100,
        ) {
            let (frames, error) = decode_all(&wire, &pieces, max);
            prop_assert!(frames.iter().all(|frame| frame.len() <= max));
            prop_assert_eq!(decode_all(&wire, &[], max), (frames, error), "the split must not matter");
        }

        #[test]
        fn what_is_encoded_decodes(text in ".{0,200}", max in 0usize..300) {
            let json = serde_json::to_string(&text).unwrap();
            match encode(&text, max) {
                Ok(frame) => prop_assert_eq!(&frame[HEADER..], json.as_bytes()),
                Err(EncodeError::TooLong { .. }) => prop_assert!(json.len() > max),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

    #[test]
    fn the_limit_is_inclusive_and_seen_in_the_first_four_bytes() {
        let decode = |length: u32| FrameDecoder::new(10).decode(&mut BytesMut::from(&length.to_be_bytes()[..]));
        assert_eq!(decode(10), Ok(None));
        assert_eq!(decode(11), Err(FrameError::TooLong { length: 11, max: 10 }));
        assert!(encode(&"12345678", 10).is_ok());
        assert!(matches!(encode(&"123456789", 10), Err(EncodeError::TooLong { max: 10 })));
    }

    #[test]
    fn an_empty_frame_is_an_error_that_can_be_passed_over() {
        let mut wire = BytesMut::from(&[frame(""), frame("1")].concat()[..]);
        let decoder = FrameDecoder::new(10);
        assert_eq!(decoder.decode(&mut wire), Err(FrameError::Empty));
        assert_eq!(decoder.decode(&mut wire), Ok(Some(Bytes::from_static(b"1"))));
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut wire = BytesMut::from(&(DEFAULT_MAX_FRAME as u32).to_be_bytes()[..]);
        assert_eq!(FrameDecoder::new(DEFAULT_MAX_FRAME).decode(&mut wire), Ok(None));
        assert!(wire.capacity() < 1024);
    }
}
