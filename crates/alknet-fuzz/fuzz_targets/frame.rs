//! Any bytes on a stream of the call protocol, in any pieces: what is held stays within the limit, the pieces do not
//! matter, and a message that was understood says the same when it is written again.
#![no_main]

use alknet_call::wire::{FrameDecoder, FrameError, Message};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

/// Small, so that the limit is met often.
const MAX_FRAME: usize = 1024;
const HEADER: usize = 4;

/// All frames of a stream, an empty one as `None`, and the error that ended it.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Option<Bytes>>, Option<FrameError>) {
    let decoder = FrameDecoder::new(MAX_FRAME);
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(Some(frame)),
                Ok(None) => break,
                Err(FrameError::Empty) => frames.push(None),
                Err(error) => return (frames, Some(error)),
            }
        }
        // Only the start of a frame is left, whatever length it announces.
        assert!(buffer.len() < HEADER + MAX_FRAME, "{} bytes are held", buffer.len());
    }
    (frames, None)
}

fn check_message(frame: &Bytes) {
    assert!(frame.len() <= MAX_FRAME);
    let message = match Message::parse(frame) {
        Ok(message) => message,
        Err(error) => {
            let _ = (error.to_string(), error.summary(), error.id().to_owned());
            return;
        }
    };
    // Escapes and numbers can be written in several ways, so it may have grown.
    let written = message.encode(16 * MAX_FRAME).expect("what was received can be sent");
    let again = Message::parse(&written.slice(HEADER..)).expect("what was sent can be received");
    assert_eq!(again, message);
}

fuzz_target!(|input: &[u8]| {
    let Some((pieces, bytes)) = alknet_fuzz::split(input) else { return };
    let (frames, error) = decode(pieces.of(bytes));
    assert_eq!(decode(std::iter::once(bytes)), (frames.clone(), error), "the pieces changed the outcome");
    frames.iter().flatten().for_each(check_message);
});
