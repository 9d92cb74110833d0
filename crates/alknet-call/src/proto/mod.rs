//! The protocol as a state machine: which calls are under way in both directions, and what each message, time and loss does
//! to them. No I/O, no clock, no task: whoever drives it hands in messages and instants and does what comes back.
//!
//! Ids are the caller's, so the two directions never meet: our calls have numbers of ours, the peer's have names of the
//! peer's. An answer counts by its id, whatever stream it came on. A stream belongs to a call in one way only: the request
//! came on it, so the call ends with it.

mod deadlines;
mod incoming;
mod outgoing;
#[cfg(test)]
mod simulation;
use std::sync::Arc;
use std::time::Instant;

use crate::CallError;
use crate::wire::{Message, RawJson};
use deadlines::{Call, Deadlines};
pub(crate) use incoming::{Incoming, Removed};
pub(crate) use outgoing::{Consumed, Outcome, Outgoing, Owned};

/// Names a stream of a connection.
pub(crate) type StreamId = u64;

/// All calls of one connection. `O` is what a call of ours holds (who waits for it), `I` what one of the peer's does (what
/// runs it).
pub(crate) struct Machine<O, I> {
    ours: Outgoing<O>,
    theirs: Incoming<I>,
    deadlines: Deadlines,
}

/// What a message means.
#[derive(Debug)]
pub(crate) enum Received<'m, O, I> {
    /// Nothing. It may have crossed the end of its call.
    Nothing,
    /// The peer gives up: what runs the call is to be dropped, and the answer is an error.
    Aborted { id: Arc<str>, removed: Removed<I> },
    /// The peer has room for more events.
    Credited { held: &'m I },
    /// A call of ours has ended. The callee is to be told that it is given up if it goes on there.
    Ended { owned: Owned<O>, outcome: Outcome, abort: Option<u64> },
    /// A subscription of ours has given something.
    Event { owner: &'m O, output: RawJson },
    /// The peer has failed a whole stream, and with it those calls of ours that were sent on it.
    StreamFailed { owners: Vec<O>, error: CallError },
}

/// What is lost with a stream or a connection.
pub(crate) struct Lost<O, I> {
    pub(crate) ours: Vec<O>,
    pub(crate) theirs: Vec<I>,
}

/// A call whose time is over.
pub(crate) enum Expired<O, I> {
    /// One of ours: the callee is to be told.
    Ours { id: u64, owned: Owned<O> },
    /// One of the peer's: the answer is an error.
    Theirs { id: Arc<str>, removed: Removed<I> },
}

impl<O, I> Machine<O, I> {
    /// At most `max_running` calls of one stream run at the same time.
    pub(crate) fn new(max_running: usize) -> Self {
        Self { ours: Outgoing::new(), theirs: Incoming::new(max_running), deadlines: Deadlines::default() }
    }

    /// Enters a call of ours. `window` makes it a subscription, with room for so many bytes.
    pub(crate) fn call(&mut self, id: u64, stream: StreamId, deadline: Option<Instant>, window: Option<u64>, owner: O) {
        self.ours.enter(id, stream, deadline, window, owner);
        self.deadlines.add(deadline, || Call::Ours(id));
    }

    /// Gives a call of ours up. If it was under way, gives the stream on which to say so.
    pub(crate) fn give_up(&mut self, id: u64) -> Option<StreamId> {
        self.take_ours(id).map(|owned| owned.stream)
    }

    /// Notes that a subscriber has taken events that came in frames of `bytes`. None if the subscription has ended.
    pub(crate) fn consumed(&mut self, id: u64, bytes: u64) -> Option<Consumed> {
        self.ours.consumed(id, bytes)
    }

    /// Whether a subscription of this stream holds all that it has room for, of a callee that knows nothing of credit:
    /// then only not reading holds it back.
    pub(crate) fn is_full(&self, stream: StreamId) -> bool {
        self.ours.is_full(stream)
    }

    /// Why a request of the peer's cannot be taken, if so.
    pub(crate) fn refusal(&self, id: &str) -> Option<CallError> {
        self.theirs.refusal(id)
    }

    /// Whether another call of this stream may run.
    pub(crate) fn has_room(&self, stream: StreamId) -> bool {
        self.theirs.has_room(stream)
    }

    /// Enters a call of the peer's. What runs it is made by `start`, which gets a number that tells the call from a later
    /// one of the same id.
    pub(crate) fn enter(
        &mut self,
        id: &Arc<str>,
        stream: StreamId,
        deadline: Option<Instant>,
        window: Option<u64>,
        start: impl FnOnce(u64) -> I,
    ) {
        self.deadlines.add(deadline, || Call::Theirs(id.clone()));
        self.theirs.enter(id, stream, deadline, window, start);
    }

    /// Enters a call of the peer's that has to wait for room.
    pub(crate) fn enter_waiting(&mut self, id: &Arc<str>, stream: StreamId, deadline: Option<Instant>, held: I) {
        self.deadlines.add(deadline, || Call::Theirs(id.clone()));
        self.theirs.enter_waiting(id, stream, deadline, held);
    }

    /// The next waiting call of a stream that has room. It is no longer entered.
    pub(crate) fn next_waiting(&mut self, stream: StreamId) -> Option<(Arc<str>, I)> {
        let (id, removed) = self.theirs.next_waiting(stream)?;
        self.deadlines.remove(removed.deadline, || Call::Theirs(id.clone()));
        Some((id, removed.held))
    }

    /// How many calls of a stream wait.
    pub(crate) fn waiting(&self, stream: StreamId) -> usize {
        self.theirs.waiting(stream)
    }

    /// Ends a call of the peer's, because it has its answer. None if it had ended before: then there is nothing to say.
    pub(crate) fn answered(&mut self, id: &Arc<str>, number: u64) -> Option<Removed<I>> {
        let removed = self.theirs.remove_numbered(id, number)?;
        self.deadlines.remove(removed.deadline, || Call::Theirs(id.clone()));
        Some(removed)
    }

    /// Notes that events are sent in frames of `bytes` altogether. False if the call has ended.
    pub(crate) fn spend(&mut self, id: &str, number: u64, bytes: u64) -> bool {
        self.theirs.spend(id, number, bytes)
    }

    /// How many bytes of events the subscriber has room for. None if the call has ended.
    pub(crate) fn credit(&self, id: &str, number: u64) -> Option<u64> {
        self.theirs.credit_of(id, number)
    }

    /// What runs the peer's calls.
    pub(crate) fn held(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut I)> {
        self.theirs.held()
    }

    /// How many calls are under way: ours, and the peer's.
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.ours.len(), self.theirs.len())
    }

    /// Whether calls of the peer's that came on this stream run or wait.
    pub(crate) fn serves(&self, stream: StreamId) -> bool {
        self.theirs.serves(stream)
    }

    /// Removes a call of the peer's, for instance because it is not allowed any more.
    pub(crate) fn revoke(&mut self, id: &Arc<str>) -> Option<Removed<I>> {
        let removed = self.theirs.remove(id)?;
        self.deadlines.remove(removed.deadline, || Call::Theirs(id.clone()));
        Some(removed)
    }

    /// Takes no further requests.
    pub(crate) fn drain(&mut self) {
        self.theirs.drain();
    }

    /// A message about a call that there is has come on `stream`, in a frame of `length` bytes. Requests are for
    /// [`refusal`](Self::refusal) and [`enter`](Self::enter).
    pub(crate) fn received(&mut self, stream: StreamId, message: Message, length: u64) -> Received<'_, O, I> {
        match message {
            Message::Requested { .. } => Received::Nothing,
            Message::Aborted { id } => match self.revoke(&Arc::from(id.as_str())) {
                Some(removed) => Received::Aborted { id: id.into(), removed },
                None => Received::Nothing,
            },
            Message::Credit { id, bytes } => match self.theirs.credit(&id, bytes) {
                Some(held) => Received::Credited { held },
                None => Received::Nothing,
            },
            Message::Error { id, error } if id.is_empty() => {
                let owners = self.lose_ours(stream);
                Received::StreamFailed { owners, error }
            }
            Message::Responded { id, output, event } => self.responded(number(&id), output, event, length),
            Message::Completed { id } => self.end(number(&id), Outcome::Completed),
            Message::Error { id, error } => self.end(number(&id), Outcome::Failed(error)),
        }
    }

    fn responded(&mut self, id: Option<u64>, output: RawJson, event: bool, length: u64) -> Received<'_, O, I> {
        let Some(id) = id else { return Received::Nothing };
        match self.ours.responded(id, length, event) {
            outgoing::Answer::Unknown => Received::Nothing,
            outgoing::Answer::Last => self.ended(id, Outcome::Answered(output), false),
            // Whoever asks for one answer has it with the first event; the callee would go on.
            outgoing::Answer::FirstOfMany => self.ended(id, Outcome::Answered(output), true),
            outgoing::Answer::TooMuch => {
                self.ended(id, Outcome::Misbehaved("it sent more events than there was room for"), true)
            }
            outgoing::Answer::Event => match self.ours.owner(id) {
                Some(owner) => Received::Event { owner, output },
                None => Received::Nothing,
            },
        }
    }

    fn end(&mut self, id: Option<u64>, outcome: Outcome) -> Received<'_, O, I> {
        let Some(id) = id else { return Received::Nothing };
        match (outcome, self.ours.is_subscription(id)) {
            (Outcome::Completed, Some(false)) => {
                self.ended(id, Outcome::Misbehaved("it completed a call without an answer"), false)
            }
            (outcome, _) => self.ended(id, outcome, false),
        }
    }

    /// A message that cannot be read has come under this id. If that is one of ours, the call has ended with it.
    pub(crate) fn unreadable(&mut self, id: &str) -> Option<O> {
        self.take_ours(number(id)?).map(|owned| owned.owner)
    }

    fn ended(&mut self, id: u64, outcome: Outcome, abort: bool) -> Received<'_, O, I> {
        match self.take_ours(id) {
            Some(owned) => Received::Ended { owned, outcome, abort: abort.then_some(id) },
            None => Received::Nothing,
        }
    }

    fn take_ours(&mut self, id: u64) -> Option<Owned<O>> {
        let owned = self.ours.remove(id)?;
        self.deadlines.remove(owned.deadline, || Call::Ours(id));
        Some(owned)
    }

    fn lose_ours(&mut self, stream: StreamId) -> Vec<O> {
        let ids = self.ours.sent_on(stream);
        ids.into_iter().filter_map(|id| self.take_ours(id)).map(|owned| owned.owner).collect()
    }

    /// The peer has ended its side of a stream in order. What it has asked for on it is still answered; what was asked of
    /// it on this stream will not be.
    pub(crate) fn stream_finished(&mut self, stream: StreamId) -> Vec<O> {
        self.lose_ours(stream)
    }

    /// A stream is gone, and with it the calls of both sides that were made on it.
    pub(crate) fn stream_lost(&mut self, stream: StreamId) -> Lost<O, I> {
        let ours = self.lose_ours(stream);
        let ids = self.theirs.forget_stream(stream);
        let theirs = ids.iter().filter_map(|id| self.revoke(id)).map(|removed| removed.held).collect();
        Lost { ours, theirs }
    }

    /// The connection is gone. Nothing is under way any more.
    pub(crate) fn cut(&mut self) -> Lost<O, I> {
        self.deadlines = Deadlines::default();
        Lost { ours: self.ours.clear(), theirs: self.theirs.clear() }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Ends a call whose deadline has passed; none if there is no more.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Expired<O, I>> {
        while let Some(call) = self.deadlines.pop(now) {
            let expired = match call {
                Call::Ours(id) => self.ours.remove(id).map(|owned| Expired::Ours { id, owned }),
                Call::Theirs(id) => self.theirs.remove(&id).map(|removed| Expired::Theirs { id, removed }),
            };
            if expired.is_some() {
                return expired;
            }
        }
        None
    }
}

