//! Whether the answers of an `h2` connection get on.
//!
//! Over `http/1.1` a client that does not read lets the byte stream stall. Over `h2` it can hold single streams up by flow
//! control (RFC 9113 §5.2) while the connection goes on, and with them whatever their answers hold.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// How much is handed to the connection at a time, which keeps that much whether the client takes it or not. It is the
/// longest DATA frame that every client takes, so nothing is cut that would not be cut anyway.
const PIECE: usize = 16 * 1024;

/// Knows since when each answer of a connection waits for its client.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next_id: u64,
    since: BTreeMap<u64, Instant>,
}

impl Progress {
    /// Watches over a body. One that fits into a piece is as good as sent.
    pub(super) fn watch(&self, body: Body) -> Body {
        match body.size_hint().upper() {
            Some(length) if length <= PIECE as u64 => body,
            _ => Body::new(Watched { id: self.enter(), body, rest: Bytes::new(), progress: self.clone() }),
        }
    }

    /// Resolves when a client has taken nothing of an answer for `limit`.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let oldest = self.waiting().since.values().min().copied().unwrap_or(now);
            if now.duration_since(oldest) >= limit {
                return;
            }
            sleep_until(oldest + limit).await;
        }
    }

    fn enter(&self) -> u64 {
        let mut waiting = self.waiting();
        let id = waiting.next_id;
        waiting.next_id += 1;
        waiting.since.insert(id, Instant::now());
        id
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A table of times is whole whatever happens.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that is asked for a piece when there is room for one.
struct Watched {
    id: u64,
    body: Body,
    /// What is left of the frame that came last.
    rest: Bytes,
    progress: Progress,
}

impl Watched {
    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)?).map(Frame::into_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = self.poll_inner(cx);
        let mut waiting = self.progress.waiting();
        match polled.is_ready() {
            // Whoever is asked next has room for it.
            true => waiting.since.insert(self.id, Instant::now()),
            // Now it is the client that waits.
            false => waiting.since.remove(&self.id),
        };
        drop(waiting);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.progress.waiting().since.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::BodyExt as _;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_body_arrives_whole_and_in_pieces() {
        let text: Vec<u8> = (0..100_000u32).map(|number| number as u8).collect();
        let mut body = Progress::default().watch(Body::from(text.clone()));
        assert_eq!(body.size_hint().exact(), Some(100_000));
        let mut seen = Vec::new();
        while let Some(frame) = body.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(!data.is_empty() && data.len() <= PIECE);
            seen.extend(data);
            assert_eq!(body.size_hint().exact(), Some(100_000 - seen.len() as u64));
            assert_eq!(body.is_end_stream(), seen.len() == text.len());
        }
        assert_eq!(seen, text);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_client_that_takes_nothing_is_stalled() {
        let progress = Progress::default();
        let silent = stream::iter([Ok::<_, axum::Error>(Bytes::from_static(b"x"))]).chain(stream::pending());
        let mut events = progress.watch(Body::from_stream(silent));
        let started = Instant::now();
        // It takes what there is, and waits for more: that is for the producer to end.
        events.frame().await.unwrap().unwrap();
        assert!(events.frame().now_or_never().is_none());
        assert!(tokio::time::timeout(10 * LIMIT, progress.stalled(LIMIT)).await.is_err());
        assert_eq!(started.elapsed(), 10 * LIMIT);

        let mut long = progress.watch(Body::from(vec![0; 2 * PIECE]));
        long.frame().await.unwrap().unwrap();
        progress.stalled(LIMIT).await;
        assert_eq!(started.elapsed(), 11 * LIMIT);
        drop(long);
        assert!(tokio::time::timeout(2 * LIMIT, progress.stalled(LIMIT)).await.is_err());
    }
}
