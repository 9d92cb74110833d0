//! The peers that are connected, whichever side has dialed, and which of them a call goes to.

mod from_call;
mod reconnect;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use alknet_core::AuthContext;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::builtin::PeerStatus;
use crate::{CallClient, CallOptions, ClientError, ConnectionWatcher, Subscription};
pub(crate) use from_call::Forward;
pub use from_call::FromCall;
pub use reconnect::{Backoff, Connected, ReconnectingClient};

/// Which peer a call is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerRef {
    /// The one of this id.
    Specific(Arc<str>),
    /// Any that serves the operation: the first by id.
    Any,
    /// One after the other of those that serve the operation.
    RoundRobin,
    /// Of those that serve the operation, the one with the fewest calls of ours under way.
    LeastLoaded,
}

/// The peers that are connected. A connection counts from when its peer is known until it ends; of several connections to
/// one peer the newest is used.
#[derive(Default)]
pub struct Peers {
    this: Weak<Self>,
    connected: Mutex<BTreeMap<Arc<str>, Vec<Entry>>>,
    next_number: AtomicU64,
    next_turn: AtomicUsize,
    changes: watch::Sender<u64>,
}

#[derive(Clone)]
struct Entry {
    number: u64,
    client: CallClient,
    since: Instant,
    /// What the peer serves to us, once it was asked.
    operations: Arc<tokio::sync::OnceCell<Vec<String>>>,
}

impl Peers {
    /// Nobody is connected yet.
    pub fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self { this: this.clone(), ..Self::default() })
    }

    /// Enters a connection to the peer `id`, for as long as the guard is there.
    pub fn enter(&self, id: Arc<str>, client: CallClient) -> PeerGuard {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let entry = Entry { number, client, since: Instant::now(), operations: Arc::default() };
        self.connected().entry(id.clone()).or_default().push(entry);
        self.changes.send_modify(|change| *change += 1);
        PeerGuard { peers: self.this.clone(), id, number }
    }

    /// The client of the newest connection to a peer.
    pub fn client(&self, id: &str) -> Option<CallClient> {
        let connected = self.connected();
        let newest = connected.get(id)?.iter().rev().find(|entry| !entry.client.is_closed())?;
        Some(newest.client.clone())
    }

    /// Changes whenever a connection comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Calls an operation of the peer that `peer` names.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`] when there is none, else as [`CallClient::call`].
    pub async fn call(
        &self,
        peer: &PeerRef,
        operation: &str,
        input: &impl Serialize,
        options: CallOptions,
    ) -> Result<Value, ClientError> {
        self.route(peer, operation).await?.call_with(operation, input, options).await
    }

    /// Subscribes to an operation of the peer that `peer` names.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`] when there is none, else as [`CallClient::subscribe`].
    pub async fn subscribe(
        &self,
        peer: &PeerRef,
        operation: &str,
        input: &impl Serialize,
        options: CallOptions,
    ) -> Result<Subscription, ClientError> {
        self.route(peer, operation).await?.subscribe_with(operation, input, options).await
    }

    /// The peer that a call goes to.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`] when there is none.
    pub async fn route(&self, peer: &PeerRef, operation: &str) -> Result<CallClient, ClientError> {
        let operation = operation.strip_prefix('/').unwrap_or(operation);
        let none = |peer: String| ClientError::NotConnected { peer };
        if let PeerRef::Specific(id) = peer {
            return self.client(id).ok_or_else(|| none(format!("the peer \"{id}\"")));
        }
        let mut serving = self.serving(operation).await;
        let count = serving.len();
        let chosen = match peer {
            _ if count == 0 => None,
            PeerRef::RoundRobin => Some(self.next_turn.fetch_add(1, Ordering::Relaxed) % count),
            PeerRef::LeastLoaded => (0..count).min_by_key(|index| serving.get(*index).map(CallClient::pending)),
            PeerRef::Any | PeerRef::Specific(_) => Some(0),
        };
        chosen.map(|index| serving.swap_remove(index)).ok_or_else(|| none(format!("a peer that serves /{operation}")))
    }

    /// The clients of the peers that serve an operation to us, by id. Whoever was not asked yet is asked what it serves;
    /// a peer does not answer that for ever.
    async fn serving(&self, operation: &str) -> Vec<CallClient> {
        let newest = |(id, entries): (&Arc<str>, &Vec<Entry>)| {
            let entry = entries.iter().rev().find(|entry| !entry.client.is_closed());
            entry.map(|entry| (id.clone(), entry.clone()))
        };
        let entries: Vec<_> = self.connected().iter().filter_map(newest).collect();
        let asked: FuturesUnordered<_> = entries
            .into_iter()
            .map(async |(id, entry)| {
                let serves = entry.operations().await.iter().any(|name| name == operation);
                serves.then_some((id, entry.client))
            })
            .collect();
        let mut serving: Vec<_> = asked.filter_map(async |found| found).collect().await;
        serving.sort_by(|(one, _), (other, _)| one.cmp(other));
        serving.into_iter().map(|(_, client)| client).collect()
    }

    /// Who is connected, for `services/list-peers`.
    pub fn statuses(&self) -> Vec<PeerStatus> {
        let connected = self.connected();
        let status = |(id, entries): (&Arc<str>, &Vec<Entry>)| {
            let entry = entries.last()?;
            Some(PeerStatus {
                id: id.to_string(),
                connected: true,
                transport: Some(entry.client.connection().transport_name()),
                operations: entry.operations.get().map_or(0, Vec::len),
                since: Some(entry.since),
            })
        };
        connected.iter().filter_map(status).collect()
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
        self.changes.send_modify(|change| *change += 1);
    }

    fn connected(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Vec<Entry>>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What the peer serves to us. A peer that cannot say serves nothing.
    async fn operations(&self) -> &[String] {
        let ask = || async {
            let list = self.client.call("services/list", &Value::Null).await?;
            Ok::<_, ClientError>(names(&list))
        };
        self.operations.get_or_try_init(ask).await.map(Vec::as_slice).unwrap_or_default()
    }
}

fn names(list: &Value) -> Vec<String> {
    let services = list.get("services").and_then(Value::as_array).into_iter().flatten();
    let names = services.filter_map(|service| service.get("name")?.as_str()?.strip_prefix('/'));
    names.map(str::to_owned).collect()
}

impl ConnectionWatcher for Peers {
    fn connected(&self, client: CallClient, auth: &AuthContext) -> Box<dyn Send + Sync> {
        match auth.identity() {
            Some(identity) => Box::new(self.enter(identity.id.clone(), client)),
            None => Box::new(()),
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
