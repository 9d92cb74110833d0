//! What every side can be asked for, and how it is asked.

use std::time::{Duration, Instant};

use alknet_core::BoxFuture;
use futures_util::future::{FutureExt as _, join_all};

use crate::note::Note;

/// One connection to a server. What is wrong with an answer is a panic: there is nothing to be measured then.
pub(crate) trait Caller: Clone + Send + Sync + 'static {
    /// Has a note sent back.
    fn echo(&self, note: &Note) -> impl Future<Output = ()> + Send;

    /// Makes a call that is never answered.
    fn hang(&self, note: &Note) -> impl Future<Output = ()> + Send;

    /// How many calls the server has that are never answered.
    fn hanging(&self) -> impl Future<Output = u64> + Send;

    /// Reads a stream of so many events to its end, or says why there is none.
    fn events(&self, count: u64) -> impl Future<Output = Result<(), String>> + Send;
}

/// What a number of calls took.
pub(crate) struct Calls {
    pub(crate) time: Duration,
    /// Of each, in order of size.
    pub(crate) latencies: Vec<Duration>,
}

/// What is asked of a side, without its type. The futures are to be spawned: the threads of the runtime do the work then,
/// and not the one that waits for them.
pub(crate) trait Asked: Send + Sync {
    /// Makes `count` calls from `in_flight` tasks, each of which waits for an answer before it calls again.
    fn calls(&self, note: Note, in_flight: usize, count: usize) -> BoxFuture<'static, Calls>;

    /// Reads so many events.
    fn events(&self, count: u64) -> BoxFuture<'static, Result<Duration, String>>;

    /// Starts calls that are never answered and waits until the server has them all.
    fn hang(&self, note: Note, count: u64) -> BoxFuture<'static, ()>;
}

/// How many calls are sent before the server is asked whether it has them: a burst of all would leave buffers behind that
/// have the size of the burst.
const WAVE: u64 = 50;

impl<C: Caller> Asked for C {
    fn calls(&self, note: Note, in_flight: usize, count: usize) -> BoxFuture<'static, Calls> {
        let caller = self.clone();
        async move {
            let each = count / in_flight;
            let begin = Instant::now();
            let tasks = (0..in_flight).map(|_| tokio::spawn(calls_in_a_row(caller.clone(), note.clone(), each)));
            let done = join_all(tasks).await;
            let time = begin.elapsed();
            let mut latencies: Vec<_> = done.into_iter().flat_map(Result::unwrap).collect();
            latencies.sort_unstable();
            Calls { time, latencies }
        }
        .boxed()
    }

    fn events(&self, count: u64) -> BoxFuture<'static, Result<Duration, String>> {
        let caller = self.clone();
        async move {
            let begin = Instant::now();
            caller.events(count).await?;
            Ok(begin.elapsed())
        }
        .boxed()
    }

    fn hang(&self, note: Note, count: u64) -> BoxFuture<'static, ()> {
        let caller = self.clone();
        async move {
            for sent in (WAVE..=count).step_by(WAVE as usize) {
                for _ in 0..WAVE {
                    let (caller, note) = (caller.clone(), note.clone());
                    tokio::spawn(async move { caller.hang(&note).await });
                }
                while caller.hanging().await < sent {
                    tokio::task::yield_now().await;
                }
            }
        }
        .boxed()
    }
}

async fn calls_in_a_row(caller: impl Caller, note: Note, count: usize) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(count);
    for _ in 0..count {
        let begin = Instant::now();
        caller.echo(&note).await;
        latencies.push(begin.elapsed());
    }
    latencies
}
