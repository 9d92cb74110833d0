//! One stream of a client's, with the calls that are on it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};

use alknet_core::{BiStream, ConnectionError};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::ClientError;
use crate::CallLimits;
use crate::budget::Budget;
use crate::framed::{Frame, FrameReader, FrameWriter, ReadError};
use crate::wire::{Message, RawJson};

type Answer = Result<RawJson, ClientError>;

/// The handle of a stream. A task of its own reads and writes it; that ends with the last handle.
pub(super) struct Lane {
    commands: mpsc::Sender<Command>,
    slots: Semaphore,
    /// Why the task has ended, for calls that come too late.
    end: Arc<OnceLock<ClientError>>,
    max_frame: usize,
}

enum Command {
    Call { id: String, frame: Bytes, answer: oneshot::Sender<Answer> },
    Abort { id: String, frame: Bytes },
}

impl Lane {
    pub(super) fn start(stream: BiStream, limits: &CallLimits) -> Self {
        let (send, recv) = stream.split();
        let slots = limits.concurrent_calls();
        // Each call that has a slot sends at most a request and an abort, so the queue never fills for long.
        let (commands, queue) = mpsc::channel(slots.saturating_mul(2));
        let end = Arc::new(OnceLock::new());
        let driver = Driver {
            // An answer may take as long as the call that waits for it.
            reader: FrameReader::new(recv, limits.max_frame(), limits.max_call_time(), Budget::unlimited()),
            writer: FrameWriter::new(send, limits.frame_timeout()),
            waiting: HashMap::new(),
            queue,
            end: end.clone(),
        };
        tokio::spawn(driver.run());
        Self { commands, slots: Semaphore::new(slots), end, max_frame: limits.max_frame() }
    }

    /// Sends a request and waits for its answer. When the future is dropped the call is aborted.
    pub(super) async fn exchange(&self, id: String, frame: Bytes) -> Answer {
        let _slot = self.slots.acquire().await.map_err(|_| self.reason())?;
        let (answer, receiver) = oneshot::channel();
        let call = Command::Call { id: id.clone(), frame, answer };
        self.commands.send(call).await.map_err(|_| self.reason())?;
        let mut abort = AbortOnDrop { lane: self, id: Some(id) };
        let answer = receiver.await.unwrap_or_else(|_| Err(self.reason()));
        abort.id = None;
        answer
    }

    fn reason(&self) -> ClientError {
        self.end.get().cloned().unwrap_or(ClientError::Unanswered)
    }
}

struct AbortOnDrop<'a> {
    lane: &'a Lane,
    id: Option<String>,
}

impl Drop for AbortOnDrop<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        // At best effort: the callee has a time limit of its own.
        if let Ok(frame) = (Message::<Value>::Aborted { id: id.clone() }).encode(self.lane.max_frame) {
            let _ = self.lane.commands.try_send(Command::Abort { id, frame });
        }
    }
}

/// Reads and writes a stream.
struct Driver {
    reader: FrameReader,
    writer: FrameWriter,
    waiting: HashMap<String, oneshot::Sender<Answer>>,
    queue: mpsc::Receiver<Command>,
    end: Arc<OnceLock<ClientError>>,
}

impl Driver {
    async fn run(mut self) {
        match self.drive().await {
            // Nobody waits any more: end the stream in order.
            Ok(()) => {
                self.reader.stop();
                // Nobody is left to tell of an error.
                let _ = self.writer.finish().await;
            }
            Err(error) => {
                // Set before the senders are dropped, so whoever finds its sender gone finds the reason.
                let _ = self.end.set(error.clone());
                for (_, answer) in self.waiting.drain() {
                    let _ = answer.send(Err(error.clone()));
                }
                self.reader.stop();
                match error {
                    // The peer has ended its side in order, and waits to see that it was heard.
                    ClientError::Unanswered => drop(self.writer.finish().await),
                    _ => self.writer.reset(),
                }
            }
        }
    }

    async fn drive(&mut self) -> Result<(), ClientError> {
        loop {
            tokio::select! {
                command = self.queue.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return Ok(()),
                },
                frame = self.reader.next() => match frame.map_err(read_error)? {
                    Some(frame) => self.receive(frame)?,
                    None => return Err(ClientError::Unanswered),
                },
                written = self.writer.drive(), if !self.writer.is_idle() => written.map_err(io_error)?,
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Call { id, frame, answer } => {
                self.waiting.insert(id, answer);
                self.writer.queue(frame);
            }
            Command::Abort { id, frame } => {
                if self.waiting.remove(&id).is_some() {
                    self.writer.queue(frame);
                }
            }
        }
    }

    fn receive(&mut self, frame: Frame) -> Result<(), ClientError> {
        let (id, answer) = match Message::parse(&frame.bytes) {
            Ok(Message::Responded { id, output }) => (id, Ok(output)),
            // Without an id it is about the stream, and so about all that is on it.
            Ok(Message::Error { id, error }) if id.is_empty() => return Err(error.into()),
            Ok(Message::Error { id, error }) => (id, Err(error.into())),
            // Nothing here is subscribed to, and this side serves no calls.
            Ok(Message::Requested { .. } | Message::Completed { .. } | Message::Aborted { .. }) => return Ok(()),
            Err(error) => (error.id().to_owned(), Err(ClientError::PeerMisbehaved(error.to_string()))),
        };
        match self.waiting.remove(&id) {
            // Whoever waited may have gone in this moment.
            Some(waiting) => drop(waiting.send(answer)),
            None => {
                if let (true, Err(error)) = (id.is_empty(), answer) {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

fn read_error(error: ReadError) -> ClientError {
    match error {
        ReadError::Io(error) => io_error(error),
        other => ClientError::PeerMisbehaved(other.to_string()),
    }
}

/// The transport's own reason if the error holds it.
fn io_error(error: io::Error) -> ClientError {
    ClientError::Connection(match error.downcast::<ConnectionError>() {
        Ok(reason) => reason,
        Err(other) => ConnectionError::Lost(other.to_string()),
    })
}
