//! On which stream a call of ours goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alknet_core::{BiStream, ConnectionError};
use futures_util::FutureExt as _;
use tokio::sync::{Notify, Semaphore};

use super::outbox::Outbox;
use super::{Link, lost_connection};
use crate::ClientError;
use crate::proto::StreamId;

/// How many streams calls share where the connection can have several: enough that a large answer does not keep all others
/// waiting, few enough that calls which come together travel together.
const MAX_SHARED: usize = 4;

/// A stream, as those who send on it see it.
pub(crate) struct Lane {
    pub(crate) id: StreamId,
    pub(crate) outbox: Outbox,
    /// As many calls of ours at the same time as the peer is likely to run.
    pub(crate) slots: Semaphore,
}

#[derive(Default)]
pub(super) struct Lanes {
    shared: Mutex<Shared>,
    opening: tokio::sync::Mutex<()>,
    /// A stream has come.
    pub(super) added: Notify,
}

#[derive(Default)]
struct Shared {
    lanes: Vec<Arc<Lane>>,
    /// The connection has told that it is one stream.
    is_single: bool,
}

impl Link {
    /// A stream for a call that has one answer.
    pub(crate) async fn lane(self: &Arc<Self>) -> Result<Arc<Lane>, ClientError> {
        if let Some(lane) = self.lanes.best(self.limits.concurrent_calls()) {
            return Ok(lane);
        }
        let Ok(_turn) = self.lanes.opening.try_lock() else {
            if let Some(lane) = self.lanes.any() {
                return Ok(lane);
            }
            let _turn = self.lanes.opening.lock().await;
            return match self.lanes.any() {
                Some(lane) => Ok(lane),
                None => self.open_shared().await,
            };
        };
        match self.lanes.any() {
            // What there is will do if the peer allows no more streams at this moment.
            Some(lane) => self.open_shared().now_or_never().unwrap_or(Ok(lane)),
            None => self.open_shared().await,
        }
    }

    /// A stream for a call that has many answers: its own, where the connection can have several.
    pub(crate) async fn own_lane(self: &Arc<Self>) -> Result<(Arc<Lane>, bool), ClientError> {
        // Only asking for a second stream tells whether there is more than one; the first is for all.
        let shared = self.lane().await?;
        if self.lanes.shared().is_single {
            return Ok((shared, false));
        }
        match self.connection.open_bi().await {
            Ok(stream) => Ok((self.add_stream(stream), true)),
            Err(ConnectionError::SingleStream { .. }) => Ok((self.single_lane().await?, false)),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn open_shared(self: &Arc<Self>) -> Result<Arc<Lane>, ClientError> {
        match self.connection.open_bi().await {
            Ok(stream) => {
                let lane = self.add_stream(stream);
                self.lanes.shared().lanes.push(lane.clone());
                Ok(lane)
            }
            Err(ConnectionError::SingleStream { .. }) => self.single_lane().await,
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The one stream of a connection that has one, whoever took it.
    async fn single_lane(self: &Arc<Self>) -> Result<Arc<Lane>, ClientError> {
        loop {
            let added = self.lanes.added.notified();
            if let Some(end) = self.end() {
                return Err(end);
            }
            let lane = self.state().streams.values().next().cloned();
            if let Some(lane) = lane {
                let mut shared = self.lanes.shared();
                if !std::mem::replace(&mut shared.is_single, true) || shared.lanes.is_empty() {
                    shared.lanes = vec![lane.clone()];
                }
                return Ok(lane);
            }
            if self.drivers.is_closed() {
                return Err(ClientError::Unanswered);
            }
            added.await;
        }
    }

    /// Opens the first stream. Where it is the only one, the peer's calls come on it, too.
    pub(super) async fn open_first(self: &Arc<Self>) -> Result<(), ConnectionError> {
        let _turn = self.lanes.opening.lock().await;
        if self.lanes.any().is_none() {
            let lane = self.add_stream(self.connection.open_bi().await?);
            self.lanes.shared().lanes.push(lane);
        }
        Ok(())
    }

    /// Waits for whoever is about to open the one stream of a connection: that there is none to accept may be because they
    /// have it, and its driver has not started yet. Who waits for a stream in vain is told that none will come.
    pub(super) async fn opened(&self) {
        self.drivers.close();
        self.lanes.added.notify_waiters();
        let _turn = self.lanes.opening.lock().await;
    }

    /// Takes a stream in and starts its driver.
    pub(super) fn add_stream(self: &Arc<Self>, stream: BiStream) -> Arc<Lane> {
        let id = self.next_stream.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let slots = Semaphore::new(self.limits.concurrent_calls());
        let lane = Arc::new(Lane { id, outbox: Outbox::default(), slots });
        let mut state = self.state();
        match self.end.get() {
            None => drop(state.streams.insert(id, lane.clone())),
            // Its driver is to find that there is nothing to do.
            Some(_) => lane.outbox.close(),
        }
        drop(state);
        self.drivers.spawn(super::driver::drive(self.clone(), lane.clone(), stream));
        self.lanes.added.notify_waiters();
        lane
    }

    pub(super) fn forget_lane(&self, lane: &Lane) {
        self.lanes.shared().lanes.retain(|other| other.id != lane.id);
    }

    /// Ends the streams that calls share, each when it is done.
    pub(super) fn close_lanes(&self) {
        self.state().streams.values().for_each(|lane| lane.outbox.close());
    }

    fn failed(&self, error: ConnectionError) -> ClientError {
        self.end().unwrap_or_else(|| lost_connection(error))
    }
}

impl Lanes {
    /// A stream that rests, or the one that has the most room if there are to be no more.
    fn best(&self, slots: usize) -> Option<Arc<Lane>> {
        let shared = self.shared();
        let best = shared.lanes.iter().max_by_key(|lane| lane.slots.available_permits())?;
        let rests = best.slots.available_permits() == slots;
        (rests || shared.is_single || shared.lanes.len() >= MAX_SHARED).then(|| best.clone())
    }

    /// The stream that has the most room.
    fn any(&self) -> Option<Arc<Lane>> {
        self.shared().lanes.iter().max_by_key(|lane| lane.slots.available_permits()).cloned()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
