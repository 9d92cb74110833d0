//! The calls that the peer has made and that have not ended.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::StreamId;
use crate::{CallError, ErrorCode};

/// The largest credit that is counted; far more than any stream holds.
const MAX_CREDIT: i64 = 1 << 40;

pub(crate) struct Incoming<I> {
    calls: HashMap<Arc<str>, Entry<I>>,
    streams: HashMap<StreamId, Stream>,
    next_number: u64,
    max_running: usize,
    draining: bool,
}

struct Entry<I> {
    number: u64,
    stream: StreamId,
    deadline: Option<Instant>,
    /// Bytes of events that the caller still has room for; none if it has not said.
    credit: Option<i64>,
    waits: bool,
    held: I,
}

#[derive(Default)]
struct Stream {
    running: usize,
    waiting: VecDeque<Arc<str>>,
}

/// A call that is no longer entered.
#[derive(Debug)]
pub(crate) struct Removed<I> {
    pub(crate) held: I,
    /// On which stream it was asked for.
    pub(crate) stream: StreamId,
    pub(super) deadline: Option<Instant>,
}

impl<I> Incoming<I> {
    pub(super) fn new(max_running: usize) -> Self {
        Self { calls: HashMap::new(), streams: HashMap::new(), next_number: 0, max_running, draining: false }
    }

    pub(super) fn refusal(&self, id: &str) -> Option<CallError> {
        if self.draining {
            return Some(CallError::new(ErrorCode::Unavailable, "this node is shutting down"));
        }
        let taken = self.calls.contains_key(id);
        taken.then(|| CallError::invalid_input("a call with this id is still running on this connection"))
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    pub(super) fn has_room(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_none_or(|stream| stream.running < self.max_running)
    }

    pub(super) fn serves(&self, stream: StreamId) -> bool {
        // A stream is entered for as long as it has calls.
        self.streams.contains_key(&stream)
    }

    pub(super) fn waiting(&self, stream: StreamId) -> usize {
        self.streams.get(&stream).map_or(0, |stream| stream.waiting.len())
    }

    pub(super) fn enter(
        &mut self,
        id: &Arc<str>,
        stream: StreamId,
        deadline: Option<Instant>,
        window: Option<u64>,
        start: impl FnOnce(u64) -> I,
    ) {
        self.streams.entry(stream).or_default().running += 1;
        let credit = window.map(|bytes| i64::try_from(bytes).unwrap_or(MAX_CREDIT).min(MAX_CREDIT));
        let number = self.next_number();
        let held = start(number);
        self.calls.insert(id.clone(), Entry { number, stream, deadline, credit, waits: false, held });
    }

    pub(super) fn enter_waiting(&mut self, id: &Arc<str>, stream: StreamId, deadline: Option<Instant>, held: I) {
        self.streams.entry(stream).or_default().waiting.push_back(id.clone());
        let number = self.next_number();
        self.calls.insert(id.clone(), Entry { number, stream, deadline, credit: None, waits: true, held });
    }

    fn next_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(super) fn next_waiting(&mut self, stream: StreamId) -> Option<(Arc<str>, Removed<I>)> {
        if !self.has_room(stream) {
            return None;
        }
        let id = self.streams.get(&stream)?.waiting.front()?.clone();
        let removed = self.remove(&id)?;
        Some((id, removed))
    }

    pub(super) fn remove_numbered(&mut self, id: &Arc<str>, number: u64) -> Option<Removed<I>> {
        self.numbered(id, number)?;
        self.remove(id)
    }

    pub(super) fn remove(&mut self, id: &Arc<str>) -> Option<Removed<I>> {
        let Entry { stream, deadline, waits, held, .. } = self.calls.remove(id)?;
        if let Some(state) = self.streams.get_mut(&stream) {
            match waits {
                true => state.waiting.retain(|waiting| waiting != id),
                false => state.running = state.running.saturating_sub(1),
            }
            if state.running == 0 && state.waiting.is_empty() {
                self.streams.remove(&stream);
            }
        }
        Some(Removed { held, stream, deadline })
    }

    fn numbered(&self, id: &str, number: u64) -> Option<&Entry<I>> {
        self.calls.get(id).filter(|entry| entry.number == number)
    }

    pub(super) fn credit(&mut self, id: &str, bytes: u64) -> Option<&I> {
        let entry = self.calls.get_mut(id)?;
        let credit = entry.credit.as_mut()?;
        *credit = credit.saturating_add(i64::try_from(bytes).unwrap_or(MAX_CREDIT)).min(MAX_CREDIT);
        (*credit > 0).then_some(&entry.held)
    }

    pub(super) fn spend(&mut self, id: &str, number: u64, bytes: u64) -> bool {
        let Some(entry) = self.calls.get_mut(id).filter(|entry| entry.number == number) else { return false };
        if let Some(credit) = &mut entry.credit {
            *credit = credit.saturating_sub(i64::try_from(bytes).unwrap_or(MAX_CREDIT));
        }
        true
    }

    pub(super) fn credit_of(&self, id: &str, number: u64) -> Option<u64> {
        let entry = self.numbered(id, number)?;
        Some(entry.credit.map_or(MAX_CREDIT.unsigned_abs(), |credit| u64::try_from(credit).unwrap_or(0)))
    }

    pub(super) fn held(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut I)> {
        self.calls.iter_mut().map(|(id, entry)| (id, &mut entry.held))
    }

    pub(super) fn forget_stream(&mut self, stream: StreamId) -> Vec<Arc<str>> {
        self.calls.iter().filter(|(_, entry)| entry.stream == stream).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn clear(&mut self) -> Vec<I> {
        self.streams.clear();
        self.calls.drain().map(|(_, entry)| entry.held).collect()
    }
}
