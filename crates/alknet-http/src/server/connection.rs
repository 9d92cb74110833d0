//! One HTTP connection.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};

use alknet_call::CallerInfo;
use alknet_core::{AuthContext, BiStream, Connection};
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::hang_up::{Audible, Listen};
use super::io::Io;
use super::leftover::Leftover;
use super::linger::{Lingering, Unread};
use super::progress::Progress;
use super::site::Site;
use crate::HttpConfig;
use crate::decoy::{Credentials, Front, http2_settings};

/// The other end of an HTTP connection, as far as its requests need to know.
pub(crate) struct Client {
    /// What TLS knows of it, and the means to resolve a token.
    pub(super) auth: AuthContext,
    pub(super) peer: Arc<CallerInfo>,
    /// What carries the HTTP connection.
    pub(crate) below: Connection,
    /// What goes on after hyper has let go of the connection.
    pub(super) upgraded: TaskTracker,
    /// The connection is gone, and what was made of it has to go, too.
    pub(super) gone: CancellationToken,
    /// Hears it go, over `http/1.1`. Over `h2` hyper does, and gives its requests up.
    pub(super) listener: OnceLock<Weak<dyn Listen>>,
}

impl Client {
    /// Resolves when the client has gone away, or has ended its side, while it is being answered. For the task that answers.
    #[cfg_attr(not(feature = "mcp"), expect(dead_code, reason = "`/mcp` asks"))]
    pub(crate) async fn hung_up(&self) {
        let listener = self.listener.get().and_then(Weak::upgrade);
        std::future::poll_fn(|cx| listener.as_ref().map_or(std::task::Poll::Pending, |it| it.poll_end(cx))).await;
    }

    /// Where it came in, for the addresses that a decoy names.
    pub(super) fn front(&self) -> Front {
        front(&self.below)
    }
}

/// Where a connection came in.
pub(super) fn front(connection: &Connection) -> Front {
    // What does not know its address is a stream within another: there is nothing better to say than the usual port.
    let local = connection.local_address().unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443)));
    Front { is_tls: true, local }
}

/// An HTTP connection that is to be served.
pub(super) struct Http {
    site: Arc<Site>,
    client: Arc<Client>,
}

impl Http {
    pub(super) fn new(site: Arc<Site>, below: Connection, auth: AuthContext, peer: Arc<CallerInfo>) -> Self {
        let (upgraded, gone) = (TaskTracker::new(), CancellationToken::new());
        Self { site, client: Arc::new(Client { auth, peer, below, upgraded, gone, listener: OnceLock::new() }) }
    }

    /// Serves it to its end, and that of whatever its requests have made of it.
    pub(super) async fn serve(self, stream: BiStream, is_h2: bool) -> hyper::Result<()> {
        let (upgraded, gone) = (self.client.upgraded.clone(), self.client.gone.clone().drop_guard());
        let result = match is_h2 {
            true => self.serve_h2(stream).await,
            false => self.serve_http1(stream).await,
        };
        upgraded.close();
        upgraded.wait().await;
        drop(gone);
        result
    }

    async fn serve_http1(self, stream: BiStream) -> hyper::Result<()> {
        let io = Io::new(stream, self.site.config().write_timeout());
        let Some(decoy) = self.site.decoy() else { return self.serve_hyper(io).await };
        let (auth, below) = (&self.client.auth, &self.client.below);
        let admit = |shown: &Credentials<'_>| self.site.knows(auth, shown);
        match decoy.serve_http1(io, self.client.front(), admit, below.draining()).await {
            // As if nothing had been read.
            Ok(Some(io)) => self.serve_hyper(io).await,
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::debug!(connection = below.id(), %error, "an HTTP client broke off");
                Ok(())
            }
        }
    }

    async fn serve_hyper<S>(self, io: S) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { site, client } = self;
        let (builder, below) = (http1(site.config()), client.below.clone());
        let unread = Unread::default();
        let io = Audible::new(Lingering::new(io, unread.clone()));
        client.listener.get_or_init(|| io.listener());
        let service = service_fn(move |request: Request<Incoming>| {
            let (site, client) = (site.clone(), client.clone());
            let request = request.map(|body| Body::new(unread.watch(body)));
            async move { Ok::<_, Infallible>(site.respond(&client, request).await) }
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service).with_upgrades());
        tokio::select! {
            result = connection.as_mut() => return result,
            () = below.draining() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    }

    async fn serve_h2(self, stream: BiStream) -> hyper::Result<()> {
        let Self { site, client } = self;
        let limit = site.config().write_timeout();
        let io = Io::new(stream, limit);
        let mut builder = http2(site.config());
        if site.decoy().is_some() {
            http2_settings(&mut builder);
        } else if site.has_calls() {
            // RFC 8441 §3: it is a setting of the whole connection, which every client sees.
            builder.enable_connect_protocol();
        }
        let (below, progress) = (client.below.clone(), Progress::default());
        let watched = progress.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (site, client, watched) = (site.clone(), client.clone(), watched.clone());
            async move {
                let response = site.respond(&client, request.map(|body| Body::new(Leftover::new(body)))).await;
                Ok::<_, Infallible>(response.map(|body| watched.watch(body)))
            }
        });
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(io), service));
        let stalled = std::pin::pin!(progress.stalled(limit));
        let ended = async {
            tokio::select! {
                result = connection.as_mut() => return result,
                () = below.draining() => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        };
        tokio::select! {
            result = ended => result,
            () = stalled => {
                tracing::debug!(connection = below.id(), "an HTTP client has taken nothing for {limit:?}");
                Ok(())
            }
        }
    }
}

fn http1(config: &HttpConfig) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // A client may end its side with the request, as one does that pipes it into a stream, and wait for the answer.
        .half_close(true)
        .header_read_timeout(config.header_timeout())
        .max_headers(config.max_headers as usize)
        .max_header_size(config.max_header_bytes as usize);
    builder
}

fn http2(config: &HttpConfig) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(config.max_header_bytes)
        .max_concurrent_streams(config.max_concurrent_streams);
    builder
}
