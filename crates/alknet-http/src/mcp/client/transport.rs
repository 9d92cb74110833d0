//! Streamable HTTP over the node's one client.
//!
//! A redirect is no answer, a credential goes to the one address that it is for, and nothing comes from the environment.
//! What the library would hold without a bound is bounded here: bodies and events by the client's `max_response_bytes`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage, ServerResult,
};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::Sse;
use tokio::sync::watch;
use url::Url;

use super::error::TransportError;
use crate::HttpClient;
use crate::outbound::{EventReader, read, read_start};

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How much of the body of an answer that is no message is told.
const MAX_SAID: usize = 300;

/// The shortest and the longest that a server can have us wait before we ask for more of a stream. The former keeps one
/// that ends all of them from being asked in a loop.
const RECONNECT: (u64, u64) = (100, 60_000);

type Error = StreamableHttpError<TransportError>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

/// A server, as one credential reaches it. It has no `Debug`: there is a secret in it.
#[derive(Clone)]
pub(super) struct McpHttp(Arc<Inner>);

struct Inner {
    http: HttpClient,
    url: Url,
    authorization: Option<HeaderValue>,
    trouble: watch::Sender<u64>,
}

impl McpHttp {
    /// `trouble` changes when there is reason to look whether the server is still there.
    pub(super) fn new(
        http: HttpClient,
        url: Url,
        authorization: Option<HeaderValue>,
        trouble: watch::Sender<u64>,
    ) -> Self {
        Self(Arc::new(Inner { http, url, authorization, trouble }))
    }

    fn request(&self, method: Method, accept: HeaderValue, session: Option<&str>) -> Result<reqwest::Request, Error> {
        let mut request = reqwest::Request::new(method, self.0.url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, accept);
        if let Some(authorization) = &self.0.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some(session) = session {
            headers.insert(SESSION, HeaderValue::from_str(session).map_err(|_| self.odd("a session id is no text"))?);
        }
        Ok(request)
    }

    async fn send(&self, request: &reqwest::Request) -> Result<reqwest::Response, Error> {
        let sent = self.0.http.send(request, self.0.http.deadline(Duration::MAX)).await;
        sent.map_err(|error| {
            self.trouble();
            StreamableHttpError::Client(error.into())
        })
    }

    fn trouble(&self) {
        self.0.trouble.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn server(&self) -> String {
        self.0.url.origin().ascii_serialization()
    }

    fn odd(&self, what: &'static str) -> Error {
        StreamableHttpError::Client(TransportError::Odd { server: self.server(), what })
    }

    fn refused(&self, status: StatusCode, said: &[u8]) -> Error {
        let said = String::from_utf8_lossy(said).chars().take(MAX_SAID).collect();
        StreamableHttpError::Client(TransportError::Status { server: self.server(), status, said })
    }

    async fn post(
        &self,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let mut request = self.request(Method::POST, BOTH, session.as_deref())?;
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        add(request.headers_mut(), headers);
        *request.body_mut() = Some(serde_json::to_vec(&message)?.into());
        let response = self.send(&request).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND && session.is_some() {
            return Err(StreamableHttpError::SessionExpired);
        }
        if !status.is_success() {
            return self.failed(response, &message, session.is_some()).await;
        }
        let session = text(response.headers(), &SESSION);
        if is(response.headers(), "text/event-stream") {
            return Ok(StreamableHttpPostResponse::Sse(self.events(response, false), session));
        }
        let expects_answer = matches!(message, ClientJsonRpcMessage::Request(_));
        if !expects_answer || matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if !is(response.headers(), "application/json") {
            return Err(self.odd("its answer is neither JSON nor events"));
        }
        let body = self.body(response).await?;
        let answer = serde_json::from_slice(&body).map_err(|_| self.odd("its answer is no message of the protocol"))?;
        match (probe(&message), &answer) {
            // Some older servers say yes to whatever they do not know.
            (Some(id), ServerJsonRpcMessage::Response(response))
                if !matches!(response.result, ServerResult::DiscoverResult(_)) =>
            {
                let unknown = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "the answer tells of no versions", None);
                Ok(StreamableHttpPostResponse::Json(ServerJsonRpcMessage::error(unknown, Some(id)), None))
            }
            _ => Ok(StreamableHttpPostResponse::Json(answer, session)),
        }
    }

