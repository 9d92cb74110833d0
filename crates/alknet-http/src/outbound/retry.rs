//! When a request is made again, and after which wait.
//!
//! - What never left this machine (there was no connection) is sent again, whatever it is.
//! - An answer 429 or 503 with `Retry-After` (RFC 9110 §10.2.3) is an invitation, whatever the request is: the service has
//!   not taken it. The wait is what it asks for, and a little more.
//! - A connection that broke off, and the answers 429, 502, 503 and 504, let an idempotent request (RFC 9110 §9.2.2) be made
//!   again after a wait that doubles each time. Another is not: it may have had its effect.
//!
//! A wait that would outlast the call is not begun; then what there is is the outcome.

use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, sleep};

use super::RequestError;

type Outcome = Result<reqwest::Response, RequestError>;

/// How often and how fast.
#[derive(Debug, Clone)]
pub(super) struct Retry {
    pub(super) most: u32,
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Retry {
    pub(super) fn new(most: u32) -> Self {
        Self { most, first: Duration::from_millis(200), longest: Duration::from_secs(10) }
    }

    /// Makes attempts until there is an outcome to keep. Whoever calls ends an attempt that outlasts `deadline`.
    pub(super) async fn run<F, Fut>(&self, method: &Method, deadline: Instant, mut attempt: F) -> Outcome
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Outcome>,
    {
        let mut failures = 0;
        loop {
            let outcome = attempt().await;
            let wait = self.wait(method, &outcome, failures, SystemTime::now());
            match wait {
                Some(wait) if Instant::now() + wait < deadline => {
                    tracing::debug!(?wait, failures, "a request to another service is made again");
                    drop(outcome);
                    sleep(wait).await;
                    failures += 1;
                }
                _ => return outcome,
            }
        }
    }

    /// How long to wait before the next attempt; none if there is to be none.
    fn wait(&self, method: &Method, outcome: &Outcome, failures: u32, now: SystemTime) -> Option<Duration> {
        if failures >= self.most {
            return None;
        }
        let backoff = self.backoff(failures, random());
        match outcome {
            Ok(response) => match response.status() {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    match retry_after(response.headers(), now) {
                        Some(asked) => Some(asked.saturating_add(backoff)),
                        None => method.is_idempotent().then_some(backoff),
                    }
                }
                StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => method.is_idempotent().then_some(backoff),
                _ => None,
            },
            Err(RequestError::Unreachable { .. }) => Some(backoff),
            Err(RequestError::Broken { .. }) => method.is_idempotent().then_some(backoff),
            Err(_) => None,
        }
    }

    /// Twice as long each time, and a random half of that, so that those who failed together do not come again together.
    fn backoff(&self, failures: u32, random: f64) -> Duration {
        let most = self.first.saturating_mul(2u32.saturating_pow(failures.min(16))).min(self.longest);
        most.mul_f64(0.5 + random / 2.0)
    }
}

/// What `Retry-After` asks for: a number of seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    /// Longer than any call, and short enough to be added to an instant.
    const MOST: Duration = Duration::from_secs(366 * 24 * 60 * 60);
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        // A date that has passed means now.
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(asked.min(MOST))
}

/// A number from 0 to 1. It spreads attempts and keeps no secret.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    const LIMIT: Duration = Duration::from_secs(60);

    fn answer(status: u16, after: Option<&str>) -> Outcome {
        let mut response = http::Response::builder().status(status);
        if let Some(after) = after {
            response = response.header(RETRY_AFTER, after);
        }
        Ok(response.body("").unwrap().into())
    }

    fn unreachable() -> Outcome {
        Err(RequestError::Unreachable { server: "http://a".into(), reason: "refused".into() })
    }

    fn broken() -> Outcome {
        Err(RequestError::Broken { server: "http://a".into(), reason: "reset".into() })
    }

    /// Runs a script of outcomes. Gives the last one (its status, or nothing), how many of the script there were, and how
    /// long it took.
    async fn run(method: Method, script: Vec<Outcome>) -> (Option<u16>, usize, Duration) {
        let (begin, script) = (Instant::now(), RefCell::new(VecDeque::from(script)));
        let made = RefCell::new(0);
        let attempt = || {
            *made.borrow_mut() += 1;
            std::future::ready(script.borrow_mut().pop_front().expect("an attempt more than the script has"))
        };
        let outcome = Retry::new(3).run(&method, begin + LIMIT, attempt).await;
        (outcome.ok().map(|response| response.status().as_u16()), made.take(), begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_left_is_sent_again_whatever_it_is() {
        for method in [Method::GET, Method::POST, Method::PATCH] {
            let (status, made, took) = run(method, vec![unreachable(), unreachable(), answer(200, None)]).await;
            assert_eq!((status, made), (Some(200), 3));
            assert!((Duration::from_millis(300)..=Duration::from_millis(610)).contains(&took), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_had_an_effect_is_not() {
        for method in [Method::POST, Method::PATCH] {
            assert_eq!(run(method.clone(), vec![broken()]).await.1, 1);
            for status in [429, 502, 503, 504, 500, 408] {
                assert_eq!(run(method.clone(), vec![answer(status, None)]).await.0, Some(status));
            }
        }
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let script = vec![broken(), answer(502, None), answer(429, None), answer(200, None)];
            assert_eq!(run(method.clone(), script).await.0, Some(200));
            assert_eq!(run(method, vec![answer(500, None)]).await.0, Some(500));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_asks_for_patience_gets_it() {
        for status in [429, 503] {
            let script = vec![answer(status, Some("7")), answer(status, Some("0")), answer(201, None)];
            let (status, made, took) = run(Method::POST, script).await;
            assert_eq!((status, made), (Some(201), 3));
            assert!((Duration::from_secs(7)..Duration::from_secs(8)).contains(&took), "{took:?}");
        }
        // No invitation.
        assert_eq!(run(Method::POST, vec![answer(502, Some("1"))]).await.1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_outlasts_the_call() {
        for after in ["60", "3600", "18446744073709551615"] {
            let (status, made, took) = run(Method::GET, vec![answer(503, Some(after))]).await;
            assert_eq!((status, made, took), (Some(503), 1, Duration::ZERO), "{after}");
        }
        let script = vec![answer(503, Some("40")), answer(503, Some("40"))];
        assert_eq!(run(Method::GET, script).await.1, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_an_end_to_it() {
        let script = (0..4).map(|_| unreachable()).collect();
        let (status, made, took) = run(Method::GET, script).await;
        assert_eq!((status, made), (None, 4));
        assert!((Duration::from_millis(700)..=Duration::from_millis(1410)).contains(&took), "{took:?}");
    }

    #[test]
    fn the_wait_grows_to_a_limit() {
        let wait = |failures, random| Retry::new(1).backoff(failures, random).as_millis();
        assert_eq!([wait(0, 0.0), wait(0, 1.0), wait(2, 1.0)], [100, 200, 800]);
        assert_eq!([wait(16, 1.0), wait(u32::MAX, 1.0)], [10_000, 10_000]);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:00 GMT").unwrap();
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now).map(|asked| asked.as_secs())
        };
        assert_eq!([read("120"), read(" 0 ")], [Some(120), Some(0)]);
        assert_eq!(read("Fri, 31 Dec 1999 23:59:59 GMT"), Some(59));
        assert_eq!(read("Fri, 31 Dec 1999 23:58:59 GMT"), Some(0));
        assert_eq!([read("soon"), read("-1"), read("1.5"), read("")], [None; 4]);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
