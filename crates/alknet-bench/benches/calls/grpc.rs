//! gRPC: tonic, with its own TLS, as its examples have it. What its code generator would have written is written here.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use alknet_core::BoxFuture;
use futures_util::future::FutureExt as _;
use futures_util::stream;
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::client::Grpc as ClientGrpc;
use tonic::server::{Grpc as ServerGrpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Identity as TlsIdentity, Server, ServerTlsConfig,
};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use crate::caller::Caller;
use crate::certificate::{HOST, certificate_file, key_file};
use crate::memory::MANY;
use crate::note::Note;

const ECHO: &str = "/bench.Bench/Echo";
const HANG: &str = "/bench.Bench/Hang";
const HANGING: &str = "/bench.Bench/Hanging";
const EVENTS: &str = "/bench.Bench/Events";

/// A number alone.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    value: u64,
}

/// Starts the server, within a runtime.
pub(crate) fn serve(folder: &Path) -> String {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap().with_nodelay(Some(true));
    let address = incoming.local_addr().unwrap().to_string();
    let read = |path| std::fs::read(path).unwrap();
    let identity = TlsIdentity::from_pem(read(certificate_file(folder)), read(key_file(folder)));
    let mut server = Server::builder()
        .tls_config(ServerTlsConfig::new().identity(identity))
        .unwrap()
        .max_concurrent_streams(MANY as u32);
    let router = server.add_service(Bench::default());
    tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
    address
}

#[derive(Clone, Default)]
struct Bench {
    hanging: Arc<AtomicU64>,
}

impl NamedService for Bench {
    const NAME: &'static str = "bench.Bench";
}

impl tower::Service<http::Request<Body>> for Bench {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let hanging = self.hanging.clone();
        async move {
            Ok(match request.uri().path() {
                ECHO => {
                    let echo = async |request: Request<Note>| Ok(Response::new(request.into_inner()));
                    ServerGrpc::new(ProstCodec::default()).unary(service_fn(echo), request).await
                }
                HANG => {
                    let hang = |_: Request<Note>| {
                        hanging.fetch_add(1, Ordering::Relaxed);
                        std::future::pending::<Result<Response<Note>, Status>>()
                    };
                    ServerGrpc::new(ProstCodec::default()).unary(service_fn(hang), request).await
                }
                HANGING => {
                    let count =
                        async |_: Request<Number>| Ok(Response::new(Number { value: hanging.load(Ordering::Relaxed) }));
                    ServerGrpc::new(ProstCodec::default()).unary(service_fn(count), request).await
                }
                EVENTS => {
                    let events = async |request: Request<Number>| {
                        let events = Note::events(request.into_inner().value);
                        Ok(Response::new(stream::iter(events.map(Ok))))
                    };
                    ServerGrpc::new(ProstCodec::default()).server_streaming(service_fn(events), request).await
                }
                _ => Status::unimplemented("there is no such method").into_http(),
            })
        }
        .boxed()
    }
}

/// A client.
#[derive(Clone)]
pub(crate) struct Grpc(Channel);

impl Grpc {
    pub(crate) async fn connect(address: &str, folder: &Path) -> Self {
        let ca = Certificate::from_pem(std::fs::read(certificate_file(folder)).unwrap());
        let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name(HOST);
        let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap().tcp_nodelay(true);
        Self(endpoint.tls_config(tls).unwrap().connect().await.unwrap())
    }

    async fn unary<M>(&self, path: &'static str, message: M) -> M
    where
        M: prost::Message + Default + 'static,
    {
        let mut client = ClientGrpc::new(self.0.clone());
        client.ready().await.unwrap();
        let codec = ProstCodec::<M, M>::default();
        client.unary(Request::new(message), PathAndQuery::from_static(path), codec).await.unwrap().into_inner()
    }
}

impl Caller for Grpc {
    async fn echo(&self, note: &Note) {
        let answer = self.unary(ECHO, note.clone()).await;
        assert_eq!(answer.text.len(), note.text.len());
    }

    async fn hang(&self, note: &Note) {
        let answer = self.unary(HANG, note.clone()).await;
        panic!("a call that has no answer was answered: {answer:?}");
    }

    async fn hanging(&self) -> u64 {
        self.unary(HANGING, Number { value: 0 }).await.value
    }

    async fn events(&self, count: u64) -> Result<(), String> {
        let mut client = ClientGrpc::new(self.0.clone());
        client.ready().await.unwrap();
        let codec = ProstCodec::<Number, Note>::default();
        let request = Request::new(Number { value: count });
        let answer = client.server_streaming(request, PathAndQuery::from_static(EVENTS), codec).await.unwrap();
        let mut events = answer.into_inner();
        let mut read = 0;
        while let Some(event) = events.message().await.unwrap() {
            assert!(event.is_event(read), "event {read} is another");
            read += 1;
        }
        assert_eq!(read, count);
        Ok(())
    }
}
