//! A server that says what it is told to and records what it is asked, for the tests of this crate.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{HttpClient, OutboundConfig};

/// A client that tries again at once or not at all.
pub(crate) fn client() -> HttpClient {
    HttpClient::new(&OutboundConfig { max_retries: 1, ..OutboundConfig::default() }).unwrap()
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Recorded {
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    pub(crate) fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// The value of a field; nothing if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server on a port of this machine, until it is dropped.
pub(crate) struct Mock {
    pub(crate) url: Url,
    requests: Arc<Mutex<Vec<Recorded>>>,
    _task: AbortOnDropHandle<()>,
}

impl Mock {
    pub(crate) async fn serve(answer: impl Fn(&Recorded) -> Response<Body> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let (answer, seen) = (Arc::new(answer), requests.clone());
        let serve = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen) = (answer.clone(), seen.clone());
                let service = service_fn(move |request| record(request, answer.clone(), seen.clone()));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        };
        Self { url, requests, _task: AbortOnDropHandle::new(tokio::spawn(serve)) }
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    /// The only request that there was.
    pub(crate) fn request(&self) -> Recorded {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }
}

async fn record(
    request: http::Request<hyper::body::Incoming>,
    answer: Arc<impl Fn(&Recorded) -> Response<Body>>,
    seen: Arc<Mutex<Vec<Recorded>>>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let request = Recorded { method: head.method, uri: head.uri, headers: head.headers, body };
    seen.lock().unwrap().push(request.clone());
    Ok(answer(&request))
}

pub(crate) fn respond(status: u16, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}
