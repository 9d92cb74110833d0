//! A connection with a server, as one credential makes it.
//!
//! With a server of 2026-07-28 that is no more than a memory of what it is; an older one has a session for it. Both are
//! found out by asking ([`ClientLifecycleMode::Auto`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alknet_call::Secret;
use http::HeaderValue;
use rmcp::ClientHandler;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ClientRequest, Implementation, ProgressNotificationParam, ProgressToken,
    ProtocolVersion, ServerPeerInfo, ServerResult, SubscriptionFilter,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, NotificationContext, Peer, PeerRequestOptions, RequestHandle,
    RoleClient, RunningService, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use url::Url;
use zeroize::Zeroizing;

use super::error::McpError;
use super::transport::McpHttp;
use crate::HttpClient;

/// How long the beginning of a session may take: for a server that leaves the first question unanswered the library waits
/// ten seconds and asks the older one.
const START: Duration = Duration::from_secs(30);

/// How often a server is asked for its tools that does not tell of changes.
const POLL: Duration = Duration::from_secs(60);

/// How many requests may be under way in one session. Further ones wait.
const MAX_REQUESTS: usize = 256;

/// How long to wait before a server is listened to again.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// How often the library asks for the rest of a stream that broke off, before the call fails.
const MAX_RESUMPTIONS: usize = 5;

/// How many tidings of progress wait for a reader. Further ones are lost: the next tells more.
const MAX_PROGRESS: usize = 32;

/// How long the server may take to be told that a call was given up.
const CANCEL: Duration = Duration::from_secs(10);

/// A connection. Dropping it ends it, and all that waits for something from it.
pub(super) struct Session {
    running: RunningService<RoleClient, Listener>,
    _watch: Option<AbortOnDropHandle<()>>,
}

impl Session {
    /// Begins one. `changes` changes when there is reason to ask for the tools again.
    pub(super) async fn begin(
        http: &HttpClient,
        url: &Url,
        secret: Option<&Secret>,
        changes: &watch::Sender<u64>,
    ) -> Result<Self, McpError> {
        let authorization = secret.map(bearer).transpose()?;
        let client = McpHttp::new(http.clone(), url.clone(), authorization, changes.clone());
        let mut resume = ExponentialBackoff::default();
        resume.max_times = Some(MAX_RESUMPTIONS);
        resume.max_delay = Some(Duration::from_secs(15));
        let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
        config.retry_config = Arc::new(resume);
        config.max_concurrent_requests = MAX_REQUESTS;
        // A new session may have other tools, so it is not begun where nobody asks for them.
        config.reinit_on_expired_session = false;
        let transport = StreamableHttpClientTransport::with_client(client, config);
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        };
        let listener = Listener { changes: changes.clone(), progress: Arc::default() };
        let start = timeout(START, listener.serve_with_lifecycle(transport, lifecycle)).await;
        match start.map_err(|_| McpError::Timeout(START))? {
            Ok(running) => Ok(Self { running, _watch: None }),
            Err(error) => Err(McpError::of_start(&error)),
        }
    }

    /// Looks from now on whether the tools change.
    pub(super) fn watching(mut self) -> Self {
        // Some tell of changes and do not say so beforehand.
        let listens = self.peer_info().is_some_and(|info| !info.protocol_version.has_initialize());
        let (peer, changes) = (self.running.peer().clone(), self.running.service().changes.clone());
        self._watch = Some(AbortOnDropHandle::new(tokio::spawn(look_for_changes(peer, changes, listens))));
        self
    }

    pub(super) fn peer_info(&self) -> Option<Arc<ServerPeerInfo>> {
        self.running.peer().peer_info()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.running.is_closed()
    }

    /// Asks something. To drop the future is to tell the server that nobody waits.
    pub(super) async fn request(&self, request: ClientRequest) -> Result<ServerResult, ServiceError> {
        let handle = self.running.peer().send_request_with_option(request, PeerRequestOptions::no_options()).await?;
        Pending(Some(handle)).answer().await
    }

    /// Asks something, and listens to what is said of its progress.
    pub(super) async fn request_with_progress(&self, request: ClientRequest) -> Result<Progressing, ServiceError> {
        let routes = self.running.service().progress.clone();
        // Held while it is sent: the first tidings may be here before the token is known.
        let mut table = routes.lock().await;
        let handle = self.running.peer().send_request_with_option(request, PeerRequestOptions::no_options()).await?;
        let (sender, progress) = mpsc::channel(MAX_PROGRESS);
        table.retain(|_, sender| !sender.is_closed());
        table.insert(handle.progress_token.clone(), sender);
        drop(table);
        Ok(Progressing { answer: Pending(Some(handle)), progress })
    }
}

/// A request that is under way, with what is said of it. The route of the latter is cleared when the next one is made.
pub(super) struct Progressing {
    pub(super) answer: Pending,
    pub(super) progress: mpsc::Receiver<ProgressNotificationParam>,
}

/// A request that is under way. To drop it is to tell the server that nobody waits.
pub(super) struct Pending(Option<RequestHandle<RoleClient>>);

impl Pending {
    pub(super) async fn answer(&mut self) -> Result<ServerResult, ServiceError> {
        let Some(handle) = &mut self.0 else { return Err(ServiceError::TransportClosed) };
        let answer = (&mut handle.rx).await;
        self.0 = None;
        answer.map_err(|_| ServiceError::TransportClosed)?
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let (Some(handle), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(timeout(CANCEL, handle.cancel(Some("the caller has given the call up".to_owned()))));
        }
    }
}

/// What a server says unasked.
#[derive(Clone)]
struct Listener {
    changes: watch::Sender<u64>,
    progress: Arc<Mutex<HashMap<ProgressToken, mpsc::Sender<ProgressNotificationParam>>>>,
}

/// It offers nothing to a server: no sampling, no roots, no questions to a user.
impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("alknet", env!("CARGO_PKG_VERSION")))
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        changed(&self.changes);
    }

    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some(reader) = self.progress.lock().await.get(&progress.progress_token) {
            // A reader that is slow misses some.
            let _ = reader.try_send(progress);
        }
    }
}

pub(super) fn changed(changes: &watch::Sender<u64>) {
    changes.send_modify(|count| *count = count.wrapping_add(1));
}

/// Listens to a server of 2026-07-28, and asks one from time to time that does not tell of changes. (An older one that tells
/// of them does so on a stream that the library keeps.)
async fn look_for_changes(peer: Peer<RoleClient>, changes: watch::Sender<u64>, listens: bool) {
    let mut wait = FIRST_WAIT;
    loop {
        let start = Instant::now();
        if listens
            && let Ok(mut subscription) = peer.listen(SubscriptionFilter::builder().tools_list_changed().build()).await
        {
            // What changed before it began nobody has told.
            changed(&changes);
            while let Ok(Some(_)) = subscription.next().await {
                changed(&changes);
            }
            // One that ends all the time is as good as none.
            wait = if start.elapsed() > POLL { FIRST_WAIT } else { (wait * 2).min(POLL) };
        } else {
            wait = POLL;
        }
        sleep(wait).await;
        changed(&changes);
    }
}

fn bearer(secret: &Secret) -> Result<HeaderValue, McpError> {
    let text = Zeroizing::new(format!("Bearer {}", secret.reveal()));
    let mut value = HeaderValue::from_str(&text).map_err(|_| McpError::Credential)?;
    value.set_sensitive(true);
    Ok(value)
}
