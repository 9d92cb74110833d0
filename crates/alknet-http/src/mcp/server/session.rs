//! Sessions, which the protocol had before 2026-07-28: who has which, and when they end.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use alknet_call::{CallError, ErrorCode};
use alknet_core::{AuthContext, Identity};
use rmcp::model::RequestId;
use rmcp::transport::streamable_http_server::session::local::{LocalSessionManager, SessionConfig};
use rmcp::transport::streamable_http_server::{SessionId, SessionManager as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::McpConfig;

/// How long what is left of an answer to a cancelled request is kept for a client that comes back.
const LEFTOVERS: Duration = Duration::from_secs(5);

/// How long the handshake may take. What sends it has it in one request.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The sessions and the running calls of every bearer. They outlast the handler, so that a change of other settings ends
/// none; they end when this is dropped.
pub struct McpSessions {
    sessions: Arc<Sessions>,
    _end: DropGuard,
}

impl McpSessions {
    /// None yet.
    pub fn new() -> Self {
        let sessions = Arc::new(Sessions::new());
        Self { _end: sessions.end.clone().drop_guard(), sessions }
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.sessions.count()
    }

    pub(super) fn shared(&self) -> Arc<Sessions> {
        self.sessions.clone()
    }
}

impl Default for McpSessions {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) struct Sessions {
    /// What carries their messages.
    pub(super) local: LocalSessionManager,
    open: Mutex<HashMap<SessionId, Arc<Session>>>,
    /// How much each bearer has under way, by the id of its identity.
    under_way: Mutex<HashMap<Arc<str>, UnderWay>>,
    pub(super) end: CancellationToken,
}

/// What a bearer has under way.
#[derive(Default)]
pub(super) struct UnderWay {
    pub(super) calls: u32,
    pub(super) listeners: u32,
}

/// One session. It belongs to the identity that has opened it.
pub(super) struct Session {
    owner: Arc<str>,
    /// Whether its client reads anything.
    reading: Arc<Reading>,
    /// Whether it reads the answers to those requests that are under way.
    requests: Mutex<HashMap<RequestId, Weak<Reading>>>,
    /// It has ended, and so do its calls.
    gone: CancellationToken,
}

/// Whether a client is there.
pub(super) struct Reading(watch::Sender<Presence>);

#[derive(Clone, Copy)]
struct Presence {
    /// Answers that it reads at this moment.
    answers: u32,
    /// When the last one ended, or the last message came.
    since: Instant,
}

impl Sessions {
    fn new() -> Self {
        let mut local = LocalSessionManager::default();
        let mut config = SessionConfig::default();
        // What is silent is told from what is away here, by a clock of our own.
        config.keep_alive = None;
        config.init_timeout = Some(HANDSHAKE);
        config.completed_cache_ttl = LEFTOVERS;
        config.sse_retry = None;
        local.session_config = config;
        Self { local, open: Mutex::default(), under_way: Mutex::default(), end: CancellationToken::new() }
    }

    /// A session of the bearer's own. Those of others are not there.
    pub(super) fn of(&self, owner: &Identity, id: &SessionId) -> Option<Arc<Session>> {
        self.open().get(id).filter(|session| session.owner == owner.id).cloned()
    }

    /// Whether there is room for one more of this bearer.
    ///
    /// # Errors
    /// Which limit is reached.
    pub(super) fn room(&self, owner: &Identity, config: &McpConfig) -> Result<(), CallError> {
        let open = self.open();
        let own = open.values().filter(|session| session.owner == owner.id).count();
        if own >= config.max_sessions_per_peer as usize {
            let most = config.max_sessions_per_peer;
            return Err(exhausted(format!("you have {most} sessions open, and may have no more: end one with DELETE")));
        }
        match open.len() >= config.max_sessions as usize {
            true => Err(exhausted(format!("this node has room for {} sessions", config.max_sessions))),
            false => Ok(()),
        }
    }

    /// Keeps the books about a session that was made for whoever `auth` is, until it ends: the token is taken back, or its
    /// client is away for too long.
    pub(super) fn keep(
        self: &Arc<Self>,
        id: SessionId,
        owner: Arc<str>,
        auth: AuthContext,
        idle: Duration,
    ) -> Arc<Session> {
        let (reading, gone) = (Arc::new(Reading::new()), self.end.child_token());
        let session = Arc::new(Session { owner, reading, requests: Mutex::default(), gone });
        self.open().insert(id.clone(), session.clone());
        let (sessions, kept) = (self.clone(), session.clone());
        tokio::spawn(async move {
            let why = kept.over(&auth, idle).await;
            tracing::debug!(peer = &*kept.owner, why, "an MCP session has ended");
            sessions.close(&id).await;
        });
        session
    }

    /// Ends a session, with its calls.
    pub(super) async fn close(&self, id: &SessionId) {
        let session = self.open().remove(id);
        if let Some(session) = session {
            session.gone.cancel();
        }
        // It fails only when there is none.
        let _ = self.local.close_session(id).await;
    }

    /// Counts a call of a bearer's.
    ///
    /// # Errors
    /// When it has too many under way.
    pub(super) fn begin_call(self: &Arc<Self>, owner: &Identity, most: u32) -> Result<Slot, CallError> {
        let slot = self.begin(owner, most, |under_way| &mut under_way.calls);
        slot.ok_or_else(|| exhausted(format!("you have {most} calls under way, and may have no more")))
    }

    /// Counts a client that listens without a session.
    ///
    /// # Errors
    /// When its bearer has too many.
    pub(super) fn begin_listening(self: &Arc<Self>, owner: &Identity, most: u32) -> Result<Slot, CallError> {
        let slot = self.begin(owner, most, |under_way| &mut under_way.listeners);
        slot.ok_or_else(|| exhausted(format!("you have {most} listeners, and may have no more")))
    }

    fn begin(self: &Arc<Self>, owner: &Identity, most: u32, count: fn(&mut UnderWay) -> &mut u32) -> Option<Slot> {
        let mut under_way = self.under_way();
        let count_of_owner = count(under_way.entry(owner.id.clone()).or_default());
        if *count_of_owner >= most {
            return None;
        }
        *count_of_owner += 1;
        Some(Slot { sessions: self.clone(), owner: owner.id.clone(), count })
    }

    /// How many sessions there are.
    pub(super) fn count(&self) -> usize {
        self.open().len()
    }

    /// What all bearers together have under way.
    pub(super) fn under_way_of_all(&self) -> UnderWay {
        self.under_way().values().fold(UnderWay::default(), |all, one| UnderWay {
            calls: all.calls + one.calls,
            listeners: all.listeners + one.listeners,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Arc<str>, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exhausted(message: String) -> CallError {
    CallError::new(ErrorCode::ResourceExhausted, message)
}

/// A place under a bearer's limit.
pub(super) struct Slot {
    sessions: Arc<Sessions>,
    owner: Arc<str>,
    count: fn(&mut UnderWay) -> &mut u32,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut under_way = self.sessions.under_way();
        if let Some(of_owner) = under_way.get_mut(&self.owner) {
            *(self.count)(of_owner) -= 1;
            if of_owner.calls == 0 && of_owner.listeners == 0 {
                under_way.remove(&self.owner);
            }
        }
    }
}

impl Session {
    /// Resolves when it has ended.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Whether its client is there.
    pub(super) fn reading(&self) -> &Arc<Reading> {
        &self.reading
    }

    /// Notes that its client reads the answer to a request, or waits for it.
    pub(super) fn attend_request(&self, id: RequestId) -> [Attendance; 2] {
        let reading = Arc::new(Reading::new());
        let mut requests = self.requests();
        requests.retain(|_, reading| reading.strong_count() > 0);
        requests.insert(id, Arc::downgrade(&reading));
        [reading.attend(), self.reading.attend()]
    }

    /// Notes that its client reads what it has missed. Of which requests that is, it alone knows.
    pub(super) fn attend_again(&self) -> Vec<Attendance> {
        let requests = self.requests().values().filter_map(Weak::upgrade).collect::<Vec<_>>();
        requests.iter().chain([&self.reading]).map(Reading::attend).collect()
    }

    /// Whether the client is there for the answer to a request.
    pub(super) fn reading_of(&self, id: &RequestId) -> Arc<Reading> {
        let mut requests = self.requests();
        let known = requests.get(id).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            // It has gone already, and may come back.
            let reading = Arc::new(Reading::new());
            requests.insert(id.clone(), Arc::downgrade(&reading));
            reading
        })
    }

    fn requests(&self) -> MutexGuard<'_, HashMap<RequestId, Weak<Reading>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when it has to end.
    async fn over(&self, auth: &AuthContext, idle: Duration) -> &'static str {
        tokio::select! {
            () = self.gone() => "closed",
            () = self.disowned(auth) => "the token was taken back",
            () = self.reading.away(idle) => "the client is away",
        }
    }

    /// Resolves when the token that it was opened with is not its owner's any more.
    async fn disowned(&self, auth: &AuthContext) {
        let mut changes = auth.changes();
        while auth.identity().is_some_and(|identity| identity.id == self.owner) {
            if changes.changed().await.is_err() {
                return pending().await;
            }
        }
        // Its calls end by themselves, and say why.
        sleep(LAST_WORDS).await;
    }
}

/// How long the calls of a session may still say why they end.
const LAST_WORDS: Duration = Duration::from_millis(300);

impl Reading {
    fn new() -> Self {
        Self(watch::Sender::new(Presence { answers: 0, since: Instant::now() }))
    }

    /// Notes that the client was heard of.
    pub(super) fn touch(&self) {
        self.0.send_modify(|presence| presence.since = Instant::now());
    }

    /// Notes that the client reads, until the [`Attendance`] is dropped.
    pub(super) fn attend(self: &Arc<Self>) -> Attendance {
        self.0.send_modify(|presence| presence.answers += 1);
        Attendance(self.clone())
    }

    /// Resolves when the client is there.
    pub(super) async fn present(&self) {
        // The sender is this one's own.
        let _ = self.0.subscribe().wait_for(|presence| presence.answers > 0).await;
    }

    /// Resolves when the client has been away for `limit`.
    pub(super) async fn away(&self, limit: Duration) {
        let mut changes = self.0.subscribe();
        loop {
            let presence = *changes.borrow_and_update();
            let timer = async {
                match presence.answers {
                    0 => sleep_until(presence.since + limit).await,
                    _ => pending().await,
                }
            };
            tokio::select! {
                () = timer => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// That a client reads.
pub(super) struct Attendance(Arc<Reading>);

impl Drop for Attendance {
    fn drop(&mut self) {
        self.0.0.send_modify(|presence| {
            presence.answers -= 1;
            presence.since = Instant::now();
        });
    }
}
