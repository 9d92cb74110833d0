use super::*;
use crate::testkit::{demote_bob, identities, pipe, read_again, registry};
use alknet_call::{CallerInfo, OperationContext, Run};
use alknet_core::MemoryIdentities;
use futures_util::stream;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;

const HEARTBEAT: Duration = Duration::from_secs(15);

fn spec() -> Arc<OperationSpec> {
    Arc::new(OperationSpec::new("demo/count".parse().unwrap()))
}

fn never() -> BoxFuture<'static, CallError> {
    Box::pin(std::future::pending())
}

fn follow(outputs: EventStream, over: BoxFuture<'static, CallError>) -> Body {
    let Ok(events) = Events::begin(outputs, spec(), over, HEARTBEAT, ()) else { panic!("it has failed at once") };
    Body::new(events)
}

async fn frame(body: &mut Body) -> Option<String> {
    let data = body.frame().await?.unwrap().into_data().unwrap();
    Some(String::from_utf8(data.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn silence_is_broken_by_comments() {
    let outputs = stream::unfold(0, |number| async move {
        sleep(Duration::from_secs(if number == 1 { 40 } else { 10 })).await;
        (number < 3).then(|| (Ok(json!(number)), number + 1))
    });
    let mut body = follow(Box::pin(outputs), never());
    let (started, mut seen) = (Instant::now(), Vec::new());
    while let Some(text) = frame(&mut body).await {
        seen.push((started.elapsed().as_secs(), text));
    }
    let expected = [
        (10, "data: 0\n\n"),
        (25, ":\n\n"),
        (40, ":\n\n"),
        (50, "data: 1\n\n"),
        (60, "data: 2\n\n"),
        (70, "event: end\ndata: {}\n\n"),
    ];
    assert_eq!(seen, expected.map(|(second, text)| (second, text.to_owned())));
}

#[tokio::test]
async fn outputs_are_asked_for_as_the_client_takes_them() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let outputs = stream::repeat_with(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(json!("x".repeat(1000)))
    });
    let mut body = follow(Box::pin(outputs), never());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for round in 1..4 {
        let text = frame(&mut body).await.unwrap();
        assert!((BATCH..BATCH + 2000).contains(&text.len()));
        assert_eq!(asked.load(Ordering::SeqCst), round * text.matches("data: ").count());
    }
}

#[tokio::test]
async fn a_subscription_is_free_when_its_reader_goes_or_when_it_is_over() {
    struct Held(CancellationToken);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    let (first, second) = (CancellationToken::new(), CancellationToken::new());
    let held = |token: &CancellationToken| {
        let held = Held(token.clone());
        stream::poll_fn(move |_| {
            let _ = &held;
            Poll::Pending
        })
    };
    drop(follow(Box::pin(held(&first)), never()));
    assert!(first.is_cancelled());
    // A client that asks for nothing does not keep it.
    let over = Box::pin(std::future::ready(CallError::new(ErrorCode::Unavailable, "over")));
    let mut body = follow(Box::pin(held(&second)), over);
    second.cancelled().await;
    assert!(frame(&mut body).await.unwrap().starts_with("event: error\n"));
    assert!(frame(&mut body).await.is_none());
}

struct Followed {
    body: Body,
    identities: Arc<MemoryIdentities>,
    drain: CancellationToken,
    _pipe: tokio::io::DuplexStream,
}

/// Bob follows an operation that he may have.
fn bob_follows(name: &str) -> Followed {
    let (registry, identities, drain) = (registry(), identities(), CancellationToken::new());
    let (pipe, below) = pipe("h2", drain.clone());
    let auth = AuthContext::new([], identities.clone()).with_token("alk_bob");
    let peer = Arc::new(CallerInfo::of(&below, &auth));
    let context = OperationContext::new("1", auth.identity(), peer, Duration::from_secs(60));
    let started = registry.admit(name, context).unwrap().start(json!(7)).unwrap();
    let Run::Subscription(outputs) = started.run else { panic!("it is a call") };
    let body = follow(outputs, over(registry, started.grant, auth, below));
    Followed { body, identities, drain, _pipe: pipe }
}

async fn error_of(followed: &mut Followed) -> Value {
    let text = tokio::time::timeout(Duration::from_secs(1), frame(&mut followed.body)).await.unwrap().unwrap();
    let document = text.strip_prefix("event: error\ndata: ").unwrap().trim_end();
    assert!(frame(&mut followed.body).await.is_none());
    serde_json::from_str(document).unwrap()
}

#[tokio::test]
async fn a_subscription_ends_with_the_right_to_it() {
    for (change, status, code) in [
        (demote_bob as fn(&MemoryIdentities), 403, "FORBIDDEN"),
        (|identities| identities.set(vec![]).unwrap(), 401, "UNAUTHENTICATED"),
    ] {
        let mut followed = bob_follows("demo/quiet");
        assert_eq!(frame(&mut followed.body).await.unwrap(), "data: \"first\"\n\n");
        change(&followed.identities);
        let error = error_of(&mut followed).await;
        assert_eq!((&error["status"], &error["code"]), (&json!(status), &json!(code)));
    }
}

#[tokio::test]
async fn one_that_never_rests_ends_too() {
    let mut followed = bob_follows("demo/endless");
    for _ in 0..3 {
        assert!(frame(&mut followed.body).await.unwrap().starts_with("data: 7\n\n"));
    }
    followed.identities.set(vec![]).unwrap();
    tokio::time::timeout(Duration::from_secs(1), async {
        while !frame(&mut followed.body).await.unwrap().starts_with("event: error\n") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(frame(&mut followed.body).await.is_none());
}

#[tokio::test]
async fn a_change_that_is_none_for_the_client_ends_nothing() {
    let mut followed = bob_follows("demo/quiet");
    frame(&mut followed.body).await.unwrap();
    read_again(&followed.identities);
    assert!(followed.body.frame().now_or_never().is_none());
    followed.drain.cancel();
    let error = error_of(&mut followed).await;
    assert_eq!((&error["code"], &error["detail"]), (&json!("UNAVAILABLE"), &json!("this node is shutting down")));
}
