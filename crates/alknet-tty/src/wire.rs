//! The protocol `alknet/tty`: one stream is one view of one terminal. Free of I/O, so that a client can use it, and a test
//! or a fuzz target can feed it any bytes.
//!
//! # The stream
//!
//! The client sends one frame, a [`Header`]: a length of four bytes, the most significant first, and so many bytes of
//! JSON, [`MAX_HEADER`] at most, within [`HEADER_TIME`]. It may send what is to be typed right behind it.
//!
//! ```json
//! {"id": "t-…", "auth_token": "alk_…", "rows": 24, "cols": 80, "from": 1234, "scrollback": true}
//! {"spawn": {"command": "/bin/bash", "args": [], "environment": {}}, "rows": 24, "cols": 80}
//! ```
//!
//! There is either `id`, of a terminal of the caller's, or `spawn`, with the input of `tty/spawn`; everything else is
//! optional. `auth_token` says who the caller is, if not whom the connection says. `rows` and `cols` are the size that the
//! terminal gets. `from` and `scrollback` are those of `tty/attach`. Fields that are not known are ignored.
//!
//! The server answers with one frame, a [`Reply`]:
//!
//! ```json
//! {"id": "t-…", "rows": 24, "cols": 80, "offset": 1234, "writable": true}
//! {"error": {"code": "FORBIDDEN", "message": "…", "retryable": false}}
//! ```
//!
//! After an error the stream ends. Otherwise there follow raw bytes both ways: what the terminal puts out, beginning with
//! the byte at `offset`, and what is typed. `offset` is behind `from` if that is no longer kept. Where the caller may
//! not type, `writable` is false, its `rows` and `cols` change nothing, and what it sends is dropped.
//!
//! # The end
//!
//! The client's end of sending ends the typing only, and is no key: the program sees nothing of it. What keeps silent for
//! [`SILENCE`] after that is taken for a client that has gone. The terminal outlives the stream.
//!
//! When the program has ended the server sends all output, and ends the stream in order. How it ended is nothing that raw
//! bytes could say: who wants to know subscribes to `tty/attach`, whose last event says it. A stream that breaks off in any
//! other way has not come to the end of the output, and the client comes back with `from`. Over QUIC (and whatever else
//! resets a stream with a code) the code tells why:
//!
//! | code | reason |
//! | --- | --- |
//! | 1 | the node shuts down |
//! | 2 | the caller may not see the terminal any more |
//! | 3 | a fault of the node |
//! | 4 | the client has ended its side, and the terminal was silent for too long |
//! | 16 | [`TOO_SLOW`]: others are attached, and the client was so slow that a part of the output is no longer kept |
//! | 17 | [`ENDED`]: the terminal has ended, and the client did not take the last of its output |
//!
//! Signals, and sizes other than the first, are sent by `tty/signal` and `tty/resize`.
//!
//! ```
//! use alknet_tty::wire::{Header, Reply, Target, decode};
//! use bytes::BytesMut;
//!
//! let header = Header { rows: Some(50), ..Header::of(Target::Attach("t-abc".into())) };
//! let mut received = BytesMut::from(&header.encode()?[..]);
//! received.extend_from_slice(b"ls\n");
//! let frame = decode(&mut received)?.expect("it is complete");
//! assert_eq!((Header::parse(&frame)?, &received[..]), (header, &b"ls\n"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use alknet_call::CallError;
use alknet_call::wire::{AuthToken, EncodeError, FrameDecoder, FrameError, encode};
use alknet_core::CloseCode;
use bytes::{Bytes, BytesMut};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::SpawnInput;

/// The longest frame, in bytes, the length field not counted.
pub const MAX_HEADER: usize = 16 * 1024;

/// How long the header may take to arrive, from the beginning of the stream.
pub const HEADER_TIME: Duration = Duration::from_secs(10);

/// How long a terminal may put out nothing before a client that has ended its side is taken to have gone; it may be up to
/// twice as long.
pub const SILENCE: Duration = Duration::from_secs(10 * 60);

/// The code of a stream that is reset because its client is too slow.
pub const TOO_SLOW: CloseCode = CloseCode::new(16);

/// The code of a stream that is reset because its terminal has ended, and the client takes nothing.
pub const ENDED: CloseCode = CloseCode::new(17);

