//! Counts what this process holds, so it has to be alone in it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use alknet_core::{MemoryOwnership, OwnershipStore};
use alknet_tty::{SpawnRequest, Terminals, TtyConfig, TtyError};
use tokio::runtime::Handle;
use tokio::time::timeout;

const SCRIPTS: [&str; 6] = [
    "exec cat",
    "exit 3",
    "exec yes",
    "sleep 1000 & sleep 1001 & wait",
    "(trap '' HUP; sleep 1002) & exec true",
    "stty raw; exec sleep 1003",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_terminals_that_are_killed_at_any_time_leave_nothing() {
    let store = Arc::new(MemoryOwnership::default());
    let config = TtyConfig { commands: vec!["/bin/sh".into()], max_terminals_per_owner: 64, ..TtyConfig::default() };
    let terminals = Terminals::new(config, store.clone());
    // The runtime keeps what it needs for processes and signals from the first one on.
    use_up(terminals.clone(), 1).await;
    settle().await;
    let descriptors = descriptors();

    let users: Vec<_> = (0..50).map(|number| tokio::spawn(use_up(terminals.clone(), number))).collect();
    let mut sessions = Vec::new();
    for user in users {
        sessions.push(timeout(Duration::from_secs(120), user).await.expect("this hangs").unwrap().to_string());
    }
    settle().await;
    assert!(store.watch(None).snapshot.is_empty() && terminals.list().is_empty());
    let of_a_session = |fields: &[&str]| sessions.iter().any(|session| fields[3] == session) && fields[0] != "Z";
    assert_eq!(processes(of_a_session), Vec::<String>::new());
    // Not even one that has ended and is not reaped.
    let own = std::process::id().to_string();
    assert_eq!(processes(|fields| fields[1] == own), Vec::<String>::new());
    assert_eq!(self::descriptors(), descriptors);
}

/// Spawns a terminal, uses it, and kills it after a while that is different for each. Gives the id of its session.
async fn use_up(terminals: Terminals, number: usize) -> u32 {
    let script = SCRIPTS[number % SCRIPTS.len()];
    let request = SpawnRequest { args: vec!["-c".into(), script.into()], ..SpawnRequest::of("alice") };
    let (info, mut attachment) = terminals.spawn_attached(request).await.unwrap();
    let second = terminals.attach(&info.id, Default::default());
    let writes = async {
        while terminals.write(&info.id, &[b'x'; 4000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let reads = async {
        for _ in 0..number {
            attachment.next().await;
        }
    };
    let patience = Duration::from_millis((number as u64 * 37) % 200);
    let _ = timeout(patience, async { tokio::join!(writes, reads) }).await;
    let killed = terminals.kill(&info.id).await;
    assert!(matches!(killed, Ok(()) | Err(TtyError::NotThere(_))), "{killed:?}");
    drop(second);
    info.pid
}

/// Waits until no task is alive: what it had is then dropped.
async fn settle() {
    for _ in 0..6000 {
        if Handle::current().metrics().num_alive_tasks() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("tasks do not end");
}

fn descriptors() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let mut targets: Vec<String> =
        entries.filter_map(|path| Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())).collect();
    targets.retain(|target| !target.starts_with("/proc/"));
    targets.sort();
    targets
}

/// The processes that are wanted by their state, parent, group and session (proc_pid_stat(5)).
fn processes(is_wanted: impl Fn(&[&str]) -> bool) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("stat"));
    let stats = entries.filter_map(|path| fs::read_to_string(path).ok());
    let is_wanted = |stat: &String| {
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>());
        fields.is_some_and(|fields| is_wanted(&fields))
    };
    stats.filter(is_wanted).collect()
}
