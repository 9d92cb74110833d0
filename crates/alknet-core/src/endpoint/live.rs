//! The connections that are open, so that they can be counted, cut off and closed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{Alpn, AuthContext, CloseCode, Connection};

/// How long a handler may take to notice that its connection is gone, before its future is dropped.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(crate) struct Live {
    next_id: AtomicU64,
    connections: Mutex<HashMap<u64, Entry>>,
}

struct Entry {
    connection: Connection,
    auth: AuthContext,
    /// The peer that the connection's key named when it began; for a stranger's, the first that it has named since.
    peer: Option<Arc<str>>,
    since: Instant,
    stop: CancellationToken,
}

/// A connection that is open, for an operator to look at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenConnection {
    /// Its number in this process's log.
    pub id: u64,
    /// What it speaks.
    pub alpn: Alpn,
    /// The peer whose key the client proved to hold. A client that is known by a token alone is none here.
    pub peer: Option<Arc<str>>,
    /// The transport's name, for people: `quic`, `tls`, …
    pub transport: &'static str,
    /// Where the client is.
    pub remote: Option<SocketAddr>,
    /// When its handshake was done.
    pub since: Instant,
}

impl Live {
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Enters a connection. The token tells its task to drop the handler.
    pub(crate) fn enter(&self, connection: &Connection, auth: &AuthContext) -> Registered<'_> {
        let stop = CancellationToken::new();
        let mut connections = self.lock();
        // Resolved under the lock: a revocation before it is seen here, one after it finds the entry.
        let peer = auth.identity().map(|identity| identity.id.clone());
        let entry = Entry {
            connection: connection.clone(),
            auth: auth.clone(),
            peer,
            since: Instant::now(),
            stop: stop.clone(),
        };
        connections.insert(connection.id(), entry);
        Registered { live: self, id: connection.id(), stop }
    }

    /// The newest connections, up to `most` of them, the newest first; and how many there are in all.
    pub(crate) fn newest(&self, most: usize) -> (Vec<OpenConnection>, usize) {
        let connections = self.lock();
        let mut ids: Vec<_> = connections.keys().copied().collect();
        ids.sort_unstable_by(|one, other| other.cmp(one));
        let newest = ids.iter().take(most).filter_map(|id| connections.get(id)).map(Entry::shown).collect();
        (newest, ids.len())
    }

    /// Cuts off every connection whose key no longer names the peer that it named at first. Whoever has become known while
    /// connected can be revoked, too.
    pub(crate) fn cut_off_revoked(&self) {
        let mut stops = Vec::new();
        for entry in self.lock().values_mut() {
            let now = entry.auth.identity().map(|identity| identity.id.clone());
            if entry.peer.is_none() {
                entry.peer = now;
            } else if entry.peer != now {
                stops.push(entry.end(CloseCode::REVOKED, "access revoked"));
            }
        }
        stop_after_grace(stops);
    }

    /// Closes all connections.
    pub(crate) fn close_all(&self, code: CloseCode, reason: &str) {
        let stops: Vec<_> = self.lock().values().map(|entry| entry.end(code, reason)).collect();
        stop_after_grace(stops);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn shown(&self) -> OpenConnection {
        OpenConnection {
            id: self.connection.id(),
            alpn: self.connection.alpn().clone(),
            peer: self.peer.clone(),
            transport: self.connection.transport_name(),
            remote: self.connection.remote_address(),
            since: self.since,
        }
    }

    fn end(&self, code: CloseCode, reason: &str) -> CancellationToken {
        tracing::info!(
            alpn = %self.connection.alpn(),
            connection = self.connection.id(),
            peer = self.peer.as_deref().unwrap_or("anonymous"),
            "closing the connection: {reason}"
        );
        self.connection.close(code, reason);
        self.stop.clone()
    }
}

fn stop_after_grace(stops: Vec<CancellationToken>) {
    if !stops.is_empty() {
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            stops.iter().for_each(CancellationToken::cancel);
        });
    }
}

/// A connection's entry, until it is dropped.
pub(crate) struct Registered<'a> {
    live: &'a Live,
    id: u64,
    pub(crate) stop: CancellationToken,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.live.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Alpn, Fingerprint, Identity, MemoryIdentities, Peer, SingleStream};

    fn peer(id: &str) -> Peer {
        let identity = Arc::new(Identity { id: id.into(), scopes: vec![], resources: Default::default() });
        Peer { identity, fingerprints: vec![Fingerprint::Ed25519([1; 32])], tokens: vec![], enabled: true }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_who_has_become_known_can_be_revoked() {
        let (live, identities) = (Live::default(), Arc::new(MemoryIdentities::default()));
        let auth = AuthContext::new([Fingerprint::Ed25519([1; 32])], identities.clone());
        let (near, _far) = tokio::io::duplex(64);
        let connection = Connection::new(SingleStream::new("pipe", near), Alpn::new("x").unwrap());
        let registered = live.enter(&connection, &auth);
        for peers in [vec![], vec![peer("alice")], vec![peer("alice")]] {
            identities.set(peers).unwrap();
            live.cut_off_revoked();
            tokio::time::sleep(GRACE * 2).await;
            assert!(!registered.stop.is_cancelled());
        }
        identities.set(vec![]).unwrap();
        live.cut_off_revoked();
        registered.stop.cancelled().await;
    }
}
