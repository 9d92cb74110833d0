//! The driver of a stream: the one task that reads and writes it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use alknet_core::{BiStream, BoxFuture, ConnectionError};
use serde_json::Value;

use super::work::{Asked, Running, Work};
use super::{Lane, Link, lose, now, produce};
use crate::budget::{Budget, Permit};
use crate::framed::{Frame, FrameReader, FrameWriter, ReadError};
use crate::proto::Received;
use crate::registry::{Run, Started};
use crate::server::{answer_frames, error_frame};
use crate::wire::{FrameError, Message, MessageError, Request};
use crate::{ALPN, CallError, ClientError, ErrorCode};

/// How many frames are dealt with before what came of them is written.
const BATCH: usize = 64;

/// How many bytes of answers are made before they are written.
const BATCH_BYTES: usize = 256 * 1024;

/// How many frames in a row may be answered with an error that nobody reads.
const MAX_REFUSALS: usize = 256;

/// How many requests of a stream may wait for their turn. A peer that keeps to the limit on calls never has any wait, so
/// that answers which come behind them are always read.
const MAX_WAITING: usize = 256;

/// Serves one stream to its end.
pub(super) async fn drive(link: Arc<Link>, lane: Arc<Lane>, stream: BiStream) {
    let (send, recv) = stream.split();
    let limits = &link.limits;
    let budget = link.service.as_ref().map_or_else(Budget::unlimited, |service| service.budget.clone());
    let reader = FrameReader::new(recv, limits.max_frame(), limits.frame_timeout(), budget);
    let writer = FrameWriter::new(send, limits.frame_timeout());
    let mut driver = Driver { reader, writer, ended: false, refusals: 0, gone: Gone { link: link.clone(), lane } };
    if let Err(error) = driver.run().await {
        tracing::debug!(alpn = ALPN, connection = link.connection.id(), %error, "a stream broke off");
        driver.gone.lose(&io_error(error));
        driver.reader.stop();
        driver.writer.reset();
    }
}

struct Driver {
    reader: FrameReader,
    writer: FrameWriter,
    /// Whether the peer has ended its side.
    ended: bool,
    /// Errors that were queued since everything was written.
    refusals: usize,
    gone: Gone,
}