    /// An answer that is no success may be an error of the protocol in itself.
    async fn failed(
        &self,
        response: reqwest::Response,
        message: &ClientJsonRpcMessage,
        in_session: bool,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let status = response.status();
        let is_json = is(response.headers(), "application/json");
        let body = match is_json {
            true => self.body(response).await?,
            false => {
                let start = read_start(response, 4 * MAX_SAID);
                self.within(start).await?
            }
        };
        let is_about_credentials = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if is_about_credentials || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.refused(status, &body));
        }
        let error = match serde_json::from_slice(&body) {
            Ok(ServerJsonRpcMessage::Error(error)) if is_json => Some(error),
            _ => None,
        };
        match (probe(message).filter(|_| !in_session && status.is_client_error()), error) {
            // A server of before 2026-07-28 does not know the question, and may not even name it in its answer.
            (Some(id), error) => {
                let error = error.map(|error| error.error);
                let error = error.unwrap_or_else(|| ErrorData::invalid_request(format!("HTTP {status}"), None));
                Ok(StreamableHttpPostResponse::Json(ServerJsonRpcMessage::error(error, Some(id)), None))
            }
            (None, Some(error)) => Ok(StreamableHttpPostResponse::Json(ServerJsonRpcMessage::Error(error), None)),
            (None, None) => Err(self.refused(status, &body)),
        }
    }

    async fn body(&self, response: reqwest::Response) -> Result<bytes::Bytes, Error> {
        self.within(read(response, self.0.http.max_response())).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, crate::RequestError>>) -> Result<T, Error> {
        let limited = self.0.http.deadline(Duration::MAX).of(&self.0.url, work).await;
        limited.map_err(|error| StreamableHttpError::Client(error.into()))
    }

    /// The events of an answer. One that stands for itself is missed when it ends.
    fn events(&self, response: reqwest::Response, stands_alone: bool) -> Events {
        let reader = EventReader::new(response, self.0.http.max_response(), self.0.http.idle_timeout());
        let read = move |(mut reader, this): (EventReader, Self)| async move {
            let next = reader.next().await;
            if stands_alone && !matches!(next, Ok(Some(_))) {
                this.trouble();
            }
            let event = next.map_err(|error| SseError::Body(Box::new(error)))?;
            Ok::<_, SseError>(event.map(|event| (sse(event), (reader, this))))
        };
        stream::try_unfold((reader, self.clone()), read).boxed()
    }
}

impl StreamableHttpClient for McpHttp {
    type Error = TransportError;

    async fn post_message(
        &self,
        _: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.post(message, session, headers).await
    }

    async fn get_stream(
        &self,
        _: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<Events, Error> {
        let mut request = self.request(Method::GET, EVENTS, session.as_deref())?;
        let stands_alone = last_event.is_none();
        if let Some(last) = last_event {
            let last = HeaderValue::from_str(&last).map_err(|_| self.odd("the id of an event is no text"))?;
            request.headers_mut().insert(LAST_EVENT, last);
        }
        add(request.headers_mut(), headers);
        let response = self.send(&request).await?;
        let status = response.status();
        match status {
            StatusCode::METHOD_NOT_ALLOWED => Err(StreamableHttpError::ServerDoesNotSupportSse),
            StatusCode::NOT_FOUND if session.is_some() => {
                self.trouble();
                Err(StreamableHttpError::SessionExpired)
            }
            _ if !status.is_success() => {
                self.trouble();
                Err(self.refused(status, &[]))
            }
            _ if !is(response.headers(), "text/event-stream") => Err(self.odd("its stream has no events")),
            _ => Ok(self.events(response, stands_alone)),
        }
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        session: Arc<str>,
        _: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Error> {
        let mut request = self.request(Method::DELETE, BOTH, Some(&session))?;
        add(request.headers_mut(), headers);
        // Whether the server forgets the session now or later is its business.
        self.send(&request).await.map(drop)
    }
}

/// The id of a request that finds out which generation of the protocol a server speaks.
fn probe(message: &ClientJsonRpcMessage) -> Option<RequestId> {
    match message {
        ClientJsonRpcMessage::Request(request) if matches!(request.request, ClientRequest::DiscoverRequest(_)) => {
            Some(request.id.clone())
        }
        _ => None,
    }
}

/// Adds the protocol's own fields, which never take the place of those that are there.
fn add(headers: &mut HeaderMap, more: HashMap<HeaderName, HeaderValue>) {
    for (name, value) in more {
        headers.entry(name).or_insert(value);
    }
}

fn is(headers: &HeaderMap, essence: &str) -> bool {
    text(headers, &CONTENT_TYPE)
        .and_then(|text| text.parse::<mime::Mime>().ok())
        .is_some_and(|mime| mime.essence_str() == essence)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn sse(event: crate::outbound::Event) -> Sse {
    Sse {
        event: Some(event.kind).filter(|kind| !kind.is_empty()),
        data: Some(event.data),
        id: event.id,
        retry: event.retry.map(|wait| wait.clamp(RECONNECT.0, RECONNECT.1)),
    }
}
