//! What waits to be written on a stream. Calls of many tasks put their frames in, the stream's driver takes them out.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// Frames up to this length are copied together, so that many of them are one write.
const SMALL: usize = 4 * 1024;

/// How many bytes may wait before those who could produce more are held back.
const HIGH: usize = 256 * 1024;

#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    changed: Notify,
    drained: Notify,
}

#[derive(Default)]
struct Queue {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
    /// Bytes that the driver has taken and not yet written.
    in_writer: usize,
    closed: bool,
}

impl Outbox {
    /// Puts whole frames at the end. Nothing is put into a closed outbox.
    pub(crate) fn push(&self, frames: BytesMut) {
        let mut queue = self.queue();
        if queue.closed {
            return;
        }
        queue.bytes += frames.len();
        if frames.len() <= SMALL && !queue.tail.is_empty() {
            queue.tail.extend_from_slice(&frames);
        } else {
            let tail = std::mem::replace(&mut queue.tail, frames);
            if !tail.is_empty() {
                queue.chunks.push_back(tail.freeze());
            }
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Moves everything to the end of `to`.
    pub(crate) fn take(&self, to: &mut VecDeque<Bytes>) {
        let mut queue = self.queue();
        to.extend(queue.chunks.drain(..));
        if !queue.tail.is_empty() {
            to.push_back(std::mem::take(&mut queue.tail).freeze());
        }
        queue.in_writer += std::mem::take(&mut queue.bytes);
    }

    /// Says how many bytes the driver still has to write of what it took or made itself.
    pub(crate) fn note_unwritten(&self, bytes: usize) {
        let mut queue = self.queue();
        let was_full = queue.is_full();
        queue.in_writer = bytes;
        let drained = was_full && !queue.is_full();
        drop(queue);
        if drained {
            self.drained.notify_waiters();
        }
    }

    /// Whether so much waits that nothing more should be produced.
    pub(crate) fn is_full(&self) -> bool {
        self.queue().is_full()
    }

    /// Whether nothing waits to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue().bytes == 0
    }

    /// Whether the stream is to end once all is written.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue().closed
    }

    /// Takes nothing more; what is in here is still written.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.wake();
    }

    /// Has the driver look at everything again.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Resolves when there may be something to do.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Resolves when the outbox is no longer full, for those who wait from before it is.
    pub(crate) fn drained(&self) -> tokio::sync::futures::Notified<'_> {
        self.drained.notified()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change is a whole one, also where a panic ends it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.bytes + self.in_writer >= HIGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(outbox: &Outbox) -> Vec<Bytes> {
        let mut chunks = VecDeque::new();
        outbox.take(&mut chunks);
        chunks.into()
    }

    #[test]
    fn small_frames_go_out_together_and_in_order() {
        let outbox = Outbox::default();
        for text in ["a", "bc"] {
            outbox.push(BytesMut::from(text));
        }
        outbox.push(BytesMut::from(&vec![b'x'; SMALL + 1][..]));
        outbox.push(BytesMut::from("d"));
        let chunks = taken(&outbox);
        assert_eq!(chunks.iter().map(Bytes::len).collect::<Vec<_>>(), [3, SMALL + 2]);
        assert!(taken(&outbox).is_empty() && outbox.is_empty());
    }

    #[test]
    fn what_the_driver_has_not_written_counts() {
        let outbox = Outbox::default();
        outbox.push(BytesMut::zeroed(HIGH));
        assert!(outbox.is_full());
        taken(&outbox);
        assert!(outbox.is_full());
        outbox.note_unwritten(HIGH - 1);
        assert!(!outbox.is_full());
    }

    #[test]
    fn a_closed_outbox_keeps_what_it_has_and_takes_nothing_more() {
        let outbox = Outbox::default();
        outbox.push(BytesMut::from("a"));
        outbox.close();
        outbox.push(BytesMut::from("b"));
        assert_eq!(taken(&outbox), ["a"]);
    }
}
