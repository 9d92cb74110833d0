//! Frames over a stream: reading and writing that can be given up at any await and taken up again, as `select!` needs it.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::time::Duration;

use alknet_core::{CloseCode, RecvStream, SendStream};
use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::budget::{Budget, Permit};
use crate::wire::{FrameDecoder, FrameError};

/// How much is asked of the stream at a time. The buffer grows by this much, not by what a peer announces.
const READ_SIZE: usize = 16 * 1024;

/// How much a stream holds while it rests: room for most requests, so that idle connections cost little.
const IDLE_SIZE: usize = 1024;

/// How long a stream that this side ends is still read, so that the last words reach a peer that is busy sending.
const LINGER: Duration = Duration::from_secs(2);

/// A frame, and the right to hold that much memory for as long as it is there.
pub(crate) struct Frame {
    pub(crate) bytes: Bytes,
    pub(crate) permit: Permit,
}

/// Why no further frame comes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("a frame did not arrive within {0:?} of its first byte")]
    Slow(Duration),
    #[error("there is no memory for a frame of {length} bytes at this time")]
    NoMemory { length: usize },
    #[error("the stream ended inside a frame")]
    Cut,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads frames.
pub(crate) struct FrameReader {
    recv: RecvStream,
    decoder: FrameDecoder,
    timeout: Duration,
    budget: Budget,
    buffer: BytesMut,
    permit: Option<Permit>,
    /// When the frame must be complete that has begun.
    deadline: Option<Instant>,
}

impl FrameReader {
    pub(crate) fn new(recv: RecvStream, max_frame: usize, timeout: Duration, budget: Budget) -> Self {
        let decoder = FrameDecoder::new(max_frame);
        Self { recv, decoder, timeout, budget, buffer: BytesMut::new(), permit: None, deadline: None }
    }