/// Our ids are numbers; anything else is no id of ours.
fn number(id: &str) -> Option<u64> {
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn received(message: &Message<Value>) -> (Message, u64) {
        let frame = message.encode(1 << 20).unwrap();
        (Message::parse(&frame.slice(4..)).unwrap(), frame.len() as u64)
    }

    fn event(id: &str, size: usize, event: bool) -> (Message, u64) {
        received(&Message::Responded { id: id.to_owned(), output: json!("x".repeat(size)), event })
    }

    fn machine() -> Machine<&'static str, &'static str> {
        Machine::new(2)
    }

    #[test]
    fn an_answer_counts_whatever_stream_it_comes_on() {
        let mut machine = machine();
        machine.call(1, 0, None, None, "caller");
        let (message, length) = event("1", 1, false);
        let received = machine.received(7, message, length);
        assert!(matches!(received, Received::Ended { outcome: Outcome::Answered(_), abort: None, .. }));
        assert_eq!(machine.count(), (0, 0));
    }

    #[test]
    fn the_first_event_of_a_subscription_is_the_answer_of_a_call() {
        let mut machine = machine();
        machine.call(1, 0, None, None, "caller");
        let (message, length) = event("1", 1, true);
        assert!(matches!(machine.received(0, message, length), Received::Ended { abort: Some(1), .. }));
    }

    #[test]
    fn a_callee_that_goes_over_its_credit_has_broken_the_protocol() {
        let mut machine = machine();
        machine.call(1, 0, None, Some(100), "subscriber");
        let (message, length) = event("1", 500, true);
        assert!(matches!(machine.received(0, message, length), Received::Event { .. }), "one may be larger");
        let (message, length) = event("1", 1, true);
        let received = machine.received(0, message, length);
        assert!(matches!(received, Received::Ended { outcome: Outcome::Misbehaved(_), abort: Some(1), .. }));
    }

    #[test]
    fn a_callee_without_credit_is_held_back_by_its_stream() {
        let mut machine = machine();
        machine.call(1, 3, None, Some(100), "subscriber");
        for _ in 0..2 {
            assert!(!machine.is_full(3));
            let (message, length) = event("1", 10, false);
            assert!(matches!(machine.received(3, message, length), Received::Event { .. }));
        }
        assert!(machine.is_full(3) && !machine.is_full(4));
        let consumed = machine.consumed(1, 100).unwrap();
        assert_eq!((consumed.grant, consumed.freed), (None, true), "no credit for who does not know it");
        assert!(!machine.is_full(3));
    }

    #[test]
    fn credit_comes_back_in_large_steps() {
        let mut machine = machine();
        machine.call(1, 0, None, Some(1000), "subscriber");
        let (message, length) = event("1", 300, true);
        assert!(matches!(machine.received(0, message, length), Received::Event { .. }));
        assert_eq!(machine.consumed(1, length).unwrap().grant, None);
        let (message, length) = event("1", 300, true);
        assert!(matches!(machine.received(0, message, length), Received::Event { .. }));
        assert_eq!(machine.consumed(1, length).unwrap().grant, Some(2 * length));
    }

    #[test]
    fn a_call_without_an_answer_is_not_complete() {
        let mut machine = machine();
        machine.call(1, 0, None, None, "caller");
        let (message, length) = received(&Message::Completed { id: "1".into() });
        let received = machine.received(0, message, length);
        assert!(matches!(received, Received::Ended { outcome: Outcome::Misbehaved(_), .. }));
    }

    #[test]
    fn the_ids_of_the_two_sides_do_not_meet() {
        let mut machine = machine();
        machine.call(1, 0, None, None, "caller");
        machine.enter(&"1".into(), 0, None, None, |_| "task");
        let (message, length) = received(&Message::Aborted { id: "1".into() });
        let received = machine.received(0, message, length);
        assert!(matches!(received, Received::Aborted { removed: Removed { held: "task", .. }, .. }));
        assert_eq!(machine.count(), (1, 0));
    }

    #[test]
    fn each_stream_has_its_own_limit() {
        let mut machine = machine();
        for id in ["a", "b"] {
            machine.enter(&id.into(), 0, None, None, |_| "task");
        }
        assert!(!machine.has_room(0) && machine.has_room(1));
        machine.enter_waiting(&"c".into(), 0, None, "waits");
        assert!(machine.next_waiting(0).is_none());
        machine.revoke(&"a".into());
        assert_eq!(machine.next_waiting(0).map(|(id, held)| (id.to_string(), held)), Some(("c".into(), "waits")));
    }

    #[test]
    fn a_number_tells_a_call_from_a_later_one_of_its_id() {
        let (mut machine, mut first) = (machine(), 0);
        machine.enter(&"a".into(), 0, None, None, |number| {
            first = number;
            "first"
        });
        machine.revoke(&"a".into());
        machine.enter(&"a".into(), 0, None, None, |_| "second");
        assert!(machine.answered(&"a".into(), first).is_none());
        assert_eq!(machine.count(), (0, 1));
    }

    #[test]
    fn time_ends_the_calls_of_both_sides_in_its_order() {
        let (mut machine, now) = (machine(), Instant::now());
        machine.call(1, 0, Some(now + Duration::from_secs(2)), None, "caller");
        machine.enter(&"a".into(), 0, Some(now + Duration::from_secs(1)), None, |_| "task");
        assert!(machine.expire(now).is_none());
        let later = now + Duration::from_secs(2);
        assert!(matches!(machine.expire(later), Some(Expired::Theirs { .. })));
        assert!(matches!(machine.expire(later), Some(Expired::Ours { id: 1, .. })));
        assert!(machine.expire(later).is_none() && machine.next_deadline().is_none());
    }
}
