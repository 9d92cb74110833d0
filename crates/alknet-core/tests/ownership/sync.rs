//! What the index takes from its surroundings, as the checker wants it: wherever threads can see what others do, it may
//! go on with another one.

use shuttle::sync::atomic::{AtomicBool, Ordering};

pub(crate) use std::sync::PoisonError;

pub(crate) use shuttle::sync::{Mutex, MutexGuard, RwLock};

/// Lets the checker go on with another thread.
fn point() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}

#[derive(Clone, Default)]
pub(crate) struct CancellationToken(tokio_util::sync::CancellationToken);

impl CancellationToken {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn cancel(&self) {
        point();
        self.0.cancel();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        point();
        self.0.is_cancelled()
    }
}

pub(crate) mod broadcast {
    use tokio::sync::broadcast;
    pub(crate) use tokio::sync::broadcast::Receiver;
    use tokio::sync::broadcast::error::SendError;

    use super::point;

    pub(crate) struct Sender<T>(broadcast::Sender<T>);

    impl<T: Clone> Sender<T> {
        pub(crate) fn new(backlog: usize) -> Self {
            Self(broadcast::Sender::new(backlog))
        }

        pub(crate) fn send(&self, event: T) -> Result<usize, SendError<T>> {
            point();
            self.0.send(event)
        }

        pub(crate) fn subscribe(&self) -> Receiver<T> {
            point();
            self.0.subscribe()
        }

        pub(crate) fn receiver_count(&self) -> usize {
            point();
            self.0.receiver_count()
        }
    }
}
