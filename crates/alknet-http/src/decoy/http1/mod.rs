//! Connections of HTTP/1.1 and older, served as nginx serves them.
//!
//! What is done when is part of the imitation: a wrong byte is answered before the line ends, an answer does not wait for the
//! request's body, and a connection that is to end does so in one of three ways.

mod discard;
mod field;
mod head;
mod line;
#[cfg(test)]
mod tests;
mod write;

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use self::discard::{Discard, Skipped};
use self::head::{Head, HeadReader, Window};
use self::write::Manner;
use super::answer::{self, Front, Outcome};
use super::pages::Refusal;
use super::request::{Method, Persistence, Request, Version};
use super::rewound::Rewound;
use super::{Credentials, Decoy};

/// `client_header_timeout`
const HEAD_TIME: Duration = Duration::from_secs(60);
/// `keepalive_timeout`
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// `keepalive_requests` and `keepalive_time`
const MOST_REQUESTS: u32 = 1000;
const LONGEST: Duration = Duration::from_secs(3600);
/// `lingering_timeout` and `lingering_time`
const LINGER: Duration = Duration::from_secs(5);
const LINGER_IN_ALL: Duration = Duration::from_secs(30);

const READ: usize = 4096;

/// Serves a connection until it ends, or until a request comes that `admit` lets pass. A `refusal` is what every other request
/// gets.
pub(super) async fn serve<S, A, D>(
    decoy: &Decoy,
    stream: S,
    front: Front,
    admit: A,
    draining: D,
    refusal: Option<Refusal>,
) -> io::Result<Option<Rewound<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: FnMut(&Credentials<'_>) -> bool,
    D: Future<Output = ()>,
{
    let mut draining = pin!(draining);
    let mut connection = Connection {
        decoy,
        stream,
        front,
        unread: BytesMut::new(),
        window: Window::new(),
        requests: 0,
        since: Instant::now(),
        is_draining: false,
        refusal,
    };
    match connection.run(admit, draining.as_mut()).await? {
        End::Admitted => Ok(Some(Rewound::new(connection.unread, connection.stream))),
        End::Closed => {
            connection.close().await;
            Ok(None)
        }
        End::Lingering => {
            connection.linger().await;
            Ok(None)
        }
        End::Dropped => Ok(None),
    }
}

struct Connection<'a, S> {
    decoy: &'a Decoy,
    stream: S,
    front: Front,
    /// What has come of the request at hand, and behind it.
    unread: BytesMut,
    window: Window,
    requests: u32,
    since: Instant,
    is_draining: bool,
    refusal: Option<Refusal>,
}

/// How a connection ends.
enum End {
    /// Not at all: somebody else goes on with it.
    Admitted,
    /// In order.
    Closed,
    /// In order, and what still comes is read for a while, so that the client gets to read the answer.
    Lingering,
    /// Without a word.
    Dropped,
}