impl Driver {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            self.start_waiting().await;
            let lane = self.gone.lane.clone();
            lane.outbox.take(self.writer.queue());
            lane.outbox.note_unwritten(self.writer.unwritten());
            if self.is_done() {
                return self.finish().await;
            }
            let reads = self.reads();
            tokio::select! {
                written = self.writer.drive(), if !self.writer.is_idle() => {
                    written?;
                    if self.writer.is_idle() {
                        self.refusals = 0;
                    }
                }
                frame = self.reader.next(), if reads => match frame {
                    Ok(Some(frame)) => match self.receive_batch(frame).await {
                        Ok(()) => {}
                        Err(error) => return self.give_up(error).await,
                    },
                    Ok(None) => self.peer_finished(),
                    Err(ReadError::Frame(FrameError::Empty)) => self.empty_frame(),
                    Err(error) => return self.give_up(error).await,
                },
                () = lane.outbox.changed() => self.let_others_write().await,
            }
        }
    }

    /// Where many calls are under way, those that are about to send do it before the driver writes: one write for all of
    /// them in the place of one for each.
    async fn let_others_write(&mut self) {
        let (ours, theirs) = self.gone.link.count();
        if ours + theirs > 1 {
            tokio::task::yield_now().await;
        }
    }

    fn link(&self) -> Arc<Link> {
        self.gone.link.clone()
    }

    fn is_done(&self) -> bool {
        let (link, lane) = (&self.gone.link, &self.gone.lane);
        if link.end.get().is_some() {
            return true;
        }
        let wanted = !self.ended && !lane.outbox.is_closed() && !link.connection.is_draining();
        !wanted && self.writer.is_idle() && !link.state().machine.serves(lane.id) && lane.outbox.is_empty()
    }

    /// Ends the stream in order.
    async fn finish(&mut self) -> io::Result<()> {
        self.gone.lose(&ClientError::Unanswered);
        if self.gone.lane.outbox.is_closed() {
            self.reader.stop();
        }
        self.writer.finish().await?;
        self.reader.linger().await;
        Ok(())
    }

    fn reads(&self) -> bool {
        if self.ended || self.refusals >= MAX_REFUSALS {
            return false;
        }
        let state = self.gone.link.state();
        let id = self.gone.lane.id;
        state.machine.waiting(id) < MAX_WAITING && !state.machine.is_full(id)
    }

    fn peer_finished(&mut self) {
        self.ended = true;
        self.gone.link.forget_lane(&self.gone.lane);
        let owners = self.gone.link.state().machine.stream_finished(self.gone.lane.id);
        owners.into_iter().for_each(|waiter| waiter.fail(ClientError::Unanswered));
    }

    async fn receive_batch(&mut self, first: Frame) -> Result<(), ReadError> {
        self.receive(first).await;
        for _ in 1..BATCH {
            if self.writer.unwritten() >= BATCH_BYTES {
                break;
            }
            match self.reader.next_buffered() {
                Ok(Some(frame)) => self.receive(frame).await,
                Ok(None) => break,
                Err(ReadError::Frame(FrameError::Empty)) => self.empty_frame(),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn receive(&mut self, frame: Frame) {
        let length = (frame.bytes.len() + size_of::<u32>()) as u64;
        match Message::parse(&frame.bytes) {
            Ok(Message::Requested { id, request }) => self.request(id, request, frame.permit).await,
            Ok(message) => self.settle(message, length),
            Err(error) => self.broken(&error),
        }
    }

    /// Deals with a message that is about a call that there is.
    fn settle(&mut self, message: Message, length: u64) {
        let link = self.link();
        let mut state = link.state();
        match state.machine.received(self.gone.lane.id, message, length) {
            Received::Event { owner, output } => owner.event(output, length),
            Received::Credited { held } => held.resume(),
            Received::Ended { owned, outcome, abort } => {
                let lane = state.streams.get(&owned.stream).cloned();
                drop(state);
                if let Some(id) = abort {
                    link.tell(lane, &Message::Aborted { id: id.to_string() });
                }
                owned.owner.end(outcome);
            }
            Received::StreamFailed { owners, error } => {
                drop(state);
                owners.into_iter().for_each(|waiter| waiter.fail(ClientError::Remote(error.clone())));
            }
            Received::Aborted { id, removed } => {
                drop(state);
                // The answer is an error, so that each request has one; it may have been on its way already. It goes the
                // way of the call's events, behind all of them.
                let error = CallError::new(ErrorCode::Aborted, "the caller has aborted the call");
                link.fail(&id, removed.stream, removed.held, error);
            }
            Received::Nothing => {}
        }
    }

    async fn request(&mut self, id: String, request: Request, permit: Permit) {
        let link = self.link();
        let refusal = {
            let mut state = link.state();
            match state.machine.refusal(&id) {
                None if !state.machine.has_room(self.gone.lane.id) || self.gone.lane.outbox.is_full() => {
                    let deadline = now() + link.limits.call_time(request.timeout());
                    let asked = Work::Waiting(Box::new(Asked { request, permit }));
                    state.machine.enter_waiting(&id.into(), self.gone.lane.id, Some(deadline), asked);
                    return link.arm(&mut state, Some(deadline));
                }
                refusal => refusal,
            }
        };
        match refusal {
            None => self.start(id.into(), request, permit).await,
            Some(error) => self.answer_error(&id, error),
        }
    }

    async fn start_waiting(&mut self) {
        while !self.gone.lane.outbox.is_full() {
            let waiting = self.gone.link.state().machine.next_waiting(self.gone.lane.id);
            match waiting {
                Some((id, Work::Waiting(asked))) => self.start(id, asked.request, asked.permit).await,
                _ => break,
            }
        }
    }

    /// Starts a call. One that has its answer at once is never entered anywhere, and needs no task.
    async fn start(&mut self, id: Arc<str>, request: Request, permit: Permit) {
        let link = self.link();
        let begun = match &link.service {
            Some(service) => service.begin(&link, &id, request, permit),
            None => Err(crate::access::not_found(request.operation.trim_start_matches('/'))),
        };
        match begun {
            Err(error) => self.answer_error(&id, error),
            Ok(begun) => {
                let Started { grant, run } = begun.started;
                let call = produce::Call { id, window: begun.window, limit: begun.limit, revoked: begun.revoked };
                let running = |task, resume| Running { task, grant, token: begun.token, resume };
                match run {
                    Run::Subscription(events) => link.subscribe(call, self.gone.lane.clone(), events, running),
                    Run::Call(mut future) => match first_poll(&mut future).await {
                        Some(result) => {
                            let (id, max) = (&call.id, link.limits.max_frame());
                            let result = result.map(Some);
                            answer_frames(self.writer.tail(), id, call.window.is_some(), result, max);
                        }
                        None => link.run_call(call, &self.gone.lane, future, running),
                    },
                }
            }
        }
    }

    fn answer_error(&mut self, id: &str, error: CallError) {
        let frame = error_frame(id, error, self.gone.link.limits.max_frame());
        self.refusals += 1;
        self.writer.queue().push_back(frame.freeze());
    }

    fn empty_frame(&mut self) {
        self.refuse("", &FrameError::Empty, "an empty frame");
    }

    fn broken(&mut self, error: &MessageError) {
        let link = self.link();
        let owners: Vec<_> = match error.id() {
            // It may be the answer of any call of ours, which would be waited for in vain.
            "" => link.state().machine.stream_finished(self.gone.lane.id),
            id => link.state().machine.unreadable(id).into_iter().collect(),
        };
        if owners.is_empty() {
            self.refuse(error.id(), error, error.summary());
        }
        owners.into_iter().for_each(|waiter| waiter.fail(ClientError::PeerMisbehaved(error.to_string())));
    }

    /// Answers a frame that breaks the protocol. `summary` has nothing of what the peer sent: it goes to the log.
    fn refuse(&mut self, id: &str, error: &dyn std::error::Error, summary: &str) {
        self.complain(&format_args!("the peer broke the protocol: {summary}"));
        self.answer_error(id, CallError::invalid_input(error.to_string()));
    }

    fn complain(&self, what: &dyn std::fmt::Display) {
        match &self.gone.link.service {
            Some(service) => service.complain(what),
            None => tracing::debug!(alpn = ALPN, connection = self.gone.link.connection.id(), "{what}"),
        }
    }

    /// Ends the stream for what the peer did to its framing: tells it, drops the calls.
    async fn give_up(&mut self, error: ReadError) -> io::Result<()> {
        let error = match error {
            ReadError::Io(error) => return Err(error),
            other => other,
        };
        self.gone.lose(&ClientError::PeerMisbehaved(error.to_string()));
        self.reader.abandon();
        match &error {
            ReadError::NoMemory { .. } => {
                self.complain(&format_args!("a frame was refused: {error}"));
                self.answer_error("", CallError::new(ErrorCode::ResourceExhausted, error.to_string()));
            }
            _ => self.refuse("", &error, &error.to_string()),
        }
        self.writer.finish().await?;
        self.reader.stop();
        self.reader.linger().await;
        Ok(())
    }
}

/// Polls a call once. Most have their answer then.
async fn first_poll<T>(future: &mut BoxFuture<'static, T>) -> Option<T> {
    std::future::poll_fn(|cx| match Pin::as_mut(future).poll(cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Takes the stream and its calls out of the link, however its driver ends.
struct Gone {
    link: Arc<Link>,
    lane: Arc<Lane>,
}

impl Gone {
    fn lose(&self, reason: &ClientError) {
        self.link.forget_lane(&self.lane);
        let mut state = self.link.state();
        state.streams.remove(&self.lane.id);
        let lost = state.machine.stream_lost(self.lane.id);
        drop(state);
        lose(lost, reason);
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.lose(&ClientError::Unanswered);
        self.lane.outbox.close();
    }
}

/// The transport's own reason if the error holds it.
fn io_error(error: io::Error) -> ClientError {
    ClientError::Connection(match error.downcast::<ConnectionError>() {
        Ok(reason) => reason,
        Err(other) => ConnectionError::Lost(other.to_string()),
    })
}

/// What a call answers with.
pub(super) type CallFuture = BoxFuture<'static, Result<Value, CallError>>;