/// What a client begins a stream with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Which terminal.
    pub target: Target,
    /// Who the caller is, if not whom the connection says.
    pub auth_token: Option<AuthToken>,
    /// The rows that the terminal gets.
    pub rows: Option<u16>,
    /// The columns that the terminal gets.
    pub cols: Option<u16>,
    /// The byte of the output to begin with. Nothing to a new terminal.
    pub from: Option<u64>,
    /// Without `from`: whether to begin with what is kept of the output.
    pub scrollback: bool,
}

/// Which terminal a stream is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one of this id.
    Attach(String),
    /// A new one.
    Spawn(SpawnInput),
}

impl Header {
    /// A header with nothing but the target.
    pub fn of(target: Target) -> Self {
        Self { target, auth_token: None, rows: None, cols: None, from: None, scrollback: true }
    }

    /// Reads a header from its JSON.
    ///
    /// # Errors
    /// When it is not JSON, or not that of a header.
    pub fn parse(json: &[u8]) -> Result<Self, HeaderError> {
        let Object(Fields { id, spawn, auth_token, rows, cols, from, scrollback }) =
            serde_json::from_slice(json).map_err(|error| HeaderError::Json(cut(&error)))?;
        let target = match (id, spawn) {
            (Some(id), None) => Target::Attach(id),
            (None, Some(Object(spawn))) => Target::Spawn(spawn),
            _ => return Err(HeaderError::Target),
        };
        let auth_token = auth_token.map(AuthToken::new);
        Ok(Self { target, auth_token, rows, cols, from, scrollback: scrollback.unwrap_or(true) })
    }

    /// Writes it as a frame.
    ///
    /// # Errors
    /// When it is longer than [`MAX_HEADER`].
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        let (id, spawn) = match &self.target {
            Target::Attach(id) => (Some(id.clone()), None),
            Target::Spawn(input) => (None, Some(Object(input.clone()))),
        };
        let auth_token = self.auth_token.as_ref().map(|token| token.reveal().to_owned());
        let (rows, cols, from) = (self.rows, self.cols, self.from);
        let scrollback = (!self.scrollback).then_some(false);
        encode(&Fields { id, spawn, auth_token, rows, cols, from, scrollback }, MAX_HEADER)
    }
}

/// A header as it is written.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spawn: Option<Object<SpawnInput>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cols: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scrollback: Option<bool>,
}

/// A structure that is read from an object only. Without this, an array of the fields' values would be one, too.
struct Object<T>(T);

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectOf(PhantomData))
    }
}

struct ObjectOf<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOf<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// What the server answers a header with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reply {
    /// There will be no bytes.
    Refused {
        /// Why.
        error: CallError,
    },
    /// From here on there are raw bytes.
    Attached(Attached),
}

/// What a stream is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// The terminal.
    pub id: String,
    /// The rows it has.
    pub rows: u16,
    /// The columns it has.
    pub cols: u16,
    /// The place of the first byte that will come in all that the terminal has put out.
    pub offset: u64,
    /// Whether what is sent is typed.
    pub writable: bool,
}

impl Reply {
    /// Reads a reply from its JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(json: &[u8]) -> Result<Self, HeaderError> {
        serde_json::from_slice(json).map_err(|error| HeaderError::Json(cut(&error)))
    }

    /// Writes it as a frame.
    ///
    /// # Errors
    /// When it is longer than [`MAX_HEADER`].
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        encode(self, MAX_HEADER)
    }
}

/// Takes the frame off the front of `buffer`, without its length field; none if it is not complete yet. What stands behind
/// it stays.
///
/// # Errors
/// When it is longer than [`MAX_HEADER`], as soon as its length is there, or empty.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    FrameDecoder::new(MAX_HEADER).decode(buffer)
}

/// JSON that is no header, or no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not JSON, or a field holds what it cannot.
    #[error("the first frame cannot be read: {0}")]
    Json(String),
    /// It says not which terminal, or says it twice.
    #[error("the first frame must have either \"id\" or \"spawn\"")]
    Target,
}

/// Says what is wrong, without all of a value that may be long.
fn cut(error: &serde_json::Error) -> String {
    error.to_string().chars().take(200).collect()
}

#[cfg(test)]
mod tests;
