//! Who watches one owner.

use std::collections::HashMap;
use std::sync::Arc;

use super::sync::broadcast;
use super::{OWNER_BACKLOG, OwnershipEvent};

/// A channel for each owner that is watched, so that nobody is woken for what others do. A watcher goes without a word;
/// its channel is dropped when it is next found without any, and by a sweep now and then.
#[derive(Default)]
pub(super) struct Watchers {
    channels: HashMap<Arc<str>, broadcast::Sender<OwnershipEvent>>,
    /// How many channels are too many to add another without a sweep: twice those that the last one left.
    sweep_at: usize,
}

impl Watchers {
    pub(super) fn subscribe(&mut self, owner: &str) -> broadcast::Receiver<OwnershipEvent> {
        if let Some(channel) = self.channels.get(owner) {
            return channel.subscribe();
        }
        if self.channels.len() >= self.sweep_at {
            self.channels.retain(|_, channel| channel.receiver_count() > 0);
            self.sweep_at = (self.channels.len() * 2).max(4);
            self.channels.shrink_to(self.sweep_at);
        }
        self.channels.entry(owner.into()).or_insert_with(|| broadcast::Sender::new(OWNER_BACKLOG)).subscribe()
    }

    #[cfg(test)]
    pub(super) fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Must be called for all changes of an owner one after another.
    pub(super) fn tell(&mut self, owner: &str, event: impl FnOnce() -> OwnershipEvent) {
        if self.channels.get(owner).is_some_and(|channel| channel.send(event()).is_err()) {
            self.channels.remove(owner);
        }
    }
}
