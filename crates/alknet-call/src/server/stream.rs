//! One stream: a loop that owns all there is of it, so nothing in it is locked and nothing is queued without bound.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;

use alknet_core::BiStream;
use bytes::Bytes;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::call::{Call, error_frame};
use super::session::Session;
use crate::framed::{Frame, FrameReader, FrameWriter, ReadError};
use crate::wire::{FrameError, Message};
use crate::{ALPN, CallError, ErrorCode};

/// Serves one stream to its end.
pub(super) async fn serve(session: Arc<Session>, stream: BiStream) {
    let (send, recv) = stream.split();
    let limits = &session.limits;
    let reader = FrameReader::new(recv, limits.max_frame(), limits.frame_timeout(), session.budget.clone());
    let writer = FrameWriter::new(send, limits.frame_timeout());
    let stream = Stream {
        reader,
        writer,
        calls: JoinSet::new(),
        running: HashMap::new(),
        waiting: None,
        ended: false,
        session: session.clone(),
    };
    if let Err(error) = stream.run().await {
        tracing::debug!(alpn = ALPN, connection = session.peer.connection, %error, "a stream broke off");
    }
}

struct Stream {
    session: Arc<Session>,
    reader: FrameReader,
    writer: FrameWriter,
    /// Each gives its id and the frame that answers it. Dropping the set drops the calls.
    calls: JoinSet<(String, Bytes)>,
    /// The calls that no answer is queued for.
    running: HashMap<String, AbortHandle>,
    /// A request for which there was no room. While it waits, nothing more is read; that it was read at all lets the
    /// aborts through that come before it.
    waiting: Option<Call>,
    /// Whether the caller has ended its side.
    ended: bool,
}

impl Stream {
    async fn run(mut self) -> io::Result<()> {
        loop {
            self.start_waiting();
            if self.is_done() {
                break;
            }
            let session = self.session.clone();
            tokio::select! {
                frame = self.reader.next(), if self.reads() => match frame {
                    Ok(Some(frame)) => self.receive(frame),
                    Ok(None) => self.ended = true,
                    Err(ReadError::Frame(FrameError::Empty)) => self.refuse("", &FrameError::Empty, "an empty frame"),
                    Err(ReadError::Io(error)) => {
                        self.writer.reset();
                        return Err(error);
                    }
                    Err(error) => return self.give_up(error).await,
                },
                Some(ended) = self.calls.join_next_with_id() => self.settle(ended),
                written = self.writer.drive(), if !self.writer.is_idle() => if let Err(error) = written {
                    self.reader.stop();
                    self.writer.reset();
                    return Err(error);
                },
                () = session.connection.draining(), if !session.connection.is_draining() => {}
            }
        }
        self.writer.finish().await?;
        self.reader.linger().await;
        Ok(())
    }

    fn is_done(&self) -> bool {
        let idle = self.running.is_empty() && self.waiting.is_none() && self.writer.is_idle();
        idle && (self.ended || self.session.connection.is_draining())
    }

    fn reads(&self) -> bool {
        // Answers that the caller does not fetch count too: whoever only sends is not read for long.
        !self.ended && self.waiting.is_none() && self.writer.queued() < self.session.limits.concurrent_calls()
    }

    fn receive(&mut self, frame: Frame) {
        match Message::parse(&frame.bytes) {
            Ok(Message::Requested { id, request }) => self.request(Call { id, request, permit: frame.permit }),
            Ok(Message::Aborted { id }) => self.abort(id),
            // This side has made no calls, so these answer none. They are no violation: they may cross an abort.
            Ok(Message::Responded { .. } | Message::Completed { .. } | Message::Error { .. }) => {}
            Err(error) => self.refuse(error.id(), &error, error.summary()),
        }
    }

    fn request(&mut self, call: Call) {
        if self.session.connection.is_draining() {
            let error = CallError::new(ErrorCode::Unavailable, "this node is shutting down");
            self.answer_error(call.id, error);
        } else if self.running.contains_key(&call.id) {
            let error = CallError::invalid_input("a call with this id is still running on this stream");
            self.answer_error(call.id, error);
        } else if self.has_room() {
            self.start(call);
        } else {
            self.waiting = Some(call);
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() + self.writer.queued() < self.session.limits.concurrent_calls()
    }

    fn start_waiting(&mut self) {
        if self.has_room()
            && let Some(call) = self.waiting.take()
        {
            self.start(call);
        }
    }

    fn start(&mut self, call: Call) {
        let (id, session) = (call.id.clone(), self.session.clone());
        let task = self.calls.spawn(async move { (call.id.clone(), call.answer(&session).await) });
        self.running.insert(id, task);
    }

    /// The answer is an error, so that each request has one; it may have been on its way already.
    fn abort(&mut self, id: String) {
        let was_waiting = self.waiting.take_if(|call| call.id == id).is_some();
        let call = self.running.remove(&id);
        if let Some(call) = &call {
            call.abort();
        }
        if was_waiting || call.is_some() {
            self.answer_error(id, CallError::new(ErrorCode::Aborted, "the caller has aborted the call"));
        }
    }

    /// A call's task has ended, by itself or because it was aborted.
    fn settle(&mut self, ended: Result<(Id, (String, Bytes)), JoinError>) {
        match ended {
            Ok((task, (id, answer))) => {
                // An aborted call may have been faster than its abort. Its id may even be in use again.
                if let Entry::Occupied(entry) = self.running.entry(id)
                    && entry.get().id() == task
                {
                    entry.remove();
                    self.writer.queue(answer);
                }
            }
            Err(error) => {
                let id = self.running.iter().find(|(_, task)| task.id() == error.id()).map(|(id, _)| id.clone());
                if let Some(id) = id {
                    self.running.remove(&id);
                    self.answer_error(id, CallError::internal(error));
                }
            }
        }
    }

    fn answer_error(&mut self, id: String, error: CallError) {
        self.writer.queue(error_frame(id, error, self.session.limits.max_frame()));
    }

    /// Answers a frame that breaks the protocol. `summary` has nothing of what the peer sent: it goes to the log.
    fn refuse(&mut self, id: &str, error: &dyn std::error::Error, summary: &str) {
        self.session.complain(&format_args!("the peer broke the protocol: {summary}"));
        self.answer_error(id.to_owned(), CallError::invalid_input(error.to_string()));
    }

    /// Ends the stream for what the peer did to its framing: tells it, drops the calls.
    async fn give_up(mut self, error: ReadError) -> io::Result<()> {
        self.calls.abort_all();
        self.reader.abandon();
        match &error {
            ReadError::NoMemory { .. } => {
                self.session.complain(&format_args!("a frame was refused: {error}"));
                self.answer_error(String::new(), CallError::new(ErrorCode::ResourceExhausted, error.to_string()));
            }
            _ => self.refuse("", &error, &error.to_string()),
        }
        self.writer.finish().await?;
        self.reader.stop();
        self.reader.linger().await;
        Ok(())
    }
}
