//! What the threads that use the index share. The interleaving tests put a model checker's in its place.

pub(super) use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

pub(super) use tokio::sync::broadcast;
pub(super) use tokio_util::sync::CancellationToken;
