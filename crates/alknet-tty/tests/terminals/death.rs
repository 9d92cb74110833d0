//! What is left when a terminal ends: nothing.

use std::sync::Arc;

use alknet_core::{Identity, OwnershipProvider, OwnershipStore};
use alknet_tty::{AttachOptions, ExitStatus, KIND, Signal};

use crate::common::{Host, eventually, is_not_there, process, session, within};

fn hung_up() -> ExitStatus {
    ExitStatus::Signal("HUP".parse().unwrap())
}

#[tokio::test]
async fn the_background_jobs_of_a_shell_end_with_it() {
    let host = Host::new();
    let (info, mut screen) = host.shell().await;
    host.write(&info.id, "sleep 1000 & disown; nohup sleep 1001 >/dev/null 2>&1 & sleep 1002 &\n").await;
    host.write(&info.id, "(trap '' HUP TERM; exec sleep 1003) & sh -c 'kill -STOP $$' &\n").await;
    screen.until("[3]").await;
    eventually("all of them run", || session(info.pid).len() == 6).await;
    host.write(&info.id, "exit\nexit\n").await;
    // The first exit of a shell with stopped jobs is a warning.
    while screen.exit.is_none() {
        screen.step().await;
    }
    assert_eq!(session(info.pid), [], "these live on");
    host.revoked(&info.id).await;
}

#[tokio::test]
async fn what_holds_the_terminal_open_does_not_hold_up_its_end() {
    let host = Host::new();
    let (info, screen) = host.sh("sleep 1000 & (trap '' HUP; sleep 1001) & echo last").await;
    assert_eq!(screen.end().await, ("last\r\n".into(), ExitStatus::Code(0)));
    assert_eq!(session(info.pid), []);
    // A daemon has a session of its own: it has left the terminal, and even so holds nothing up.
    let (_, mut screen) = host.sh("setsid sh -c 'echo pid $$; exec sleep 1002' & sleep 1000 & wait $!").await;
    screen.until("pid ").await;
    let daemon: i32 = screen.until("\r\n").await.trim().parse().unwrap();
    within(host.terminals.kill(screen.attachment.id())).await.unwrap();
    assert_eq!(screen.end().await.1, hung_up());
    assert_ne!(process(daemon as u32).unwrap().state, "Z");
    let daemon = rustix::process::Pid::from_raw(daemon).unwrap();
    rustix::process::kill_process(daemon, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_kill_ends_even_what_does_not_want_to() {
    let host = Host::new();
    let (info, mut screen) = host.sh("trap '' HUP TERM INT QUIT; echo ready; while :; do sleep 0.1; done").await;
    screen.until("ready\r\n").await;
    within(host.terminals.kill(&info.id)).await.unwrap();
    assert_eq!(session(info.pid), []);
    assert_eq!(screen.end().await.1, ExitStatus::Signal("KILL".parse().unwrap()));
}

#[tokio::test]
async fn what_always_starts_itself_anew_is_caught() {
    let host = Host::new();
    let (info, screen) = host.sh("trap '' HUP; f() { sleep 0.001; f & }; f; f; f; echo ready").await;
    assert_eq!(screen.end().await.0, "ready\r\n");
    // Each of them lives so shortly that one look may miss it.
    assert!((0..50).all(|_| session(info.pid).is_empty()));
}

#[tokio::test]
async fn a_stopped_program_is_killed_too() {
    let host = Host::new();
    let (info, screen) = host.sh("kill -STOP $$").await;
    eventually("it is stopped", || process(info.pid).unwrap().state == "T").await;
    within(host.terminals.kill(&info.id)).await.unwrap();
    assert_eq!(screen.end().await.1, hung_up());
}

#[tokio::test]
async fn after_a_kill_the_terminal_is_as_if_it_had_never_been() {
    let host = Host::new();
    let (info, screen) = host.sh("cat").await;
    let alice = Identity { id: "alice".into(), scopes: vec![], resources: Default::default() };
    assert!(host.store.owns(&alice, KIND, &info.id, "write"));
    let (first, second) = tokio::join!(host.terminals.kill(&info.id), host.terminals.kill(&info.id));
    assert!(first.is_ok() && second.is_ok());
    assert!(!host.store.owns(&alice, KIND, &info.id, "write"));
    assert!(host.terminals.list().is_empty());
    let interrupt: Signal = "INT".parse().unwrap();
    for id in [&*info.id, "t-aaaaaaaaaaaaaaaa"] {
        assert_eq!(host.terminals.get(id).unwrap_err().to_string(), format!("there is no terminal {id:?}"));
        assert!(is_not_there(host.terminals.kill(id).await));
        assert!(is_not_there(host.terminals.write(id, b"x").await));
        assert!(is_not_there(host.terminals.resize(id, 24, 80)));
        assert!(is_not_there(host.terminals.signal(id, interrupt).await));
        assert!(is_not_there(host.terminals.attach(id, AttachOptions::default())));
    }
    assert_eq!(screen.end().await.1, hung_up());
}

#[tokio::test]
async fn an_exit_is_revoked_without_anybody_looking() {
    let host = Host::new();
    let (info, screen) = host.sh("read -r go").await;
    let revocation = host.store.revocation(KIND, &info.id);
    host.write(&info.id, "\n").await;
    within(revocation.cancelled()).await;
    assert!(is_not_there(host.terminals.get(&info.id)));
    // What was there to see still is.
    assert_eq!(screen.end().await, ("\r\n".into(), ExitStatus::Code(0)));
}

#[tokio::test]
async fn a_shutdown_ends_all_terminals_and_starts_no_more() {
    let host = Host::new();
    let mut screens = Vec::new();
    for script in ["cat", "trap '' HUP; sleep 1000", "exec yes", "sleep 1000 & sleep 1000"] {
        screens.push(host.sh(script).await);
    }
    assert_eq!(within(host.terminals.shutdown()).await, 0);
    assert!(host.terminals.list().is_empty() && host.store.watch(None).snapshot.is_empty());
    assert!(screens.iter().all(|(info, _)| session(info.pid).is_empty()));
    let refused = host.terminals.spawn(crate::common::script_of("cat")).await.unwrap_err();
    assert!(refused.to_string().contains("shutting down"));
}

#[tokio::test]
async fn terminals_end_when_their_manager_is_dropped() {
    let host = Host::new();
    let (info, screen) = host.sh("cat").await;
    let clone = host.terminals.clone();
    let store = Arc::clone(&host.store);
    drop(host);
    assert!(clone.get(&info.id).is_ok());
    drop(clone);
    assert_eq!(screen.end().await.1, hung_up());
    eventually("the record is revoked", || store.watch(None).snapshot.is_empty()).await;
    assert_eq!(session(info.pid), []);
}
