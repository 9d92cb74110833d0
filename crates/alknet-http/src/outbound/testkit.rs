//! A server that says what it is told to and records what it is asked, for the tests of this crate.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response, Uri, Version};
use http_body_util::BodyExt;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{ClientCertificate, HttpClient, OutboundConfig};

/// A client that tries again at once or not at all.
pub(crate) fn client() -> HttpClient {
    HttpClient::new(&OutboundConfig { max_retries: 1, ..OutboundConfig::default() }).unwrap()
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) version: Version,
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
    pub(crate) async fn serve(answer: impl Answer) -> Self {
        Self::listen(None, answer).await
    }

    /// As [`serve`](Self::serve), over TLS; `h2` if that is negotiated.
    pub(crate) async fn serve_tls(tls: ServerConfig, answer: impl Answer) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(tls))), answer).await
    }

    async fn listen(tls: Option<TlsAcceptor>, answer: impl Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let (answer, seen) = (Arc::new(answer), requests.clone());
        let serve = async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answer, seen) = (tls.clone(), answer.clone(), seen.clone());
                connections.spawn(async move {
                    match tls {
                        None => speak(stream, false, answer, seen).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                            speak(stream, is_h2, answer, seen).await;
                        }
                    }
                });
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

/// What a server answers.
pub(crate) trait Answer: Fn(&Recorded) -> Response<Body> + Send + Sync + 'static {}

impl<F: Fn(&Recorded) -> Response<Body> + Send + Sync + 'static> Answer for F {}

/// How a connection ends is the client's business.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    is_h2: bool,
    answer: Arc<impl Answer>,
    seen: Arc<Mutex<Vec<Recorded>>>,
) {
    let service = service_fn(move |request| record(request, answer.clone(), seen.clone()));
    let _ = match is_h2 {
        true => http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await,
        false => http1::Builder::new().serve_connection(TokioIo::new(stream), service).await,
    };
}

async fn record(
    request: http::Request<hyper::body::Incoming>,
    answer: Arc<impl Answer>,
    seen: Arc<Mutex<Vec<Recorded>>>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let http::request::Parts { version, uri, headers, .. } = head;
    let request = Recorded { version, uri, headers, body };
    seen.lock().unwrap().push(request.clone());
    Ok(answer(&request))
}

pub(crate) fn respond(status: u16, content_type: &str, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", content_type).body(body.into()).unwrap()
}

/// An authority with the certificates that it has given to a server on this machine and to a client.
pub(crate) struct Authority {
    folder: TempDir,
    root: CertificateDer<'static>,
    server: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("root.pem"), root.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let give = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
            (leaf, key)
        };
        let (leaf, key) = give("node.example");
        std::fs::write(folder.path().join("client.pem"), leaf.pem()).unwrap();
        std::fs::write(folder.path().join("client.key"), key.serialize_pem()).unwrap();
        let (leaf, key) = give("127.0.0.1");
        let server = (leaf.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap());
        Self { folder, root: root.der().clone(), server }
    }

    /// One of its files: `root.pem`, `client.pem`, `client.key`, or one that a test adds.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A server's side of TLS, which asks for a certificate if `asks`.
    pub(crate) fn server(&self, asks: bool, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[version]).unwrap();
        let builder = match asks {
            false => builder.with_no_client_auth(),
            true => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (certificate, key) = (self.server.0.clone(), self.server.1.clone_key());
        let mut tls = builder.with_single_cert(vec![certificate], key).unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        tls
    }

    /// A client that trusts the authority or not, and has a certificate to show or not. It tries nothing again.
    pub(crate) fn client(&self, trusts: bool, shows: bool) -> HttpClient {
        let client_certificate =
            shows.then(|| ClientCertificate { certificate: self.path("client.pem"), key: self.path("client.key") });
        let ca_bundle = trusts.then(|| self.path("root.pem"));
        HttpClient::new(&OutboundConfig { ca_bundle, client_certificate, max_retries: 0, ..OutboundConfig::default() })
            .unwrap()
    }
}
