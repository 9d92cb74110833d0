//! Which call's time is over next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// A call of either side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    Ours(u64),
    Theirs(Arc<str>),
}

/// The deadlines of all calls that have one.
#[derive(Default)]
pub(super) struct Deadlines(BTreeSet<(Instant, Call)>);

impl Deadlines {
    pub(super) fn add(&mut self, deadline: Option<Instant>, call: impl FnOnce() -> Call) {
        if let Some(deadline) = deadline {
            self.0.insert((deadline, call()));
        }
    }

    pub(super) fn remove(&mut self, deadline: Option<Instant>, call: impl FnOnce() -> Call) {
        if let Some(deadline) = deadline {
            self.0.remove(&(deadline, call()));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// The first call whose deadline is not after `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Call> {
        let due = self.next().is_some_and(|deadline| deadline <= now);
        due.then(|| self.0.pop_first()).flatten().map(|(_, call)| call)
    }
}
