//! Which peer a call goes to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::{Entry, Peers, newest};
use crate::{CallClient, CallOptions, ClientError, Subscription};

/// How long a peer may take to say what it serves. One that does not answer serves nothing for now.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what a peer says that it serves is taken for true. Operations come and go while a connection lasts, at a hub
/// above all.
const FRESH: Duration = Duration::from_secs(30);

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

impl Peers {
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

    /// The peer that a call goes to. Peers that have not said lately what they serve are asked, for up to 5 seconds; a
    /// [specific](PeerRef::Specific) one is not.
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
            PeerRef::RoundRobin => Some(self.turn(operation) % count),
            PeerRef::LeastLoaded => (0..count).min_by_key(|index| serving.get(*index).map(CallClient::pending)),
            PeerRef::Any | PeerRef::Specific(_) => Some(0),
        };
        chosen.map(|index| serving.swap_remove(index)).ok_or_else(|| none(format!("a peer that serves /{operation}")))
    }

    /// The clients of the peers that serve an operation to us, by id.
    async fn serving(&self, operation: &str) -> Vec<CallClient> {
        let entries: Vec<_> = self.connected().values().filter_map(|entries| newest(entries).cloned()).collect();
        let asked = entries.into_iter().map(|Entry { client, served, .. }| async move {
            let serves = served.serves(&client, operation).await;
            serves.then_some(client)
        });
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }

    /// A number that is one more each time for an operation. One for all of them would send two operations that are called
    /// in turns to the same peers for ever.
    fn turn(&self, operation: &str) -> usize {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        match turns.get_mut(operation) {
            Some(turn) => {
                *turn = turn.wrapping_add(1);
                *turn
            }
            None => *turns.entry(operation.into()).or_default(),
        }
    }
}

/// What the peer at the other end of a connection serves to us, as it has said last.
#[derive(Default)]
pub(super) struct Served {
    said: Mutex<Said>,
    /// Whoever asks has it, so that a peer is asked once for all that want to know.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Said {
    operations: HashSet<Box<str>>,
    /// None: it was never asked.
    until: Option<Instant>,
}

impl Served {
    pub(super) fn count(&self) -> usize {
        self.said().operations.len()
    }

    async fn serves(&self, client: &CallClient, operation: &str) -> bool {
        if !self.is_fresh() {
            let _turn = self.asking.lock().await;
            if !self.is_fresh() {
                self.ask(client).await;
            }
        }
        self.said().operations.contains(operation)
    }

    async fn ask(&self, client: &CallClient) {
        let options = CallOptions::new().timeout(PATIENCE);
        let list = client.call_with("services/list", &Value::Null, options).await;
        let mut said = self.said();
        match list {
            Ok(list) => *said = Said { operations: names(&list), until: Some(Instant::now() + FRESH) },
            // What it said before may still be so. Others need not wait for it again at once.
            Err(error) => {
                tracing::debug!(%error, "a peer does not say what it serves");
                said.until = Some(Instant::now() + PATIENCE);
            }
        }
    }

    fn is_fresh(&self) -> bool {
        self.said().until.is_some_and(|until| Instant::now() < until)
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names(list: &Value) -> HashSet<Box<str>> {
    let services = list.get("services").and_then(Value::as_array).into_iter().flatten();
    services.filter_map(|service| service.get("name")?.as_str()?.strip_prefix('/')).map(Into::into).collect()
}
