//! Bodies that nobody reads to their end.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// How much of what is left is taken, and for how long; what is longer is cut off. A client that has sent more than two
/// windows (hyper's are 1 MiB) has read a WINDOW_UPDATE, and so the answer that came before it.
pub(super) const MOST: usize = 4 * 1024 * 1024;
pub(super) const LONGEST: Duration = Duration::from_secs(5);

/// The body of a request over `h2`. If it is dropped before its end, more of it is taken: else the stream would be
/// reset as soon as it is answered (RFC 9113 §8.1), and there are clients that then report the reset in place of the
/// answer, curl before 8 among them.
pub(super) struct Leftover(Option<Incoming>);

impl Leftover {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Body for Leftover {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        if let (Some(body), Ok(runtime)) = (self.0.take_if(|body| !body.is_end_stream()), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LONGEST, take(body)));
        }
    }
}

async fn take(mut body: Incoming) {
    let mut taken = 0;
    while let Some(Ok(frame)) = body.frame().await {
        taken += frame.data_ref().map_or(0, Bytes::len);
        if taken > MOST {
            return;
        }
    }
}
