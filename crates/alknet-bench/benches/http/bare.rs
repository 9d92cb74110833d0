//! axum on hyper and tokio-rustls, written as their own examples are.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::again::{tell, wait_for_the_end_of_input};
use crate::answer::{self, NodeInfo};
use crate::certificate::{certificate_file, key_file};
use crate::runtime;

/// The hidden argument with which this program is such a server and nothing else.
pub(crate) const SERVE: &str = "--serve-bare";

/// The body of the server's process.
pub(crate) fn serve_until_killed(arguments: &[String]) {
    let [folder, token] = arguments else { panic!("{SERVE} FOLDER TOKEN") };
    let folder = Path::new(folder);
    let node = Node { info: answer::read(folder).unwrap(), authorization: format!("Bearer {token}") };
    let router = Router::new().route("/healthz", get(async || "ok\n")).route(answer::PATH, post(info));
    runtime().block_on(async {
        let address = serve(folder, router.with_state(Arc::new(node))).await;
        tell(&address.to_string());
        wait_for_the_end_of_input().await;
    });
}

struct Node {
    info: NodeInfo,
    authorization: String,
}

async fn info(State(node): State<Arc<Node>>, headers: HeaderMap, Json(_): Json<Value>) -> Response {
    match headers.get(AUTHORIZATION) {
        Some(shown) if shown == node.authorization.as_str() => Json(&node.info).into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// Serves a router on the port that it returns, with the certificate of `folder`, within a runtime.
pub(crate) async fn serve(folder: &Path, router: Router) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(folder)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client sees what goes wrong.
            tokio::spawn(connection(stream, acceptor.clone(), router.clone()));
        }
    });
    address
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, router: Router) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (io, service) = (TokioIo::new(stream), TowerToHyperService::new(router));
    let served = match is_h2 {
        true => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
        false => http1::Builder::new().serve_connection(io, service).await,
    };
    served.map_err(std::io::Error::other)
}

fn server_config(folder: &Path) -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(certificate_file(folder)).unwrap();
    let key = PrivateKeyDer::from_pem_file(key_file(folder)).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}
