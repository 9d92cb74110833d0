//! The peers that are connected, whichever side has dialed, and which of them a call goes to.

mod from_call;
mod reconnect;
mod route;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use alknet_core::AuthContext;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::builtin::PeerStatus;
use crate::{CallClient, ConnectionWatcher};
pub use from_call::FromCall;
pub(crate) use from_call::{Forward, MAX_FORWARDED_FOR};
pub use reconnect::{Backoff, Connected, ReconnectingClient};
pub use route::PeerRef;
use route::Served;

/// The peers that are connected. A connection counts from when its peer is known until it ends; of several connections to
/// one peer the newest is used.
pub struct Peers {
    this: Weak<Self>,
    connected: Mutex<BTreeMap<Arc<str>, Vec<Entry>>>,
    next_number: AtomicU64,
    changes: watch::Sender<u64>,
    /// Whose turn it is, by operation. Only operations that a peer serves get in here.
    turns: Mutex<HashMap<Box<str>, usize>>,
}

/// A connection to a peer.
#[derive(Clone)]
struct Entry {
    number: u64,
    client: CallClient,
    since: Instant,
    served: Arc<Served>,
}

impl Peers {
    /// Nobody is connected yet.
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            connected: Mutex::default(),
            next_number: AtomicU64::new(0),
            changes: watch::Sender::default(),
            turns: Mutex::default(),
        })
    }

    /// Enters a connection to the peer `id`, for as long as the guard is there.
    #[must_use = "the connection is taken out when the guard is dropped"]
    pub fn enter(&self, id: Arc<str>, client: CallClient) -> PeerGuard {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { number, client, since: Instant::now(), served: Arc::default() };
        self.connected().entry(id.clone()).or_default().push(entry);
        self.changes.send_modify(|change| *change = change.wrapping_add(1));
        PeerGuard { peers: self.this.clone(), id, number }
    }

    /// The client of the newest connection to a peer.
    pub fn client(&self, id: &str) -> Option<CallClient> {
        self.newest(id).map(|(_, client)| client)
    }

    /// Changes whenever a connection comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Who is connected, for `services/list-peers`.
    pub fn statuses(&self) -> Vec<PeerStatus> {
        let connected = self.connected();
        let status = |(id, entries): (&Arc<str>, &Vec<Entry>)| {
            let entry = newest(entries)?;
            Some(PeerStatus {
                id: id.to_string(),
                connected: true,
                transport: Some(entry.client.connection().transport_name()),
                operations: entry.served.count(),
                since: Some(entry.since),
            })
        };
        connected.iter().filter_map(status).collect()
    }

    /// Waits for a connection to a peer. Gives the newest, and a number that names it.
    pub(crate) async fn wait_for(&self, id: &str) -> (u64, CallClient) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if let Some(newest) = self.newest(id) {
                return newest;
            }
            // Never an error: the sender is in here.
            let _ = changes.changed().await;
        }
    }

    /// Resolves when this connection is not the newest to the peer any more: it has ended, or there is a newer one.
    pub(crate) async fn superseded(&self, id: &str, number: u64) {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            if self.newest(id).is_none_or(|(newest, _)| newest != number) {
                return;
            }
            let _ = changes.changed().await;
        }
    }

    fn newest(&self, id: &str) -> Option<(u64, CallClient)> {
        let connected = self.connected();
        newest(connected.get(id)?).map(|entry| (entry.number, entry.client.clone()))
    }

    fn leave(&self, id: &Arc<str>, number: u64) {
        let mut connected = self.connected();
        if let Some(entries) = connected.get_mut(id) {
            entries.retain(|entry| entry.number != number);
            if entries.is_empty() {
                connected.remove(id);
            }
        }
        drop(connected);
        self.changes.send_modify(|change| *change = change.wrapping_add(1));
    }

    fn connected(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Vec<Entry>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that has ended is in here until its guard is dropped, and is of no use until then.
fn newest(entries: &[Entry]) -> Option<&Entry> {
    entries.iter().rev().find(|entry| !entry.client.is_closed())
}

impl ConnectionWatcher for Peers {
    fn connected(&self, client: CallClient, auth: &AuthContext) -> Box<dyn Send + Sync> {
        match (auth.identity(), auth.fingerprint()) {
            (Some(identity), _) => Box::new(self.enter(identity.id.clone(), client)),
            // Its key may become that of a peer, and then nobody has to tell it to connect again.
            (None, Some(_)) => {
                let entering = tokio::spawn(enter_when_known(self.this.clone(), client, auth.clone()));
                Box::new(AbortOnDropHandle::new(entering))
            }
            (None, None) => Box::new(()),
        }
    }
}

async fn enter_when_known(peers: Weak<Peers>, client: CallClient, auth: AuthContext) {
    let mut changes = auth.changes();
    loop {
        changes.mark_unchanged();
        if let Some(identity) = auth.identity() {
            let _entered = peers.upgrade().map(|peers| peers.enter(identity.id.clone(), client.clone()));
            return client.closed().await;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// That a peer is connected. Dropping it takes the connection out.
pub struct PeerGuard {
    peers: Weak<Peers>,
    id: Arc<str>,
    number: u64,
}

impl Drop for PeerGuard {
    fn drop(&mut self) {
        if let Some(peers) = self.peers.upgrade() {
            peers.leave(&self.id, self.number);
        }
    }
}

#[cfg(test)]
mod tests;
