//! The message that goes there and back.

use serde::Serialize;

/// Two fields, as JSON or as a protocol buffer.
#[derive(Clone, PartialEq, Serialize, prost::Message)]
pub(crate) struct Note {
    #[prost(uint64, tag = "1")]
    pub(crate) seq: u64,
    #[prost(string, tag = "2")]
    pub(crate) text: String,
}

/// The length of an event's JSON.
pub(crate) const EVENT_LENGTH: usize = 64;

/// Gives each `seq` the same number of digits.
const FIRST: u64 = 1_000_000_000_000;

impl Note {
    /// A note whose JSON has `length` bytes.
    pub(crate) fn of_length(length: usize) -> Self {
        let around = serde_json::to_vec(&Self { seq: FIRST, text: String::new() }).unwrap().len();
        Self { seq: FIRST, text: "x".repeat(length - around) }
    }

    /// So many events, numbered, each of 64 bytes of JSON.
    pub(crate) fn events(count: u64) -> impl Iterator<Item = Self> + Send {
        let first = Self::of_length(EVENT_LENGTH);
        (0..count).map(move |number| Self { seq: first.seq + number, text: first.text.clone() })
    }

    /// Whether this is the event of that number.
    pub(crate) fn is_event(&self, number: u64) -> bool {
        self.seq == FIRST + number
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap()
    }
}
