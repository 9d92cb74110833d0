//! The body of an answer: one that begins in time, is never silent for long, and ends when it has to.

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
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::{Body as _, Frame};

use crate::server::{COMMENT, Silence};

const EVENTS: &str = "text/event-stream";

/// The answer that `answer` gives, if it gives one within `patience`; else its head is sent, and it follows in the body:
/// so that a call may take longer than a request may. Events come with comments in the place of silence, which clients do
/// not see, and end when `over` resolves.
pub(super) async fn in_time(
    mut answer: BoxFuture<'static, Response>,
    patience: Duration,
    heartbeat: Duration,
    mut over: BoxFuture<'static, ()>,
) -> Response {
    let first = tokio::select! {
        biased;
        first = tokio::time::timeout(patience, &mut answer) => first,
        () = &mut over => {
            // Nobody is there to read it, or it is for nobody.
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_FOUND;
            return response;
        }
    };
    let events = |state| Body::new(Events { state, silence: Silence::new(heartbeat), over });
    let mut response = match first {
        Ok(answer) if is_events(&answer) => answer.map(|body| events(State::Coming(body))),
        Ok(answer) => return answer,
        Err(_) => {
            let mut response = Response::new(events(State::Waiting(answer)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(EVENTS));
            response
        }
    };
    // What nginx and others that do as it does need to be told, or they hold events back.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn is_events(answer: &Response) -> bool {
    answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(EVENTS.as_bytes()))
}

struct Events {
    state: State,
    silence: Silence,
    over: BoxFuture<'static, ()>,
}

enum State {
    /// There is no answer yet.
    Waiting(BoxFuture<'static, Response>),
    /// It consists of events.
    Coming(Body),
    /// It is a single message, which becomes an event.
    Single(Body, Vec<u8>),
    Over,
}

impl State {
    /// What is next of it; none at its end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match self {
                Self::Waiting(answer) => {
                    let answer = ready!(answer.poll_unpin(cx));
                    let is_events = is_events(&answer);
                    let body = answer.into_body();
                    *self = if is_events { Self::Coming(body) } else { Self::Single(body, Vec::new()) };
                }
                Self::Coming(body) => match ready!(next(body, cx)) {
                    Some(data) => return Poll::Ready(Some(data)),
                    None => *self = Self::Over,
                },
                Self::Single(body, text) => match ready!(next(body, cx)) {
                    Some(data) => text.extend_from_slice(&data),
                    None => {
                        let event = [b"data: ", &**text, b"\n\n"].concat();
                        *self = Self::Over;
                        return Poll::Ready(Some(event.into()));
                    }
                },
                Self::Over => return Poll::Ready(None),
            }
        }
    }
}

/// The next data of a body. It comes out of this process, and does not break off.
fn next(body: &mut Body, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
    Pin::new(body).poll_frame(cx).map(|frame| Some(frame?.ok()?.into_data().unwrap_or_default()))
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.is_end_stream() && self.over.poll_unpin(cx).is_ready() {
            self.state = State::Over;
        }
        let data = match self.state.poll(cx) {
            Poll::Ready(Some(data)) => data,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending if self.silence.poll(cx).is_ready() => Bytes::from_static(COMMENT),
            Poll::Pending => return Poll::Pending,
        };
        self.silence.broken();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use tokio::sync::oneshot;
    use tokio::time::sleep;

    const PATIENCE: Duration = Duration::from_secs(15);
    const BEAT: Duration = Duration::from_secs(10);

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
        let answer = in_time(after(14, not_found), PATIENCE, BEAT, Box::pin(pending())).await;
        assert_eq!((answer.status(), &*text(answer).await), (StatusCode::NOT_FOUND, "{}"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_follows_its_head() {
        let answer = in_time(after(40, of(EVENTS, "data: 1\n\n")), PATIENCE, BEAT, Box::pin(pending())).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], EVENTS);
        assert_eq!(text(answer).await, ":\n\n:\n\ndata: 1\n\n", "after 25 and after 35 seconds");
        let answer =
            in_time(after(20, of("application/json", "{\"id\":1}")), PATIENCE, BEAT, Box::pin(pending())).await;
        assert_eq!((answer.status(), &*text(answer).await), (StatusCode::OK, "data: {\"id\":1}\n\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_it_has_to_and_lets_go_of_what_it_waited_for() {
        let (held, gone) = oneshot::channel::<()>();
        let never = Box::pin(async move {
            let _held = held;
            pending().await
        });
        let over = || -> BoxFuture<'static, ()> { Box::pin(sleep(Duration::from_secs(20))) };
        assert_eq!(text(in_time(never, PATIENCE, BEAT, over()).await).await, "");
        assert!(gone.await.is_err());
        let mut endless = of(EVENTS, "");
        let state = State::Waiting(Box::pin(pending()));
        *endless.body_mut() = Body::new(Events { state, silence: Silence::new(PATIENCE), over: Box::pin(pending()) });
        let answer = in_time(after(0, endless), PATIENCE, BEAT, over()).await;
        assert_eq!(text(answer).await, ":\n\n:\n\n", "one comment of each of the two");
    }
}