    /// The next frame; none at the end of the stream. When the future is dropped nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(length) = self.decoder.announced(&self.buffer)? {
                self.admit(length).await?;
                if let Some(bytes) = self.decoder.decode(&mut self.buffer).transpose() {
                    self.deadline = None;
                    let permit = self.permit.take().unwrap_or_default();
                    return Ok(Some(Frame { bytes: bytes?, permit }));
                }
            }
            if self.read().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(ReadError::Cut) };
            }
        }
    }

    /// The next frame if it is here already, so that what came together is dealt with together.
    pub(crate) fn next_buffered(&mut self) -> Result<Option<Frame>, ReadError> {
        // A large frame may have to wait for its memory; that is for `next`.
        match self.decoder.announced(&self.buffer)? {
            Some(length) if self.permit.is_none() && Budget::is_free(length) => {
                let bytes = self.decoder.decode(&mut self.buffer)?;
                if bytes.is_some() {
                    self.deadline = None;
                }
                Ok(bytes.map(|bytes| Frame { bytes, permit: Permit::default() }))
            }
            _ => Ok(None),
        }
    }

    async fn admit(&mut self, length: usize) -> Result<(), ReadError> {
        if self.permit.is_none() {
            let deadline = self.deadline();
            let permit = timeout_at(deadline, self.budget.admit(length)).await;
            self.permit = Some(permit.ok().flatten().ok_or(ReadError::NoMemory { length })?);
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<usize, ReadError> {
        if self.buffer.is_empty() {
            self.buffer.reserve(IDLE_SIZE);
            // Between frames a stream may rest as long as the transport lets it.
            self.deadline = None;
            return Ok(self.recv.read_buf(&mut self.buffer).await?);
        }
        self.buffer.reserve(READ_SIZE);
        let deadline = self.deadline();
        let read = timeout_at(deadline, self.recv.read_buf(&mut self.buffer)).await;
        Ok(read.map_err(|_| ReadError::Slow(self.timeout))??)
    }

    fn deadline(&mut self) -> Instant {
        *self.deadline.get_or_insert_with(|| Instant::now() + self.timeout)
    }

    /// Tells the peer that nothing more is read.
    pub(crate) fn stop(&mut self) {
        self.recv.stop(CloseCode::DONE);
    }

    /// Lets go of the frame that has begun, and of its memory. What follows it cannot be told any more.
    pub(crate) fn abandon(&mut self) {
        self.buffer = BytesMut::new();
        self.permit = None;
    }

    /// Reads and forgets what still comes, until the peer ends its side or a moment has passed. A peer that ends its side
    /// has what was written; on TCP, bytes that nobody has read at the close would even make the kernel throw that away.
    pub(crate) async fn linger(&mut self) {
        self.abandon();
        let _ = timeout(LINGER, async { while let Ok(Some(_)) = self.recv.read_chunk(READ_SIZE).await {} }).await;
    }
}

/// Writes frames, in order.
pub(crate) struct FrameWriter {
    send: SendStream,
    queue: VecDeque<Bytes>,
    /// Frames that were written here since the last chunk was made of them.
    tail: BytesMut,
    unflushed: bool,
    timeout: Duration,
    /// When the write must have made progress that waits.
    deadline: Option<Instant>,
}

impl FrameWriter {
    pub(crate) fn new(send: SendStream, timeout: Duration) -> Self {
        let (queue, tail) = (VecDeque::new(), BytesMut::new());
        Self { send, queue, tail, unflushed: false, timeout, deadline: None }
    }

    /// Where frames can be written at the end of what is queued, without a copy.
    pub(crate) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Where chunks of whole frames can be put at the end of what is queued.
    pub(crate) fn queue(&mut self) -> &mut VecDeque<Bytes> {
        self.settle_tail();
        &mut self.queue
    }

    fn settle_tail(&mut self) {
        if !self.tail.is_empty() {
            self.queue.push_back(self.tail.split().freeze());
        }
    }

    /// How many bytes are not yet written.
    pub(crate) fn unwritten(&self) -> usize {
        self.tail.len() + self.queue.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether everything has been handed to the transport.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.tail.is_empty() && !self.unflushed
    }

    /// Writes the next chunk, and flushes after the last. When the future is dropped nothing is lost or written twice.
    pub(crate) async fn drive(&mut self) -> io::Result<()> {
        if self.queue.is_empty() {
            self.settle_tail();
        }
        if let Some(chunk) = self.queue.front_mut() {
            while !chunk.is_empty() {
                let written = within(&mut self.deadline, self.timeout, self.send.write(chunk)).await?;
                if written == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                self.unflushed = true;
                chunk.advance(written);
            }
            self.queue.pop_front();
        }
        if self.queue.is_empty() && self.tail.is_empty() && self.unflushed {
            within(&mut self.deadline, self.timeout, self.send.flush()).await?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Writes what is queued and ends the stream in order.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        while !self.is_idle() {
            self.drive().await?;
        }
        within(&mut self.deadline, self.timeout, self.send.shutdown()).await
    }

    /// Gives up on the stream.
    pub(crate) fn reset(&mut self) {
        self.send.reset(CloseCode::DONE);
    }
}

/// One step of writing. Its time runs from the first attempt, however often the attempt is given up and made again.
async fn within<T>(
    deadline: &mut Option<Instant>,
    limit: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let until = *deadline.get_or_insert_with(|| Instant::now() + limit);
    let result = timeout_at(until, step)
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("the peer has taken nothing for {limit:?}")))?;
    *deadline = None;
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{frame, pipe};
    use alknet_core::BiStream;
    use tokio::io::DuplexStream;

    const SECOND: Duration = Duration::from_secs(1);

    async fn stream(size: usize) -> (DuplexStream, BiStream) {
        let (peer, connection) = pipe(size);
        (peer, connection.accept_bi().await.unwrap())
    }

    async fn reader() -> (DuplexStream, FrameReader) {
        let (peer, stream) = stream(1024).await;
        let (_, recv) = stream.split();
        (peer, FrameReader::new(recv, 100, 30 * SECOND, Budget::unlimited()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_has_its_time_and_the_pause_before_it_does_not_count() {
        let (mut peer, mut reader) = reader().await;
        tokio::spawn(async move {
            tokio::time::sleep(1000 * SECOND).await;
            for byte in frame("12") {
                peer.write_u8(byte).await.unwrap();
                tokio::time::sleep(5 * SECOND).await;
            }
            for byte in frame("1234") {
                peer.write_u8(byte).await.unwrap();
                tokio::time::sleep(5 * SECOND).await;
            }
        });
        assert_eq!(reader.next().await.unwrap().unwrap().bytes, "12", "six bytes in 25 s");
        let started = Instant::now();
        assert!(matches!(reader.next().await, Err(ReadError::Slow(_))), "eight bytes would take 35 s");
        assert_eq!(started.elapsed().as_secs(), 35, "5 s until it begins, and 30 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_given_up_loses_neither_bytes_nor_time() {
        let (mut peer, mut reader) = reader().await;
        let wire = frame("hello");
        peer.write_all(&wire[..6]).await.unwrap();
        for _ in 0..20 {
            assert!(timeout(SECOND, reader.next()).await.is_err());
        }
        peer.write_all(&wire[6..]).await.unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap().bytes, "hello");
        peer.write_all(&wire[..6]).await.unwrap();
        for _ in 0..29 {
            assert!(timeout(SECOND, reader.next()).await.is_err());
        }
        assert!(matches!(timeout(2 * SECOND, reader.next()).await, Ok(Err(ReadError::Slow(_)))));
    }

    #[tokio::test]
    async fn the_end_between_frames_is_an_end_and_inside_one_it_is_not() {
        let (mut peer, mut reader) = reader().await;
        peer.write_all(&frame("hello")).await.unwrap();
        drop(peer);
        assert!(reader.next().await.unwrap().is_some());
        assert!(reader.next().await.unwrap().is_none());
        let (mut peer, mut reader) = self::reader().await;
        peer.write_all(&frame("hello")[..7]).await.unwrap();
        drop(peer);
        assert!(matches!(reader.next().await, Err(ReadError::Cut)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for_and_one_that_takes_nothing_is_not() {
        let (mut peer, stream) = stream(10).await;
        let mut writer = FrameWriter::new(stream.split().0, 30 * SECOND);
        writer.queue().push_back(Bytes::from(vec![7; 100]));
        let slow = tokio::spawn(async move {
            for _ in 0..5 {
                tokio::time::sleep(20 * SECOND).await;
                peer.read_exact(&mut [0; 10]).await.unwrap();
            }
            peer
        });
        let mut rounds = 0;
        let error = loop {
            rounds += 1;
            match timeout(SECOND, writer.drive()).await {
                Ok(result) => break result.unwrap_err(),
                Err(_) => continue,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((129..=131).contains(&rounds), "five reads in 100 s, then 30 s of nothing: {rounds}");
        drop(slow);
    }
}
