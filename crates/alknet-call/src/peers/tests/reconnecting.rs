//! A client that stays connected.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::testkit::{connection, draining_connection};
use alknet_core::{BoxFuture, CloseCode, Connection, ProtocolHandler as _};
use tokio::io::duplex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A node that can be away.
#[derive(Clone)]
struct Far {
    handler: Arc<CallHandler>,
    own: Arc<CallHandler>,
    is_away: Arc<AtomicBool>,
    attempts: Arc<Mutex<Vec<Instant>>>,
    current: Arc<Mutex<Option<Connection>>>,
    ended: Arc<AtomicUsize>,
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) };

impl Far {
    fn new() -> Self {
        let registry = node("far", &["t/who"]);
        let hang = async |_: OperationContext, _: Value| std::future::pending().await;
        registry.register(spec("t/hang", Access::Public), hang).unwrap();
        let own = serving(&Arc::new(Registry::new()));
        let (is_away, attempts, current) = (Arc::default(), Arc::default(), Arc::default());
        Self { handler: serving(&registry), own, is_away, attempts, current, ended: Arc::default() }
    }

    fn client(&self) -> ReconnectingClient {
        let far = self.clone();
        ReconnectingClient::new("far", BACKOFF, move || far.connect())
    }

    fn connect(&self) -> BoxFuture<'static, Result<Connected, &'static str>> {
        self.attempts.lock().unwrap().push(Instant::now());
        if self.is_away.load(Ordering::SeqCst) {
            return Box::pin(async { Err("nobody answers") });
        }
        let (near, far) = duplex(4096);
        *self.current.lock().unwrap() = Some(connection(far));
        let far = self.current.lock().unwrap().clone().unwrap();
        tokio::spawn(self.handler.clone().handle(far, auth_of("near", &[])));
        let (client, serving) =
            self.own.serve(draining_connection(near, CancellationToken::new()), auth_of("far", &[]));
        let count = CountDrop(self.ended.clone());
        let serving = async move {
            let _count = count;
            serving.await
        };
        Box::pin(async move { Ok::<Connected, _>((client, Box::pin(serving))) })
    }

    fn cut(&self) {
        self.current.lock().unwrap().take().unwrap().close(CloseCode::DONE, "");
    }

    fn go_away(&self, away: bool) {
        self.is_away.store(away, Ordering::SeqCst);
    }

    fn waits(&self) -> Vec<f64> {
        let attempts = self.attempts.lock().unwrap();
        attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn it_connects_again_when_the_connection_has_ended() {
    let far = Far::new();
    let client = far.client();
    for n in 1..=5 {
        client.connected(PATIENCE).await.unwrap();
        assert_eq!(client.call("t/who", &()).await.unwrap(), "far");
        assert_eq!(far.attempts.lock().unwrap().len(), n);
        let current = client.current().unwrap();
        far.cut();
        current.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_come_at_longer_and_longer_waits_that_differ() {
    let far = Far::new();
    far.go_away(true);
    let client = far.client();
    assert!(client.connected(Duration::from_secs(100)).await.is_err());
    let waits = far.waits();
    assert!(waits.len() > 8, "{waits:?}");
    for (wait, most) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0]) {
        // The clock of a test goes in steps of a millisecond.
        assert!((most / 2.0..=most + 0.002).contains(wait), "{waits:?}");
    }
    far.go_away(false);
    client.connected(PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ends_each_connection_at_once_is_left_alone_like_one_that_is_away() {
    let far = Far::new();
    let client = far.client();
    for _ in 0..6 {
        let current = client.connected(PATIENCE).await.unwrap();
        far.cut();
        current.closed().await;
    }
    client.connected(PATIENCE).await.unwrap();
    let waits = far.waits();
    assert!(waits[5] >= 4.0, "{waits:?}");
    // One that lasts makes up for it.
    tokio::time::sleep(BACKOFF.longest).await;
    let current = client.current().unwrap();
    far.cut();
    current.closed().await;
    let start = Instant::now();
    client.connected(PATIENCE).await.unwrap();
    assert!(start.elapsed() <= BACKOFF.first + Duration::from_millis(5));
}

#[tokio::test(start_paused = true)]
async fn while_it_is_away_calls_fail_at_once_and_say_so() {
    let far = Far::new();
    far.go_away(true);
    let client = far.client();
    let start = Instant::now();
    let errors = [
        client.call("t/who", &()).await.unwrap_err(),
        client.call_with("t/who", &(), CallOptions::new()).await.unwrap_err(),
        client.subscribe("t/who", &()).await.err().unwrap(),
        client.subscribe_with("t/who", &(), CallOptions::new()).await.err().unwrap(),
        client.current().err().unwrap(),
    ];
    assert!(errors.iter().all(|error| matches!(error, ClientError::NotConnected { .. })), "{errors:?}");
    assert_eq!(errors[0].to_string(), "the peer \"far\" is not connected");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn calls_and_subscriptions_that_run_fail_with_their_connection() {
    let far = Far::new();
    let client = far.client();
    client.connected(PATIENCE).await.unwrap();
    let hanging = tokio::spawn({
        let client = client.clone();
        async move { client.call("t/hang", &()).await }
    });
    let current = client.current().unwrap();
    until(|| current.pending() == 1).await;
    far.cut();
    assert!(matches!(hanging.await.unwrap(), Err(ClientError::Connection(_) | ClientError::Unanswered)));
    assert!(current.call("t/who", &()).await.is_err(), "the client of that connection stays with it");
    client.connected(PATIENCE).await.unwrap();
    let mut subscription = client.subscribe("t/who", &()).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().unwrap(), "far");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_connection_has_an_end() {
    let far = Far::new();
    far.go_away(true);
    let client = far.client();
    let start = Instant::now();
    assert!(client.connected(Duration::from_secs(20)).await.is_err());
    assert!(start.elapsed() >= Duration::from_secs(20));
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.connected(PATIENCE).await.map(drop) }
    });
    tokio::task::yield_now().await;
    far.go_away(false);
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_ends_the_connection_and_the_attempts() {
    let far = Far::new();
    let client = far.client();
    let current = client.connected(PATIENCE).await.unwrap();
    let clone = client.clone();
    drop(client);
    assert_eq!(clone.call("t/who", &()).await.unwrap(), "far");
    drop(clone);
    current.closed().await;
    until(|| far.ended.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(PATIENCE).await;
    assert_eq!(far.attempts.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_never_ends_is_given_up() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = attempts.clone();
    let connect = move || -> BoxFuture<'static, Result<Connected, &'static str>> {
        count.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    };
    let _client = ReconnectingClient::new("far", BACKOFF, connect);
    tokio::time::sleep(Duration::from_secs(130)).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}
