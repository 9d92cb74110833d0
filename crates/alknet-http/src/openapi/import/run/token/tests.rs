use super::*;
use crate::openapi::import::run::testkit::{Node, operation, service};
use crate::outbound::testkit::{Mock, Recorded, client as http_client, respond};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

const SECRET: &str = "my client:s3cret+";

fn get() -> crate::openapi::import::model::HttpOperation {
    operation("get", Method::GET, "/get").with_schemes(&["oauth"])
}

/// Gives tokens (the n-th is called `t0ken-n`) and takes those for which `is_good` says so.
async fn issuer(life: Value, is_good: impl Fn(&str) -> bool + Send + Sync + 'static) -> Mock {
    let issued = AtomicUsize::new(0);
    let answer = move |request: &Recorded| match request.path() {
        "/token" => {
            let number = issued.fetch_add(1, Ordering::Relaxed);
            let token =
                json!({ "access_token": format!("t0ken-{number}"), "token_type": "bearer", "expires_in": life });
            respond(200, "application/json", token.to_string())
        }
        _ => match is_good(request.header("authorization")) {
            true => respond(200, "application/json", json!(request.header("authorization")).to_string()),
            false => respond(401, "text/plain", "who is that?"),
        },
    };
    Mock::serve(answer).await
}

async fn node(mock: &Mock) -> Node {
    Node::new(service(&mock.url, vec![get()]), &[("oauth", SECRET)]).await
}

fn fetches(mock: &Mock) -> usize {
    mock.requests().iter().filter(|request| request.path() == "/token").count()
}

#[tokio::test]
async fn a_token_is_fetched_once_for_all_who_need_it() {
    let mock = issuer(json!(3600), |_| true).await;
    let node = node(&mock).await;
    let calls = futures_util::future::join_all((0..8).map(|_| node.call("pets/get", json!({})))).await;
    // The service sends the token back, and it stays here.
    assert!(calls.iter().all(|output| *output == Ok(json!("Bearer ***"))), "{calls:?}");
    assert_eq!((fetches(&mock), mock.requests().len()), (1, 9));
    let requests = mock.requests();
    let fetch = requests.iter().find(|request| request.path() == "/token").unwrap();
    assert_eq!(fetch.body, "grant_type=client_credentials&scope=a+b");
    assert_eq!(fetch.header("authorization"), format!("Basic {}", STANDARD.encode("my+client:s3cret%2B")));
    assert!(
        requests
            .iter()
            .all(|request| request.path() == "/token" || request.header("authorization") == "Bearer t0ken-0")
    );
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_fetched_once_more() {
    let mock = issuer(json!("3600"), |token| token == "Bearer t0ken-1").await;
    let node = node(&mock).await;
    assert_eq!(node.call("pets/get", json!({})).await, Ok(json!("Bearer ***")));
    assert_eq!(node.call("pets/get", json!({})).await, Ok(json!("Bearer ***")));
    assert_eq!((fetches(&mock), mock.requests().len()), (2, 5));

    let mock = issuer(json!(3600), |_| false).await;
    let node = self::node(&mock).await;
    let error = node.call("pets/get", json!({})).await.unwrap_err();
    assert_eq!((error.wire_code(), fetches(&mock), mock.requests().len()), ("HTTP_401", 2, 4));
}

#[tokio::test]
async fn a_token_that_lasts_no_time_is_used_once() {
    let mock = issuer(json!(0), |_| true).await;
    let node = node(&mock).await;
    for _ in 0..2 {
        node.call("pets/get", json!({})).await.unwrap();
    }
    assert_eq!(fetches(&mock), 2);
}

#[tokio::test]
async fn the_credentials_go_into_the_body_if_the_head_is_not_taken() {
    let mock = Mock::serve(|request| match (request.path(), request.header("authorization")) {
        ("/token", "") => respond(200, "application/json", r#"{"access_token":"t0ken"}"#),
        ("/token", _) => respond(401, "application/json", r#"{"error":"invalid_client"}"#),
        _ => respond(200, "application/json", "1"),
    })
    .await;
    assert_eq!(node(&mock).await.call("pets/get", json!({})).await, Ok(json!(1)));
    let body = &mock.requests()[1].body;
    assert_eq!(*body, "grant_type=client_credentials&scope=a+b&client_id=my+client&client_secret=s3cret%2B");
}

#[tokio::test]
async fn what_gives_no_token_is_an_error_without_the_secret() {
    for (status, body, expected) in [
        (
            401,
            r#"{"error":"invalid_client","error_description":"no my client:s3cret+"}"#,
            "answers 401 Unauthorized: invalid_client",
        ),
        (500, "s3cret+", "answers 500 Internal Server Error"),
        (200, "s3cret+", "gave no token"),
        (200, r#"{"access_token":"t0ken","token_type":"mac"}"#, "gave a token that is no bearer token"),
    ] {
        let mock = Mock::serve(move |_| respond(status, "application/json", body)).await;
        let error = node(&mock).await.call("pets/get", json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable);
        assert!(error.message.contains(expected), "{error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_credential_that_is_no_pair_is_refused_unseen() {
    let mock = issuer(json!(1), |_| true).await;
    let node = Node::new(service(&mock.url, vec![get()]), &[("oauth", "s3cret")]).await;
    let error = node.call("pets/get", json!({})).await.unwrap_err();
    assert!(error.message.contains("no client_id:client_secret"), "{error}");
    assert!(mock.requests().is_empty() && !error.message.contains("s3cret"));
}

#[tokio::test]
async fn tokens_belong_to_who_fetched_them() {
    let mock = issuer(json!(3600), |_| true).await;
    let tokens = Tokens::new(http_client());
    let deadline = Deadline::after(Duration::from_secs(30));
    let client = |scopes: &str| Client { token_url: mock.url.join("/token").unwrap(), scopes: scopes.into() };
    let token = async |scopes, secret| tokens.token(&client(scopes), secret, None, deadline).await.ok().unwrap();
    let first = token("a", "x:1").await;
    assert_eq!(**token("a", "x:1").await.text, **first.text);
    for (scopes, secret) in [("a", "x:2"), ("b", "x:1")] {
        assert_ne!(**token(scopes, secret).await.text, **first.text);
    }
    // One of several who find it stale fetches it; the others take that.
    let again = async || tokens.token(&client("a"), "x:1", Some(&first), deadline).await.ok().unwrap();
    let (one, other) = tokio::join!(again(), again());
    assert!(**one.text == **other.text && **one.text != **first.text);
    assert_eq!(fetches(&mock), 4);
    for number in 0..2 * MAX_TOKENS {
        tokens.slot(&client("a"), &number.to_string());
    }
    assert!(tokens.slots.lock().unwrap().len() <= MAX_TOKENS);
}

#[test]
fn a_token_is_given_up_before_it_expires() {
    let life = |answer: Value| {
        let answer: Answer = serde_json::from_value(answer).unwrap();
        answer.token().map(|token| (token.fresh_until - Instant::now()).as_secs_f64().round())
    };
    assert_eq!(life(json!({ "access_token": "t", "expires_in": 3600 })), Some(3570.0));
    assert_eq!(life(json!({ "access_token": "t", "expires_in": "100", "token_type": "Bearer" })), Some(90.0));
    assert_eq!(life(json!({ "access_token": "t" })), Some(270.0));
    assert_eq!(life(json!({ "access_token": "t", "expires_in": u64::MAX })), Some(86370.0));
    assert_eq!(life(json!({ "access_token": "t", "token_type": "DPoP" })), None);
}
