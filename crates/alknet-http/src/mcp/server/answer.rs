//! The body of an answer: one that begins in time, and ends when it has to.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use alknet_core::BoxFuture;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use http_body::Frame;
use tokio::time::{Instant, Interval, interval_at};

const EVENTS: &str = "text/event-stream";

/// What is sent in the place of silence. Clients do not see it.
const COMMENT: &[u8] = b":\n\n";

/// The answer that `answer` gives, if it gives one within `patience`; else its head is sent, and it follows in the body:
/// so that a call may take longer than a request may. In either case it ends when `over` resolves.
pub(super) async fn in_time(
    mut answer: BoxFuture<'static, Response>,
    patience: Duration,
    over: BoxFuture<'static, ()>,
) -> Response {
    match tokio::time::timeout(patience, &mut answer).await {
        Ok(answer) if is_events(&answer) => answer.map(|body| Body::new(Events { state: State::Coming(body), over })),
        Ok(answer) => answer,
        Err(_) => {
            let beats = interval_at(Instant::now(), patience);
            let body = Body::new(Events { state: State::Waiting(answer, beats), over });
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
            response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
            response
        }
    }
}

fn is_events(answer: &Response) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENTS.as_bytes()))
}

struct Events {
    state: State,
    over: BoxFuture<'static, ()>,
}

enum State {
    /// There is no answer yet.
    Waiting(BoxFuture<'static, Response>, Interval),
    /// It consists of events.
    Coming(Body),
    /// It is a single message, which becomes an event.
    Single(Body, Vec<u8>),
    Over,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.over.poll_unpin(cx).is_ready() {
            self.over = Box::pin(std::future::pending());
            self.state = State::Over;
        }
        loop {
            match &mut self.state {
                State::Waiting(answer, beats) => match answer.poll_unpin(cx) {
                    Poll::Ready(answer) => {
                        let is_events = is_events(&answer);
                        let body = answer.into_body();
                        self.state = if is_events { State::Coming(body) } else { State::Single(body, Vec::new()) };
                    }
                    Poll::Pending => return beats.poll_tick(cx).map(|_| data(COMMENT.into())),
                },
                State::Coming(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => return Poll::Ready(Some(Ok(frame))),
                    // It comes out of this process, and does not break off.
                    Some(Err(_)) | None => self.state = State::Over,
                },
                State::Single(body, text) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => text.extend(frame.into_data().unwrap_or_default()),
                    Some(Err(_)) | None => {
                        let event = [b"data: ", &**text, b"\n\n"].concat();
                        self.state = State::Over;
                        return Poll::Ready(data(event));
                    }
                },
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

fn data(text: Vec<u8>) -> Option<Result<Frame<Bytes>, Infallible>> {
    Some(Ok(Frame::data(text.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use std::future::pending;
    use tokio::sync::oneshot;
    use tokio::time::sleep;

    const PATIENCE: Duration = Duration::from_secs(15);

    fn of(kind: &'static str, text: &'static str) -> Response {
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }

    async fn text(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        String::from_utf8(body.into()).unwrap()
    }

    fn after(seconds: u64, response: Response) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            sleep(Duration::from_secs(seconds)).await;
            response
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_answer_stays_as_it_is() {
        let mut not_found = of("application/json", "{}");
        *not_found.status_mut() = StatusCode::NOT_FOUND;
        let answer = in_time(after(14, not_found), PATIENCE, Box::pin(pending())).await;
        assert_eq!((answer.status(), &*text(answer).await), (StatusCode::NOT_FOUND, "{}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_follows_its_head() {
        let answer = in_time(after(40, of(EVENTS, "data: 1\n\n")), PATIENCE, Box::pin(pending())).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], EVENTS);
        assert_eq!(text(answer).await, ":\n\n:\n\ndata: 1\n\n");
        let answer = in_time(after(20, of("application/json", "{\"id\":1}")), PATIENCE, Box::pin(pending())).await;
        assert_eq!((answer.status(), &*text(answer).await), (StatusCode::OK, ":\n\ndata: {\"id\":1}\n\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_has_to_and_lets_go_of_what_it_waited_for() {
        let (held, gone) = oneshot::channel::<()>();
        let never = Box::pin(async move {
            let _held = held;
            pending().await
        });
        let over = Box::pin(sleep(Duration::from_secs(20)));
        assert_eq!(text(in_time(never, PATIENCE, over).await).await, ":\n\n");
        assert!(gone.await.is_err());
        let endless = Body::new(Events { state: State::Waiting(Box::pin(pending()), interval_at(Instant::now(), PATIENCE)), over: Box::pin(pending()) });
        let mut response = of(EVENTS, "");
        *response.body_mut() = endless;
        let answer = in_time(after(0, response), PATIENCE, Box::pin(sleep(Duration::from_secs(1)))).await;
        assert_eq!(text(answer).await, ":\n\n");
    }
}
