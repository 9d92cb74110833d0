//! The calls that this side has made and that have not ended.

use std::collections::HashMap;
use std::time::Instant;

use super::StreamId;
use crate::CallError;
use crate::wire::RawJson;

pub(crate) struct Outgoing<O> {
    calls: HashMap<u64, Entry<O>>,
    /// How many subscriptions hold all that they have room for, by stream.
    full: HashMap<StreamId, usize>,
}

struct Entry<O> {
    stream: StreamId,
    deadline: Option<Instant>,
    window: Option<Window>,
    owner: O,
}

/// How much a subscription may be sent, and how much of it is there.
struct Window {
    size: u64,
    /// Bytes that have come and that nobody has taken.
    held: u64,
    /// Bytes that were taken and that the callee does not know of.
    taken: u64,
    /// Whether the callee takes credit. It says so with its first event.
    has_credit: bool,
}

/// A call that is no longer entered.
#[derive(Debug)]
pub(crate) struct Owned<O> {
    pub(crate) owner: O,
    /// On which stream it was sent.
    pub(crate) stream: StreamId,
    pub(super) deadline: Option<Instant>,
}

/// What follows when a subscriber has taken events.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Consumed {
    /// On which stream the subscription was sent.
    pub(crate) stream: StreamId,
    /// How much room the callee is to be told of.
    pub(crate) grant: Option<u64>,
    /// Whether the stream may be read again that was not read because of it.
    pub(crate) freed: bool,
}

/// How a call has ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// With its one answer.
    Answered(RawJson),
    /// As a subscription that has given all it had.
    Completed,
    /// With an error of the callee's.
    Failed(CallError),
    /// The callee broke the protocol.
    Misbehaved(&'static str),
}

/// What an answer is to its call.
pub(super) enum Answer {
    Unknown,
    Last,
    FirstOfMany,
    Event,
    TooMuch,
}

impl<O> Outgoing<O> {
    pub(super) fn new() -> Self {
        Self { calls: HashMap::new(), full: HashMap::new() }
    }

    pub(super) fn enter(
        &mut self,
        id: u64,
        stream: StreamId,
        deadline: Option<Instant>,
        window: Option<u64>,
        owner: O,
    ) {
        let window = window.map(|size| Window { size, held: 0, taken: 0, has_credit: false });
        self.calls.insert(id, Entry { stream, deadline, window, owner });
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Owned<O>> {
        let Entry { stream, deadline, window, owner } = self.calls.remove(&id)?;
        if window.is_some_and(|window| window.is_full()) {
            self.count_full(stream, false);
        }
        Some(Owned { owner, stream, deadline })
    }

    pub(super) fn responded(&mut self, id: u64, bytes: u64, event: bool) -> Answer {
        let Some(entry) = self.calls.get_mut(&id) else { return Answer::Unknown };
        let Some(window) = &mut entry.window else { return if event { Answer::FirstOfMany } else { Answer::Last } };
        let was_full = window.is_full();
        window.has_credit |= event;
        // A callee that takes credit may go over it with one event, and not with a second.
        if window.has_credit && window.held.saturating_add(window.taken) >= window.size {
            return Answer::TooMuch;
        }
        window.held = window.held.saturating_add(bytes);
        let (stream, is_full) = (entry.stream, window.is_full());
        if is_full != was_full {
            self.count_full(stream, is_full);
        }
        Answer::Event
    }

    pub(super) fn consumed(&mut self, id: u64, bytes: u64) -> Option<Consumed> {
        let entry = self.calls.get_mut(&id)?;
        let (stream, window) = (entry.stream, entry.window.as_mut()?);
        let was_full = window.is_full();
        window.held = window.held.saturating_sub(bytes);
        let freed = was_full && !window.is_full();
        let mut grant = None;
        if window.has_credit {
            window.taken = window.taken.saturating_add(bytes);
            // Small steps would cost a message each.
            if window.taken >= window.size / 2 {
                grant = Some(std::mem::take(&mut window.taken));
            }
        }
        if freed {
            self.count_full(stream, false);
        }
        Some(Consumed { stream, grant, freed })
    }

    fn count_full(&mut self, stream: StreamId, more: bool) {
        let count = self.full.entry(stream).or_default();
        *count = if more { *count + 1 } else { count.saturating_sub(1) };
        if *count == 0 {
            self.full.remove(&stream);
        }
    }

    pub(super) fn is_full(&self, stream: StreamId) -> bool {
        self.full.contains_key(&stream)
    }

    pub(super) fn owner(&self, id: u64) -> Option<&O> {
        self.calls.get(&id).map(|entry| &entry.owner)
    }

    pub(super) fn is_subscription(&self, id: u64) -> Option<bool> {
        self.calls.get(&id).map(|entry| entry.window.is_some())
    }

    pub(super) fn sent_on(&self, stream: StreamId) -> Vec<u64> {
        self.calls.iter().filter(|(_, entry)| entry.stream == stream).map(|(id, _)| *id).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn clear(&mut self) -> Vec<O> {
        self.full.clear();
        self.calls.drain().map(|(_, entry)| entry.owner).collect()
    }
}

impl Window {
    fn is_full(&self) -> bool {
        !self.has_credit && self.held >= self.size
    }
}
