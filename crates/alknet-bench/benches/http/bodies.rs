//! Bodies of 1 GiB: an `Endpoint` with an `HttpHandler` takes and gives them through routes that are nested in it, and so
//! does the bare axum.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use alknet_call::Registry;
use alknet_core::{
    CertificateFiles, Certificates, Endpoint, EndpointConfig, HandlerRegistry, Identity, MemoryIdentities, NodeKey,
    Peer, TokenHash,
};
use alknet_http::{HttpConfig, HttpHandler};
use axum::Router;
use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use crate::again::{tell, wait_for_the_end_of_input};
use crate::certificate::{certificate_file, key_file};
use crate::report::Contestant as _;
use crate::side::Side;
use crate::{bare, runtime};

/// The hidden argument with which this program is such a server and nothing else.
pub(crate) const SERVE: &str = "--serve-bodies";

pub(crate) const LENGTH: u64 = 1 << 30;
pub(crate) const UPLOAD: &str = "/bodies/upload";
pub(crate) const DOWNLOAD: &str = "/bodies/download";

/// What opens the routes of ours. It protects nothing.
pub(crate) const TOKEN: &str = "alk_not-a-secret";

static CHUNK: [u8; 64 * 1024] = [0x5a; 64 * 1024];

/// The body of the server's process.
pub(crate) fn serve_until_killed(arguments: &[String]) {
    let [name, folder] = arguments else { panic!("{SERVE} SIDE FOLDER") };
    let folder = Path::new(folder);
    runtime().block_on(async {
        let mut endpoint = None;
        let address = if name == Side::Ours.name() {
            let (started, address) = ours(folder);
            endpoint = Some(started);
            address
        } else {
            bare::serve(folder, router()).await
        };
        tell(&address.to_string());
        wait_for_the_end_of_input().await;
        drop(endpoint);
    });
}

fn ours(folder: &Path) -> (Endpoint, SocketAddr) {
    let config = HttpConfig {
        // A client may send this much here, for this long.
        max_body_bytes: u32::MAX,
        request_timeout_seconds: 300,
        ..HttpConfig::default()
    };
    let handler = HttpHandler::builder(Arc::new(Registry::new()), config).nest(router()).build();
    let handlers = Arc::new(HandlerRegistry::new());
    handlers.add(Arc::new(handler)).unwrap();
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    let key = NodeKey::from_seed(&[1; 32]).unwrap();
    let client = Peer {
        identity: Arc::new(Identity { id: "client".into(), scopes: Vec::new(), resources: Default::default() }),
        fingerprints: Vec::new(),
        tokens: vec![TokenHash::of(TOKEN)],
        enabled: true,
    };
    let identities = Arc::new(MemoryIdentities::new(vec![client]).unwrap());
    let mut config = EndpointConfig::new(listen, key, handlers, identities);
    let files = CertificateFiles { certificate: certificate_file(folder), key: key_file(folder) };
    config.certificates = Arc::new(Certificates::load(vec![files]).unwrap());
    let endpoint = Endpoint::bind(config).unwrap();
    let address = endpoint.local_addresses()[0];
    (endpoint, address)
}

fn router() -> Router {
    Router::new().route(UPLOAD, post(count)).route(DOWNLOAD, get(async || give()))
}

/// Takes a body and says how long it was.
async fn count(request: Request) -> Result<String, String> {
    let mut body: BodyDataStream = request.into_body().into_data_stream();
    let mut length = 0;
    while let Some(chunk) = body.next().await {
        length += chunk.map_err(|error| error.to_string())?.len() as u64;
    }
    Ok(length.to_string())
}

fn give() -> Body {
    let chunks = (0..LENGTH / CHUNK.len() as u64).map(|_| Ok::<_, Infallible>(Bytes::from_static(&CHUNK)));
    Body::from_stream(stream::iter(chunks))
}
