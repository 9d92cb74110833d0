//! Tokens that are fetched with the credentials of a client (RFC 6749 §4.4), and kept until shortly before they expire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alknet_call::{CallError, ErrorCode};
use alknet_core::TokenHash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::credentials::unusable;
use super::response::of_failure;
use crate::outbound::{Deadline, HttpClient, read};

/// How many tokens are kept.
const MAX_TOKENS: usize = 256;

/// The longest answer with a token.
const MAX_ANSWER: usize = 64 * 1024;

/// How long a token lasts that does not say it.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);

/// How long before it expires a token is no longer used, so that it does not expire on its way; at most a tenth of its life.
const MARGIN: Duration = Duration::from_secs(30);

/// Where a token comes from and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) token_url: Url,
    pub(super) scopes: Box<str>,
}

/// A token. It has no `Debug`.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) text: Arc<Zeroizing<String>>,
    fresh_until: Instant,
}

/// The tokens that were fetched. Those who need one at the same time wait for one fetch; if the call is given up that does
/// it, the next one does.
pub(crate) struct Tokens {
    client: HttpClient,
    slots: Mutex<HashMap<Key, Slot>>,
}

/// The secret is in the key by its hash, so that a token is used by nobody who could not have fetched it.
type Key = (Client, TokenHash);
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

impl Tokens {
    pub(crate) fn new(client: HttpClient) -> Self {
        Self { client, slots: Mutex::default() }
    }

    /// What they are fetched with.
    pub(super) fn client(&self) -> &HttpClient {
        &self.client
    }

    /// A token that is not `stale`.
    pub(super) async fn token(
        &self,
        client: &Client,
        secret: &str,
        stale: Option<&Token>,
        deadline: Deadline,
    ) -> Result<Token, CallError> {
        let slot = self.slot(client, secret);
        let mut kept = slot.lock().await;
        let is_good = |token: &&Token| {
            token.fresh_until > Instant::now() && stale.is_none_or(|stale| !Arc::ptr_eq(&stale.text, &token.text))
        };
        if let Some(token) = kept.as_ref().filter(is_good) {
            return Ok(token.clone());
        }
        let token = self.fetch(client, secret, deadline).await?;
        *kept = Some(token.clone());
        Ok(token)
    }

    fn slot(&self, client: &Client, secret: &str) -> Slot {
        let key = (client.clone(), TokenHash::of(secret));
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_TOKENS && !slots.contains_key(&key) {
            // Whoever waits for one that goes still has it.
            slots.clear();
        }
        slots.entry(key).or_default().clone()
    }

    /// With the credentials in a header field, as every server has to take them (§2.3.1), and, if this one does not, in the
    /// body.
    async fn fetch(&self, client: &Client, secret: &str, deadline: Deadline) -> Result<Token, CallError> {
        let Some((id, secret)) = secret.split_once(':') else {
            let message = "the credential for fetching a token is no client_id:client_secret: seal it again as that";
            return Err(unusable(message.to_owned()));
        };
        let (status, body) = match self.ask(&request(client, id, secret, false)?, deadline).await? {
            (StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST, _) => {
                self.ask(&request(client, id, secret, true)?, deadline).await?
            }
            answer => answer,
        };
        if !status.is_success() {
            return Err(refused(client, status, &body));
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| useless(client, "no token"))?;
        answer.token().ok_or_else(|| useless(client, "a token that is no bearer token"))
    }

    async fn ask(
        &self,
        request: &reqwest::Request,
        deadline: Deadline,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), CallError> {
        let answer = async {
            let response = self.client.send(request, deadline).await?;
            let status = response.status();
            Ok((status, Zeroizing::new(deadline.of(request.url(), read(response, MAX_ANSWER)).await?.to_vec())))
        };
        answer.await.map_err(of_failure)
    }
}

fn request(client: &Client, id: &str, secret: &str, in_body: bool) -> Result<reqwest::Request, CallError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !client.scopes.is_empty() {
        form.append_pair("scope", &client.scopes);
    }
    let mut request = reqwest::Request::new(Method::POST, client.token_url.clone());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if in_body {
        form.append_pair("client_id", id).append_pair("client_secret", secret);
    } else {
        let escape = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Zeroizing::new(format!("{}:{}", escape(id), escape(secret)));
        let mut value =
            HeaderValue::try_from(format!("Basic {}", STANDARD.encode(&*pair))).map_err(CallError::internal)?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    *request.body_mut() = Some(form.finish().into());
    Ok(request)
}

/// An answer with a token (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
}

impl Answer {
    fn token(self) -> Option<Token> {
        if !self.token_type.is_none_or(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return None;
        }
        // Some write the number as a text.
        let seconds = self.expires_in.and_then(|life| life.as_u64().or_else(|| life.as_str()?.parse().ok()));
        let life = seconds.map_or(DEFAULT_LIFE, Duration::from_secs).min(Duration::from_secs(24 * 60 * 60));
        let fresh_until = Instant::now() + (life - MARGIN.min(life / 10));
        Some(Token { text: Arc::new(self.access_token.into()), fresh_until })
    }
}

/// The error of RFC 6749 §5.2, of which only the code is told: the description may have anything in it.
fn refused(client: &Client, status: StatusCode, body: &[u8]) -> CallError {
    const CODES: [&str; 6] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ];
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let code =
        answer.get("error").and_then(Value::as_str).and_then(|code| CODES.into_iter().find(|known| *known == code));
    let server = client.token_url.origin().ascii_serialization();
    let code = code.map(|code| format!(": {code}")).unwrap_or_default();
    let mut error = unusable(format!("{server} gives no token for the credential, but answers {status}{code}"));
    error.retryable = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    error
}

fn useless(client: &Client, what: &str) -> CallError {
    let server = client.token_url.origin().ascii_serialization();
    CallError::new(ErrorCode::Unavailable, format!("{server} was asked for a token and gave {what}"))
}

#[cfg(test)]
mod tests;
