//! A connection on which both sides call: the state machine of [`proto`](crate::proto) between streams, handlers and
//! callers.
//!
//! Each stream has a driver, a task that alone reads and writes it. Callers and handlers put frames into the stream's
//! [`Outbox`](outbox::Outbox); what a frame that arrives means, the state machine says. One lock guards it, and nothing
//! that takes long happens under it.

mod driver;
mod lanes;
mod outbox;
mod produce;
mod run;
#[cfg(test)]
mod tests;
mod work;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use alknet_core::{Connection, ConnectionError};
use bytes::BytesMut;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::proto::{Expired, Lost, Machine, StreamId};
use crate::server::{Service, answer_frames, error_frame};
use crate::wire::Message;
use crate::{CallError, CallLimits, ClientError, ErrorCode};
pub(crate) use lanes::Lane;
use lanes::Lanes;
use work::Work;
pub(crate) use work::{Event, Waiter};

/// One connection, as all that use it share it.
pub(crate) struct Link {
    pub(crate) connection: Connection,
    pub(crate) limits: Arc<CallLimits>,
    /// What the peer may call here; none if it may call nothing.
    service: Option<Service>,
    state: Mutex<State>,
    lanes: Lanes,
    /// A deadline has been added that is before the one that is waited for.
    earlier: Notify,
    next_call: AtomicU64,
    next_stream: AtomicU64,
    end: OnceLock<ClientError>,
    /// Is cancelled once `end` is set.
    ended: CancellationToken,
    drivers: TaskTracker,
}

struct State {
    machine: Machine<Waiter, Work>,
    streams: std::collections::HashMap<StreamId, Arc<Lane>>,
    /// The deadline that is waited for.
    armed: Option<Instant>,
}

impl Link {
    pub(crate) fn new(connection: Connection, limits: Arc<CallLimits>, service: Option<Service>) -> Arc<Self> {
        let machine = Machine::new(limits.concurrent_calls());
        let state = State { machine, streams: Default::default(), armed: None };
        Arc::new(Self {
            connection,
            limits,
            service,
            state: Mutex::new(state),
            lanes: Lanes::default(),
            earlier: Notify::new(),
            next_call: AtomicU64::new(1),
            next_stream: AtomicU64::new(0),
            end: OnceLock::new(),
            ended: CancellationToken::new(),
            drivers: TaskTracker::new(),
        })
    }

    /// An id for a call of ours.
    pub(crate) fn next_call(&self) -> u64 {
        self.next_call.fetch_add(1, Ordering::Relaxed)
    }

    /// Why the link has ended, if it has.
    pub(crate) fn end(&self) -> Option<ClientError> {
        self.end.get().cloned()
    }

    /// Resolves when the link has ended, or the connection has.
    pub(crate) async fn ended(&self) {
        tokio::select! {
            () = self.ended.cancelled() => {}
            _ = self.connection.closed() => {}
        }
    }