/// What becomes of a connection behind an answer.
enum Next {
    Request,
    End(End),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<'_, S> {
    async fn run<D: Future<Output = ()>>(
        &mut self,
        mut admit: impl FnMut(&Credentials<'_>) -> bool,
        mut draining: Pin<&mut D>,
    ) -> io::Result<End> {
        loop {
            let mut head = match self.read_head(draining.as_mut()).await? {
                Waited::Head(head) => head,
                Waited::End(end) => return Ok(end),
            };
            self.requests += 1;
            if head.refusal.is_none() && admit(&Credentials::of(&head.request)) {
                self.unread.advance(head.start);
                return Ok(End::Admitted);
            }
            // It may have begun while the rest of the head came.
            self.is_draining = self.is_draining || is_ready(draining.as_mut()).await;
            self.unread.advance(head.end);
            self.window = head.window;
            head.refusal = head.refusal.or(self.refusal);
            if let Next::End(end) = self.answer(head.request, head.refusal).await? {
                return Ok(end);
            }
        }
    }

    /// Waits for the next head.
    async fn read_head<D: Future<Output = ()>>(&mut self, mut draining: Pin<&mut D>) -> io::Result<Waited> {
        let mut reader = HeadReader::new(self.window);
        let mut deadline = Instant::now() + HEAD_TIME;
        let mut is_idle = self.unread.is_empty();
        if is_idle && self.requests > 0 {
            deadline = Instant::now() + KEEP_ALIVE;
        }
        loop {
            if let Some(head) = reader.read(&self.unread) {
                return Ok(Waited::Head(Box::new(head)));
            }
            if reader.forget_blank() {
                self.unread.clear();
            }
            self.unread.reserve(READ);
            let mut limited = (&mut self.stream).take(READ as u64);
            let read = timeout_at(deadline, limited.read_buf(&mut self.unread));
            let count = tokio::select! {
                biased;
                read = read => match read {
                    Ok(count) => count?,
                    Err(_) => return Ok(Waited::End(if is_idle { End::Closed } else { End::Dropped })),
                },
                // A request that has begun is still answered.
                () = draining.as_mut(), if !self.is_draining => {
                    self.is_draining = true;
                    if is_idle {
                        return Ok(Waited::End(End::Closed));
                    }
                    continue;
                }
            };
            if count == 0 {
                return Ok(Waited::End(End::Closed));
            }
            if is_idle && self.requests > 0 {
                deadline = Instant::now() + HEAD_TIME;
            }
            is_idle = false;
        }
    }

    /// Answers a request; one that is none with why.
    async fn answer(&mut self, mut request: Request<Vec<u8>>, refusal: Option<Refusal>) -> io::Result<Next> {
        let mut stays_open = refusal.is_none() && self.stays_open(&request);
        let mut lingers = match refusal {
            None => request.fields.has_body(),
            Some(refusal) => refusal == Refusal::HeadTooLarge,
        };
        let mut body = Discard::new(request.fields.is_chunked, request.fields.content_length);
        let outcome = match refusal {
            None => answer::route(&self.decoy.site, &mut request).await,
            Some(refusal) => Outcome::Refused(refusal, None),
        };
        if matches!(outcome, Outcome::File(_)) && request.fields.expects_continue && request.version >= Version::HTTP_11
        {
            write::write(&mut self.stream, write::CONTINUE).await?;
        }
        let skipped = self.skip_available(&mut body).await?;
        let answer = match outcome {
            Outcome::Refused(refusal, moved) => answer::refuse(&request, refusal, moved.as_deref(), self.front),
            Outcome::File(_) if skipped == Skip::Invalid => {
                answer::refuse(&request, Refusal::BadRequest, None, self.front)
            }
            Outcome::File(page) => answer::send(&request, page, self.front, &self.decoy.boundaries),
        };
        if skipped == Skip::Invalid || answer.refusal.is_some_and(Refusal::ends_connection) {
            stays_open = false;
        }
        if answer.refusal == Some(Refusal::BadRequest) || skipped == Skip::ReadToEnd {
            lingers = false;
        }
        let breaks_off = answer.breaks_off;
        write::send(&mut self.stream, answer, Manner { stays_open, ..Manner::of(&request) }).await?;
        if breaks_off {
            return Ok(Next::End(End::Closed));
        }
        if skipped == Skip::Waiting {
            match self.skip_rest(&mut body).await? {
                true => lingers = false,
                false => return Ok(Next::End(End::Dropped)),
            }
        }
        Ok(if stays_open { Next::Request } else { Next::End(self.ending(lingers).await) })
    }

    fn stays_open(&self, request: &Request<Vec<u8>>) -> bool {
        let wanted = match request.fields.connection {
            None => request.version > Version::HTTP_10,
            Some(persistence) => persistence == Persistence::KeepAlive,
        };
        let is_old = self.requests >= MOST_REQUESTS || self.since.elapsed() > LONGEST;
        let would_hang = request.method == Method::Post && request.fields.browser.is_old_msie;
        wanted && !is_old && !would_hang && !self.is_draining
    }

    /// Skips as much of a body as has come.
    async fn skip_available(&mut self, body: &mut Discard) -> io::Result<Skip> {
        let held = self.unread.len();
        match body.skip(&self.unread) {
            Skipped::End(end) => {
                self.unread.advance(end);
                self.window = self.window.next(end, self.unread.len());
                return Ok(Skip::Held);
            }
            Skipped::Invalid => {
                self.unread.clear();
                return Ok(Skip::Invalid);
            }
            Skipped::All => self.unread.clear(),
        }
        self.window = self.window.next(held, 0);
        loop {
            let Some(count) = self.read_available().await? else { return Ok(Skip::Waiting) };
            if count == 0 {
                return Ok(Skip::ReadToEnd);
            }
            match self.skip_read(body) {
                Skipped::All => {}
                Skipped::End(_) => return Ok(Skip::ReadToEnd),
                Skipped::Invalid => return Ok(Skip::Invalid),
            }
        }
    }

    /// Skips what is still to come of a body, for as long as a client may be given to read its answer. Whether it has ended.
    async fn skip_rest(&mut self, body: &mut Discard) -> io::Result<bool> {
        let deadline = Instant::now() + LINGER_IN_ALL;
        loop {
            let until = deadline.min(Instant::now() + LINGER);
            self.unread.reserve(READ);
            let mut limited = (&mut self.stream).take(READ as u64);
            let Ok(count) = timeout_at(until, limited.read_buf(&mut self.unread)).await else { return Ok(false) };
            if count? == 0 {
                return Ok(true);
            }
            match self.skip_read(body) {
                Skipped::All => {}
                Skipped::End(_) => return Ok(true),
                Skipped::Invalid => return Ok(false),
            }
        }
    }

    fn skip_read(&mut self, body: &mut Discard) -> Skipped {
        let skipped = body.skip(&self.unread);
        match skipped {
            Skipped::End(end) => self.unread.advance(end),
            Skipped::All | Skipped::Invalid => self.unread.clear(),
        }
        skipped
    }

    /// Reads what has come, without waiting for more.
    async fn read_available(&mut self) -> io::Result<Option<usize>> {
        let mut bytes = [0; READ];
        let mut into = ReadBuf::new(&mut bytes);
        let read = poll_fn(|context| match Pin::new(&mut self.stream).poll_read(context, &mut into) {
            Poll::Ready(read) => Poll::Ready(Some(read)),
            Poll::Pending => Poll::Ready(None),
        });
        let Some(read) = read.await else { return Ok(None) };
        read?;
        self.unread.extend_from_slice(into.filled());
        Ok(Some(into.filled().len()))
    }

    /// How a connection ends behind its last answer: with something unread, closing it would take the answer away from the
    /// client.
    async fn ending(&mut self, lingers: bool) -> End {
        let has_more = async |connection: &mut Self| matches!(connection.read_available().await, Ok(Some(1..)));
        if lingers || !self.unread.is_empty() || has_more(self).await { End::Lingering } else { End::Closed }
    }

    async fn close(&mut self) {
        // A client that does not let it be ended in order is left alone.
        let _ = timeout(LINGER, self.stream.shutdown()).await;
    }

    async fn linger(&mut self) {
        let deadline = Instant::now() + LINGER_IN_ALL;
        self.close().await;
        let mut bytes = [0; READ];
        loop {
            let until = deadline.min(Instant::now() + LINGER);
            match timeout_at(until, self.stream.read(&mut bytes)).await {
                Ok(Ok(1..)) => {}
                _ => return,
            }
        }
    }
}

/// What came of waiting for a request.
enum Waited {
    Head(Box<Head>),
    /// None will come, or none is wanted.
    End(End),
}

/// How far a body that nobody reads has been skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    /// All of it had come with the head.
    Held,
    /// To its end, some of it from the connection.
    ReadToEnd,
    /// More of it is to come.
    Waiting,
    Invalid,
}

async fn is_ready<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

impl Manner {
    fn of(request: &Request<Vec<u8>>) -> Self {
        Self { version: request.version, is_head: request.method == Method::Head, stays_open: false }
    }
}
