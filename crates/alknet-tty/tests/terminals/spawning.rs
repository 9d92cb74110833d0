//! The record of a terminal, and spawners that give up.

use std::sync::Arc;

use alknet_core::{
    BoxFuture, Identity, MemoryOwnership, OwnershipError, OwnershipEvent, OwnershipProvider, OwnershipRecord,
    OwnershipStore, OwnershipWatch,
};
use alknet_tty::{KIND, SpawnRequest, Terminals, TtyConfig, TtyError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::common::{Host, config, eventually, next_event, processes, script_of, within};

#[tokio::test]
async fn the_shortest_life_is_recorded_and_then_revoked() {
    let host = Host::with(TtyConfig { commands: vec!["/bin/true".into()], ..config() });
    let mut watch = host.store.watch(None);
    for _ in 0..30 {
        let claim = Some(Arc::from(r#"{"id":"carol"}"#));
        let info = host.terminals.spawn(SpawnRequest { claim, ..SpawnRequest::of("alice") }).await.unwrap();
        let OwnershipEvent::Recorded(recorded) = next_event(&mut watch).await else { panic!() };
        let OwnershipEvent::Revoked(revoked) = next_event(&mut watch).await else { panic!() };
        assert_eq!((&recorded, &*recorded.id, &*recorded.kind), (&revoked, &*info.id, KIND));
        assert_eq!((&*recorded.owner, recorded.claim.as_deref()), ("alice", Some(r#"{"id":"carol"}"#)));
    }
    assert!(host.terminals.list().is_empty());
}

#[tokio::test]
async fn a_spawner_that_gives_up_while_it_is_recorded_leaves_nothing() {
    let store = Arc::new(Gate::closed());
    let terminals = Terminals::new(config(), store.clone());
    let spawn = terminals.spawn(script_of("exec sleep 2001"));
    tokio::select! {
        biased;
        result = spawn => panic!("{result:?}"),
        () = within(store.asked.cancelled()) => {}
    }
    assert!(terminals.list().is_empty(), "it is known before it is recorded");
    store.open.add_permits(1);
    eventually("its process is gone", || !runs("sleep 2001")).await;
    eventually("its record is gone", || store.memory.watch(None).snapshot.is_empty()).await;
    assert_eq!(within(terminals.shutdown()).await, 0);
}

#[tokio::test]
async fn a_spawner_that_gives_up_before_it_hears_of_its_terminal_leaves_nothing() {
    let host = Host::new();
    let mut watch = host.store.watch(None);
    let mut spawn = Box::pin(host.terminals.spawn(script_of("exec sleep 2002")));
    // Polled once, so that it begins, and not again.
    std::future::poll_fn(|context| {
        assert!(spawn.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    let OwnershipEvent::Recorded(recorded) = next_event(&mut watch).await else { panic!() };
    eventually("the terminal is there", || host.terminals.get(&recorded.id).is_ok()).await;
    drop(spawn);
    assert_eq!(next_event(&mut watch).await, OwnershipEvent::Revoked(recorded));
    assert!(!runs("sleep 2002") && host.terminals.list().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spawner_may_give_up_at_any_time() {
    let host = Host::new();
    for round in 0..60u64 {
        let patience = std::time::Duration::from_micros(round * 50);
        // Some are there in time: they end when they are told to.
        let _ = tokio::time::timeout(patience, host.terminals.spawn(script_of("exec sleep 2003"))).await;
        for info in host.terminals.list() {
            let _ = within(host.terminals.kill(&info.id)).await;
        }
    }
    assert_eq!(within(host.terminals.shutdown()).await, 0);
    assert!(host.store.watch(None).snapshot.is_empty() && !runs("sleep 2003"));
}

#[tokio::test]
async fn a_terminal_that_cannot_be_recorded_is_not_started() {
    let terminals = Terminals::new(config(), Arc::new(Gate::broken()));
    let refused = within(terminals.spawn(script_of("exec sleep 2004"))).await.unwrap_err();
    assert!(matches!(refused, TtyError::NotRecorded(OwnershipError::Taken { .. })), "{refused}");
    assert!(!runs("sleep 2004") && terminals.list().is_empty());
}

#[tokio::test]
async fn a_kill_reaches_a_terminal_that_is_about_to_be_recorded() {
    let store = Arc::new(Gate::closed());
    let terminals = Terminals::new(config(), store.clone());
    let spawner = tokio::spawn({
        let terminals = terminals.clone();
        async move { terminals.spawn(script_of("exec sleep 2005")).await }
    });
    within(store.asked.cancelled()).await;
    let (left, ()) = tokio::join!(within(terminals.shutdown()), async { store.open.add_permits(1) });
    assert_eq!(left, 0);
    assert!(!runs("sleep 2005") && store.memory.watch(None).snapshot.is_empty());
    // Its spawner may hear of it, but it is gone.
    if let Ok(info) = within(spawner).await.unwrap() {
        assert!(terminals.get(&info.id).is_err());
    }
}

fn runs(command: &str) -> bool {
    processes().any(|process| process.command.contains(command))
}

/// A store that takes its time, or refuses.
struct Gate {
    memory: MemoryOwnership,
    asked: CancellationToken,
    open: Semaphore,
    is_broken: bool,
}

impl Gate {
    fn closed() -> Self {
        let (memory, asked) = (MemoryOwnership::default(), CancellationToken::new());
        Self { memory, asked, open: Semaphore::new(0), is_broken: false }
    }

    fn broken() -> Self {
        Self { is_broken: true, ..Self::closed() }
    }
}

impl OwnershipProvider for Gate {
    fn owns(&self, identity: &Identity, kind: &str, id: &str, action: &str) -> bool {
        self.memory.owns(identity, kind, id, action)
    }

    fn owns_any(&self, identity: &Identity, kind: &str) -> bool {
        self.memory.owns_any(identity, kind)
    }

    fn owned_resources(&self, identity: &Identity, kind: Option<&str>) -> Vec<Arc<OwnershipRecord>> {
        self.memory.owned_resources(identity, kind)
    }

    fn revocation(&self, kind: &str, id: &str) -> CancellationToken {
        self.memory.revocation(kind, id)
    }
}

impl OwnershipStore for Gate {
    fn record(&self, record: OwnershipRecord) -> BoxFuture<'_, Result<(), OwnershipError>> {
        Box::pin(async move {
            if self.is_broken {
                return Err(OwnershipError::Taken { kind: record.kind, id: record.id });
            }
            self.asked.cancel();
            self.open.acquire().await.unwrap().forget();
            self.memory.record(record).await
        })
    }

    fn revoke<'a>(&'a self, kind: &'a str, id: &'a str) -> BoxFuture<'a, Option<Arc<OwnershipRecord>>> {
        self.memory.revoke(kind, id)
    }

    fn watch(&self, owner: Option<&str>) -> OwnershipWatch {
        self.memory.watch(owner)
    }
}