    /// How many calls are under way: ours, and the peer's.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.state().machine.count()
    }

    /// Sends a request of ours. Whatever becomes of it, `waiter` is told.
    pub(crate) fn submit(
        &self,
        lane: &Lane,
        id: u64,
        deadline: Option<Instant>,
        window: Option<u64>,
        waiter: Waiter,
        frame: BytesMut,
    ) -> Result<(), ClientError> {
        let mut state = self.state();
        if let Some(end) = self.end() {
            return Err(end);
        }
        if !state.streams.contains_key(&lane.id) {
            return Err(ClientError::Unanswered);
        }
        state.machine.call(id, lane.id, deadline, window, waiter);
        self.arm(&mut state, deadline);
        drop(state);
        lane.outbox.push(frame);
        Ok(())
    }

    fn arm(&self, state: &mut State, deadline: Option<Instant>) {
        if deadline.is_some_and(|deadline| state.armed.is_none_or(|armed| deadline < armed)) {
            state.armed = deadline;
            self.earlier.notify_one();
        }
    }

    /// Gives a call of ours up. Nobody waits for it any more.
    pub(crate) fn give_up(&self, id: u64) {
        let mut state = self.state();
        if let Some(stream) = state.machine.give_up(id) {
            let lane = state.streams.get(&stream).cloned();
            drop(state);
            self.tell(lane, &Message::Aborted { id: id.to_string() });
        }
    }

    /// A subscriber has taken events that came in frames of so many bytes.
    pub(crate) fn consumed(&self, id: u64, bytes: u64) {
        let mut state = self.state();
        let Some(consumed) = state.machine.consumed(id, bytes) else { return };
        let lane = state.streams.get(&consumed.stream).cloned();
        drop(state);
        if let (Some(lane), true) = (&lane, consumed.freed) {
            lane.outbox.wake();
        }
        if let Some(bytes) = consumed.grant {
            self.tell(lane, &Message::Credit { id: id.to_string(), bytes });
        }
    }

    /// Sends a short message of ours, at best effort: a peer that misses it has limits of its own.
    fn tell(&self, lane: Option<Arc<Lane>>, message: &Message<Value>) {
        let mut frame = BytesMut::new();
        if let (Some(lane), Ok(())) = (lane, message.encode_to(&mut frame, self.limits.max_frame())) {
            lane.outbox.push(frame);
        }
    }

    /// A call of the peer's that has this number has come to its end.
    fn answer(&self, id: &Arc<str>, number: u64, is_subscribed: bool, result: Result<Option<Value>, CallError>) {
        let mut frames = BytesMut::new();
        answer_frames(&mut frames, id, is_subscribed, result, self.limits.max_frame());
        let mut state = self.state();
        // It may have been aborted or run out of time in this moment; then it has its answer.
        let Some(removed) = state.machine.answered(id, number) else { return };
        let lane = state.streams.get(&removed.stream).cloned();
        drop(state);
        if let Some(lane) = lane {
            lane.outbox.push(frames);
        }
    }

    /// Ends a call of the peer's with an error, whatever it is doing.
    fn fail(&self, id: &Arc<str>, stream: StreamId, work: Work, error: CallError) {
        work.stop();
        let lane = self.state().streams.get(&stream).cloned();
        if let Some(lane) = lane {
            lane.outbox.push(error_frame(id, error, self.limits.max_frame()));
        }
    }

    /// Ends every call whose time is over, and gives the time when the next one's is.
    fn expire(&self, now: Instant) -> Option<Instant> {
        loop {
            let mut state = self.state();
            let Some(expired) = state.machine.expire(now) else {
                state.armed = state.machine.next_deadline();
                return state.armed;
            };
            match expired {
                Expired::Ours { id, owned } => {
                    let lane = state.streams.get(&owned.stream).cloned();
                    drop(state);
                    self.tell(lane, &Message::Aborted { id: id.to_string() });
                    owned.owner.fail(ClientError::TimedOut { limit: Duration::ZERO });
                }
                Expired::Theirs { id, removed } => {
                    drop(state);
                    let error = CallError::new(ErrorCode::Timeout, "the call took longer than it may");
                    self.fail(&id, removed.stream, removed.held, error);
                }
            }
        }
    }

    /// Ends everything. `reason` is what calls of ours fail with.
    pub(crate) fn cut(&self, reason: ClientError) {
        let mut state = self.state();
        // Under the lock, so that no call is entered after it.
        let _ = self.end.set(reason.clone());
        let lost = state.machine.cut();
        let streams: Vec<_> = state.streams.drain().map(|(_, lane)| lane).collect();
        drop(state);
        streams.iter().for_each(|lane| lane.outbox.close());
        lose(lost, &reason);
        self.earlier.notify_one();
        self.lanes.added.notify_waiters();
        self.ended.cancel();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic under the lock leaves is a table of calls, each entry of which is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time. Tokio's, so that tests can set it.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Tells everybody who waited, and stops what ran.
fn lose(lost: Lost<Waiter, Work>, reason: &ClientError) {
    lost.theirs.into_iter().for_each(Work::stop);
    lost.ours.into_iter().for_each(|waiter| waiter.fail(reason.clone()));
}

/// The reason why a connection ended, as calls of ours fail with it.
pub(crate) fn lost_connection(reason: ConnectionError) -> ClientError {
    ClientError::Connection(reason)
}
