//! What a terminal has put out: the last of it, and who has taken how much.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::slots::Slot;
use crate::{AttachEvent, AttachOptions, Attachment, ExitStatus, TtyError};

/// The most bytes that are read at once, and that one event has.
pub(crate) const CHUNK: usize = 16 * 1024;

/// The output of one terminal, shared by its reader and its attachments. It holds the terminal's slot, so that what is
/// kept of terminals that have ended is bounded, too.
pub(crate) struct Output {
    state: Mutex<State>,
    /// Something is new for the attachments.
    changed: Notify,
    /// There may be room again for the reader.
    room_changed: Notify,
    _slot: Slot,
}

impl Output {
    pub(crate) fn new(capacity: usize, slot: Slot) -> Self {
        let state = Mutex::new(State::new(capacity));
        Self { state, changed: Notify::new(), room_changed: Notify::new(), _slot: slot }
    }

    /// How many bytes may be read now.
    pub(crate) fn room(&self) -> usize {
        self.state().room()
    }

    /// Waits until there is room. For one waiter.
    pub(crate) async fn has_room(&self) {
        while self.room() == 0 {
            self.room_changed.notified().await;
        }
    }

    /// Takes output in, at most [`CHUNK`] bytes.
    pub(crate) fn push(&self, bytes: &[u8]) {
        self.state().push(bytes);
        self.changed.notify_waiters();
    }

    /// Makes room for what the kernel still has of a program that has ended, so that not even a slow attachment misses it.
    pub(crate) fn extend(&self, by: usize) {
        self.state().capacity += by;
    }

    /// There will be no more.
    pub(crate) fn finish(&self, status: ExitStatus) {
        self.state().exit = Some(status);
        self.changed.notify_waiters();
    }

    /// Where the output ends, and how many are attached.
    pub(crate) fn summary(&self) -> (u64, usize) {
        let state = self.state();
        (state.end, state.cursors.len())
    }

    /// The attachment of the spawner.
    pub(crate) fn attach_first(self: &Arc<Self>, id: &Arc<str>) -> Attachment {
        let key = self.state().insert(0);
        Attachment::new(self.clone(), id.clone(), key)
    }

    pub(crate) fn attach(
        self: &Arc<Self>,
        id: &Arc<str>,
        options: AttachOptions,
        limit: u32,
    ) -> Result<Attachment, TtyError> {
        let key = {
            let mut state = self.state();
            if state.exit.is_some() {
                return Err(TtyError::NotThere(id.to_string()));
            }
            state.attach(options, limit)?
        };
        Ok(Attachment::new(self.clone(), id.clone(), key))
    }

    /// Passes over what an attachment wants and is no longer kept. Gives the offset that it begins with then.
    pub(crate) fn settle(&self, key: u64) -> u64 {
        let mut state = self.state();
        let (start, end) = (state.start(), state.end);
        state.cursors.get_mut(&key).map_or(end, |cursor| {
            *cursor = start.max(*cursor);
            *cursor
        })
    }

    pub(crate) fn detach(&self, key: u64) {
        self.state().cursors.remove(&key);
        self.room_changed.notify_one();
    }

    /// The next event of an attachment. Cancelling it loses nothing.
    pub(crate) async fn next(&self, key: u64) -> AttachEvent {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(event) = self.state().take(key) {
                self.room_changed.notify_one();
                return event;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last bytes of the output. An offset counts from the first byte that the terminal ever put out.
struct State {
    ring: VecDeque<u8>,
    capacity: usize,
    /// The offset after the last byte.
    end: u64,
    /// How far each attachment has come.
    cursors: BTreeMap<u64, u64>,
    next_key: u64,
    exit: Option<ExitStatus>,
}

impl State {
    fn new(capacity: usize) -> Self {
        Self { ring: VecDeque::new(), capacity, end: 0, cursors: BTreeMap::new(), next_key: 0, exit: None }
    }

    /// The offset of the first byte that is kept.
    fn start(&self) -> u64 {
        self.end - self.ring.len() as u64
    }

    /// The program is held up when it is half the ring ahead of the fastest attachment. Slower ones miss what the ring
    /// loses, or one that never reads would stop the terminal for all.
    fn room(&self) -> usize {
        match self.cursors.values().max() {
            None => CHUNK,
            Some(fastest) => (fastest + self.capacity as u64 / 2).saturating_sub(self.end) as usize,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.end += bytes.len() as u64;
        let kept = bytes.get(bytes.len().saturating_sub(self.capacity)..).unwrap_or_default();
        let over = (self.ring.len() + kept.len()).saturating_sub(self.capacity);
        self.ring.drain(..over);
        self.grow(kept.len());
        self.ring.extend(kept);
    }

    /// Doubles up to the capacity and not beyond, as the collection alone would.
    fn grow(&mut self, by: usize) {
        let needed = self.ring.len() + by;
        if needed > self.ring.capacity() {
            let wanted = needed.max(2 * self.ring.capacity()).min(self.capacity);
            self.ring.reserve_exact(wanted - self.ring.len());
        }
    }

    fn attach(&mut self, options: AttachOptions, limit: u32) -> Result<u64, TtyError> {
        if self.cursors.len() >= limit as usize {
            return Err(TtyError::TooManyAttachments { limit });
        }
        let cursor = match options.from {
            Some(from) if from > self.end => return Err(TtyError::OffsetAhead { from, end: self.end }),
            Some(from) => from,
            None if options.scrollback => self.start(),
            None => self.end,
        };
        Ok(self.insert(cursor))
    }

    fn insert(&mut self, cursor: u64) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.cursors.insert(key, cursor);
        key
    }

    /// What comes next for an attachment; none if it has to wait.
    fn take(&mut self, key: u64) -> Option<AttachEvent> {
        let (start, end) = (self.start(), self.end);
        let cursor = self.cursors.get_mut(&key)?;
        if *cursor < start {
            let skipped = start - *cursor;
            *cursor = start;
            return Some(AttachEvent::Skipped { bytes: skipped });
        }
        if *cursor == end {
            return self.exit.map(AttachEvent::Exit);
        }
        let bytes = copy(&self.ring, (*cursor - start) as usize);
        let offset = *cursor;
        *cursor += bytes.len() as u64;
        Some(AttachEvent::Output { offset, bytes })
    }
}

/// At most [`CHUNK`] bytes of the ring.
fn copy(ring: &VecDeque<u8>, from: usize) -> Bytes {
    let (first, second) = ring.as_slices();
    let rest_of_first = first.get(from..).unwrap_or_default();
    let rest_of_second = second.get(from.saturating_sub(first.len())..).unwrap_or_default();
    let mut bytes = BytesMut::with_capacity(CHUNK.min(rest_of_first.len() + rest_of_second.len()));
    for part in [rest_of_first, rest_of_second] {
        let space = CHUNK - bytes.len();
        bytes.extend_from_slice(part.get(..space).unwrap_or(part));
    }
    bytes.freeze()
}

#[cfg(test)]
mod tests;
