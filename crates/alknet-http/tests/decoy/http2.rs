//! `h2`: status, fields in their order, and bodies. The frames are another implementation's.

use std::net::SocketAddr;

use alknet_http::decoy::{Decoy, Front, http2_settings};
use anyhow::{Context, bail};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use crate::nginx::Nginx;
use crate::site::Kind;

/// Method, path, and fields.
type Wanted = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const REQUESTS: &[Wanted] = &[
    ("GET", "/", &[]),
    ("GET", "/?query", &[]),
    ("GET", "/missing", &[]),
    ("GET", "/text.txt", &[]),
    ("GET", "/large.bin", &[]),
    ("GET", "/empty", &[]),
    ("GET", "/dir", &[]),
    ("GET", "/dir?a=b", &[]),
    ("GET", "/dir/", &[]),
    ("GET", "/unlisted/", &[]),
    ("GET", "/fifo", &[]),
    ("GET", "/../x", &[]),
    ("GET", "/%2e%2e", &[]),
    ("GET", "/%zz", &[]),
    ("GET", "/a//..//.", &[]),
    ("HEAD", "/", &[]),
    ("HEAD", "/missing", &[]),
    ("HEAD", "/dir", &[]),
    ("HEAD", "/", &[("accept-encoding", "gzip")]),
    ("POST", "/", &[]),
    ("POST", "/node/info", &[("content-type", "application/json")]),
    ("PUT", "/text.txt", &[]),
    ("DELETE", "/missing", &[]),
    ("OPTIONS", "/", &[]),
    ("TRACE", "/", &[]),
    ("get", "/", &[]),
    ("GET", "/", &[("accept-encoding", "gzip")]),
    ("GET", "/missing", &[("accept-encoding", "gzip")]),
    ("GET", "/long.html", &[("accept-encoding", "gzip")]),
    ("GET", "/", &[("if-none-match", "\"65bb0a25-267\"")]),
    ("GET", "/", &[("if-none-match", "*"), ("if-match", "*")]),
    ("GET", "/", &[("if-match", "\"x\"")]),
    ("GET", "/", &[("if-match", "*"), ("if-match", "*")]),
    ("GET", "/", &[("if-modified-since", "Thu, 01 Feb 2024 03:04:05 GMT")]),
    ("GET", "/", &[("if-unmodified-since", "Thu, 01 Feb 2023 03:04:05 GMT")]),
    ("GET", "/", &[("range", "bytes=0-3")]),
    ("GET", "/", &[("range", "bytes=0-3,7-9")]),
    ("GET", "/", &[("range", "bytes=9999-")]),
    ("HEAD", "/", &[("range", "bytes=9999-")]),
    ("GET", "/", &[("host", "a")]),
    ("GET", "/", &[("expect", "100-continue")]),
    ("GET", "/", &[("authorization", "Bearer alk_wrong")]),
    ("GET", "/missing", &[("user-agent", "Mozilla/5.0 (KHTML, like Gecko) Chrome/1")]),
    ("GET", "/", &[("a_b", "c"), ("a.b", "c")]),
];

pub(crate) fn compare(kind: Kind) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let decoy = kind.set_up(&folder.path().join("site"))?;
    let nginx = Nginx::start(folder.path(), "http2")?;
    let front = Front { is_tls: false, local: nginx.address };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let decoy = serve(decoy, front).await?;
        let mut differences = String::new();
        for request in REQUESTS {
            let expected = exchange(nginx.address, request).await.with_context(|| format!("nginx: {request:?}"))?;
            let found = exchange(decoy, request).await.with_context(|| format!("the decoy: {request:?}"))?;
            if expected != found {
                differences += &format!("\n{request:?}\n--- nginx\n{expected}\n--- decoy\n{found}\n");
            }
        }
        if !differences.is_empty() {
            bail!("{differences}");
        }
        Ok(())
    })
}

async fn serve(decoy: Decoy, front: Front) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let decoy = decoy.clone();
            let service = service_fn(move |request| {
                let decoy = decoy.clone();
                async move { Ok::<_, std::convert::Infallible>(decoy.answer(&request, front).await) }
            });
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            http2_settings(&mut builder);
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// An answer as text.
async fn exchange(server: SocketAddr, (method, path, fields): &Wanted) -> anyhow::Result<String> {
    let stream = TcpStream::connect(server).await?;
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes())?)
        .uri(Uri::builder().scheme("http").authority("Example.org:8080").path_and_query(*path).build()?);
    for (name, value) in *fields {
        request = request.header(*name, *value);
    }
    let body = Bytes::from_static(if *method == "POST" { b"{}" } else { b"" });
    let (head, body) = client.send_request(request.body(Full::new(body))?).await?.into_parts();
    let mut answer = format!("{}\n", head.status);
    for (name, value) in &head.headers {
        let value = if name == "date" { "_".into() } else { value.as_bytes().escape_ascii().to_string() };
        answer += &format!("{name}: {value}\n");
    }
    let body = body.collect().await?.to_bytes();
    answer += &body.escape_ascii().to_string();
    Ok(match answer.split_once("boundary=") {
        Some((_, rest)) => answer.replace(&rest[..20].to_owned(), "_"),
        None => answer,
    })
}
