//! Staying connected.

use std::sync::Arc;
use std::time::Duration;

use alknet_core::{BoxFuture, HandlerError};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::{CallClient, CallOptions, ClientError, Subscription};

/// A connection, and the future that serves it, as [`CallHandler::serve`](crate::CallHandler::serve) gives them.
pub type Connected = (CallClient, BoxFuture<'static, Result<(), HandlerError>>);

/// How long one attempt may take. An attempt has limits of its own; this one is for those that forget it.
const ATTEMPT: Duration = Duration::from_secs(60);

/// How long to wait before the next attempt: twice as long each time, and a random part of that, so that a hub which
/// comes back is not met by all its spokes at once. A connection that has lasted for the longest wait begins anew.
#[derive(Debug, Clone)]
pub struct Backoff {
    /// The most that the first wait takes.
    pub first: Duration,
    /// The most that any wait takes.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(200), longest: Duration::from_secs(15) }
    }
}

impl Backoff {
    /// The wait after so many attempts have failed in a row, apart from the first.
    pub fn after(&self, failures: u32) -> Duration {
        self.wait(failures, random())
    }

    /// The wait after so many attempts have failed in a row, for a random number below one.
    fn wait(&self, failures: u32, random: f64) -> Duration {
        let most = self.first.saturating_mul(2u32.saturating_pow(failures.min(16))).min(self.longest);
        // At least half of it: an attempt that follows at once meets the same trouble.
        most.mul_f64(0.5 + random / 2.0)
    }
}

/// A client that connects again whenever its connection has ended. Cheap to clone; the last clone ends it.
///
/// A call that runs when the connection is lost fails: whether it ran is not known, and whether to make it again is not for
/// the client to say. While there is no connection calls fail at once with [`ClientError::NotConnected`].
#[derive(Clone)]
pub struct ReconnectingClient {
    name: Arc<str>,
    current: watch::Receiver<Option<CallClient>>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl ReconnectingClient {
    /// Stays connected to `name`, which stands in errors and in the log, by means of `connect`, which is called whenever a
    /// connection is needed, and given up after a minute. Needs a Tokio runtime.
    pub fn new<C, E>(name: impl Into<Arc<str>>, backoff: Backoff, connect: C) -> Self
    where
        C: Fn() -> BoxFuture<'static, Result<Connected, E>> + Send + Sync + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let name = name.into();
        let (sender, current) = watch::channel(None);
        let task = tokio::spawn(stay_connected(name.clone(), backoff, connect, sender));
        Self { name, current, _task: Arc::new(AbortOnDropHandle::new(task)) }
    }

    /// The client of the connection that there is.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`].
    pub fn current(&self) -> Result<CallClient, ClientError> {
        let client = self.current.borrow().clone().filter(|client| !client.is_closed());
        client.ok_or_else(|| ClientError::NotConnected { peer: format!("the peer \"{}\"", self.name) })
    }

    /// Waits until there is a connection, and gives its client.
    ///
    /// # Errors
    /// [`ClientError::NotConnected`] when there is none within `patience`.
    pub async fn connected(&self, patience: Duration) -> Result<CallClient, ClientError> {
        let mut current = self.current.clone();
        let wait = current.wait_for(|client| client.as_ref().is_some_and(|client| !client.is_closed()));
        // What it gives holds a lock; whoever waited asks again.
        let _ = tokio::time::timeout(patience, wait).await.map(drop);
        self.current()
    }

    /// Calls an operation over the connection that there is.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn call(&self, operation: &str, input: &impl Serialize) -> Result<Value, ClientError> {
        self.current()?.call(operation, input).await
    }

    /// As [`call`](Self::call), with options.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn call_with(
        &self,
        operation: &str,
        input: &impl Serialize,
        options: CallOptions,
    ) -> Result<Value, ClientError> {
        self.current()?.call_with(operation, input, options).await
    }

    /// Subscribes over the connection that there is. The subscription ends with it.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn subscribe(&self, operation: &str, input: &impl Serialize) -> Result<Subscription, ClientError> {
        self.current()?.subscribe(operation, input).await
    }

    /// As [`subscribe`](Self::subscribe), with options.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn subscribe_with(
        &self,
        operation: &str,
        input: &impl Serialize,
        options: CallOptions,
    ) -> Result<Subscription, ClientError> {
        self.current()?.subscribe_with(operation, input, options).await
    }
}

async fn stay_connected<C, E>(name: Arc<str>, backoff: Backoff, connect: C, current: watch::Sender<Option<CallClient>>)
where
    C: Fn() -> BoxFuture<'static, Result<Connected, E>> + Send + Sync + 'static,
    E: std::fmt::Display + Send + 'static,
{
    let mut failures = 0;
    // Once is enough for the log: a peer may be away for days.
    let mut told = false;
    loop {
        match tokio::time::timeout(ATTEMPT, connect()).await {
            Ok(Ok((client, serving))) => {
                tracing::info!(peer = &*name, transport = client.connection().transport_name(), "connected");
                let start = Instant::now();
                current.send_replace(Some(client));
                let ended = serving.await;
                current.send_replace(None);
                match ended {
                    Ok(()) => tracing::info!(peer = &*name, "the peer has ended the connection"),
                    Err(error) => tracing::info!(peer = &*name, %error, "the connection has ended"),
                }
                told = false;
                // A peer that takes a connection only to end it is as good as away.
                if start.elapsed() >= backoff.longest {
                    failures = 0;
                }
            }
            Ok(Err(error)) => not_connected(&name, &error, std::mem::replace(&mut told, true)),
            Err(late) => not_connected(&name, &late, std::mem::replace(&mut told, true)),
        }
        tokio::time::sleep(backoff.wait(failures, random())).await;
        failures = failures.saturating_add(1);
    }
}

fn not_connected(name: &str, error: &dyn std::fmt::Display, told: bool) {
    match told {
        false => tracing::info!(peer = name, %error, "not connected; trying on"),
        true => tracing::debug!(peer = name, %error, "still not connected"),
    }
}

/// A number from 0 to 1. It spreads attempts and keeps no secret.
fn random() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    f64::from(RandomState::new().hash_one(()) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_to_a_limit_and_is_never_the_same() {
        let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        let wait = |failures, random| backoff.wait(failures, random).as_millis();
        assert_eq!([wait(0, 0.0), wait(0, 1.0)], [50, 100]);
        assert_eq!([wait(2, 0.0), wait(2, 1.0)], [200, 400]);
        assert_eq!([wait(4, 1.0), wait(u32::MAX, 1.0)], [1000, 1000]);
        assert_ne!(random(), random());
    }
}
