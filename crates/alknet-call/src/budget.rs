//! How much memory a connection may hold in frames that are still being read or wait for their call.

use std::sync::Arc;

use alknet_core::AuthContext;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Frames up to this length are free: streams and calls are limited in number already.
const FREE: usize = 64 * 1024;

/// The right to hold a frame. Dropping it gives the memory back.
#[derive(Default)]
pub(crate) struct Permit {
    _held: Option<OwnedSemaphorePermit>,
}

/// A number of bytes to share. A frame takes its whole length at once, so two half-read frames never wait for each other.
#[derive(Clone)]
pub(crate) struct Pool {
    bytes: Arc<Semaphore>,
    size: usize,
}

impl Pool {
    pub(crate) fn new(size: usize) -> Self {
        let size = size.min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(size)), size }
    }

    /// Waits for `length` bytes; none if the pool never has that many.
    async fn take(&self, length: usize) -> Option<Permit> {
        let count = u32::try_from(length).ok().filter(|_| length <= self.size)?;
        let held = self.bytes.clone().acquire_many_owned(count).await.ok()?;
        Some(Permit { _held: Some(held) })
    }
}

/// Where a connection's frames get their memory from: known peers have a pool each, all strangers of a node share one.
#[derive(Clone)]
pub(crate) struct Budget(Option<Shares>);

#[derive(Clone)]
struct Shares {
    auth: AuthContext,
    own: Pool,
    strangers: Pool,
}

impl Budget {
    pub(crate) fn new(auth: AuthContext, own: Pool, strangers: Pool) -> Self {
        Self(Some(Shares { auth, own, strangers }))
    }

    /// For a peer that sends only what was asked of it.
    pub(crate) fn unlimited() -> Self {
        Self(None)
    }

    /// Whether frames of this length are not counted.
    pub(crate) fn is_free(length: usize) -> bool {
        length <= FREE
    }

    /// Waits until a frame of `length` bytes may be held; none if it never may.
    pub(crate) async fn admit(&self, length: usize) -> Option<Permit> {
        match &self.0 {
            Some(shares) if !Self::is_free(length) => match shares.auth.identity() {
                Some(_) => shares.own.take(length).await,
                None => shares.strangers.take(length).await,
            },
            _ => Some(Permit::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{auth_of, nobody};
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    /// Whether it is admitted without waiting.
    fn at_once(budget: &Budget, length: usize) -> Option<Option<Permit>> {
        match pin!(budget.admit(length)).poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(permit) => Some(permit),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn strangers_share_and_known_peers_do_not() {
        let strangers = Pool::new(1_000_000);
        let stranger = || Budget::new(nobody(), Pool::new(2_000_000), strangers.clone());
        let (first, second) = (stranger(), stranger());
        let known = Budget::new(auth_of("alice", &[]), Pool::new(2_000_000), strangers.clone());
        let held = at_once(&first, 700_000).unwrap().unwrap();
        assert!(at_once(&second, 700_000).is_none(), "it has to wait");
        assert!(at_once(&second, FREE).is_some(), "a small frame does not");
        assert!(at_once(&known, 2_000_000).is_some());
        drop(held);
        assert!(at_once(&second, 700_000).is_some());
    }

    #[test]
    fn what_never_fits_is_not_waited_for() {
        let budget = Budget::new(nobody(), Pool::new(2_000_000), Pool::new(1_000_000));
        assert!(at_once(&budget, 1_000_001).unwrap().is_none());
    }
}
