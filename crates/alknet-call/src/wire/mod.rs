//! What travels: frames, and the messages in them. Free of I/O, so that a test or a fuzz target can feed it any bytes.
//!
//! ```
//! use alknet_call::wire::{DEFAULT_MAX_FRAME, FrameDecoder, Message};
//! use bytes::BytesMut;
//!
//! let mut wire = BytesMut::from(&b"\0\0\0\x22{\"type\":\"call.aborted\",\"id\":\"abc\"}"[..]);
//! let frame = FrameDecoder::new(DEFAULT_MAX_FRAME).decode(&mut wire)?.expect("it is complete");
//! assert!(matches!(Message::parse(&frame)?, Message::Aborted { id } if id == "abc"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod frame;
mod message;
mod raw;

pub use frame::{DEFAULT_MAX_FRAME, EncodeError, FrameDecoder, FrameError, encode, encode_to};
pub use message::{MAX_ID_LENGTH, Message, MessageError, Request};
pub use raw::{AuthToken, RawJson};

/// Quotes a text of the peer's for an error or a log line: escaped, and cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}
