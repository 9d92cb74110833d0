//! The life of a link: taking streams in, keeping time, asking again who may, and ending.

use std::sync::Arc;

use alknet_core::ConnectionError;
use tokio_util::sync::CancellationToken;

use super::work::Work;
use super::{Link, lost_connection, now};
use crate::{CallError, ClientError, ErrorCode};

impl Link {
    /// Serves the connection until it ends, or until nothing is left to do while it drains. `opens` says that this side
    /// takes the first stream, as the side does that has dialed.
    ///
    /// # Errors
    /// When the connection ends otherwise than in order.
    pub(crate) async fn run(self: Arc<Self>, opens: bool) -> Result<(), ConnectionError> {
        // Whoever drops this future ends the link.
        let _cut = CutOnDrop(&self);
        let result = tokio::select! {
            result = self.streams(opens) => result,
            reason = self.connection.closed() => Err(reason),
            never = self.keep_time() => match never {},
            never = self.watch_identities() => match never {},
        };
        match result {
            Ok(()) => Ok(()),
            Err(reason) => {
                self.cut(lost_connection(reason.clone()));
                if reason.is_orderly() { Ok(()) } else { Err(reason) }
            }
        }
    }

    /// As [`run`](Self::run) for who has dialed, until nobody calls any more.
    pub(crate) async fn run_until(self: Arc<Self>, dropped: CancellationToken) {
        let link = self.clone();
        let finish = async {
            dropped.cancelled().await;
            link.close_lanes();
            link.drivers.close();
            link.drivers.wait().await;
        };
        tokio::select! {
            // Whoever still waits is told the reason; nobody else asks.
            _ = self.run(true) => {}
            () = finish => {}
        }
    }

    /// Takes streams in until there are no more, or none are wanted, and those that there were have ended.
    async fn streams(self: &Arc<Self>, opens: bool) -> Result<(), ConnectionError> {
        if opens {
            self.open_first().await?;
        }
        loop {
            tokio::select! {
                stream = self.connection.accept_bi() => match stream {
                    Ok(stream) => drop(self.add_stream(stream)),
                    Err(ConnectionError::NoMoreStreams) => break self.opened().await,
                    Err(reason) => return Err(reason),
                },
                () = self.connection.draining() => break,
            }
        }
        self.drivers.close();
        tokio::select! {
            () = self.drivers.wait() => return Ok(()),
            () = self.connection.draining() => self.drain(),
        }
        self.drivers.wait().await;
        Ok(())
    }

    /// Takes nothing new and ends what would go on for ever. Calls have their time.
    fn drain(&self) {
        let mut state = self.state();
        state.machine.drain();
        let subscriptions: Vec<_> =
            state.machine.held().filter(|(_, work)| work.is_subscription()).map(|(id, _)| id.clone()).collect();
        let ended: Vec<_> =
            subscriptions.into_iter().filter_map(|id| state.machine.revoke(&id).map(|removed| (id, removed))).collect();
        let lanes: Vec<_> = state.streams.values().cloned().collect();
        drop(state);
        for (id, removed) in ended {
            let error = CallError::new(ErrorCode::Unavailable, "this node is shutting down");
            self.fail(&id, removed.stream, removed.held, error);
        }
        lanes.iter().for_each(|lane| lane.outbox.wake());
    }

    async fn keep_time(&self) -> std::convert::Infallible {
        loop {
            match self.expire(now()) {
                Some(deadline) => tokio::select! {
                    () = tokio::time::sleep_until(deadline.into()) => {}
                    () = self.earlier.notified() => {}
                },
                None => self.earlier.notified().await,
            }
        }
    }

    /// Ends the calls of those who may no longer make them. What begins later is checked as it begins.
    async fn watch_identities(&self) -> std::convert::Infallible {
        if let Some(service) = &self.service {
            let mut changes = service.identity_changes();
            while changes.changed().await.is_ok() {
                self.check_again();
            }
        }
        std::future::pending().await
    }

    fn check_again(&self) {
        let Some(service) = &self.service else { return };
        let mut state = self.state();
        let refused: Vec<_> = state
            .machine
            .held()
            .filter_map(|(id, work)| match work {
                Work::Running(running) => {
                    let refusal = service.still_allows(&running.grant, running.token.as_ref()).err()?;
                    Some((id.clone(), refusal))
                }
                Work::Waiting(_) => None,
            })
            .collect();
        let ended: Vec<_> = refused
            .into_iter()
            .filter_map(|(id, refusal)| state.machine.revoke(&id).map(|removed| (id, removed, refusal)))
            .collect();
        drop(state);
        for (id, removed, refusal) in ended {
            self.fail(&id, removed.stream, removed.held, refusal);
        }
    }
}

struct CutOnDrop<'a>(&'a Link);

impl Drop for CutOnDrop<'_> {
    fn drop(&mut self) {
        self.0.cut(ClientError::Connection(ConnectionError::LocallyClosed));
    }
}
