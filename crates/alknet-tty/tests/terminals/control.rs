//! Sizes, signals and keys.

use alknet_tty::{ExitStatus, MAX_WRITE, SpawnRequest, TtyError};

use crate::common::{Host, PROMPT, Screen, eventually, is_not_there, process, script_of, session, within};

#[tokio::test]
async fn the_size_and_its_changes_reach_the_program() {
    let host = Host::new();
    let request = SpawnRequest {
        rows: 33,
        cols: 111,
        ..script_of("trap 'stty size' WINCH; stty size; while :; do read -r go; done")
    };
    let (info, attachment) = host.terminals.spawn_attached(request).await.unwrap();
    let mut screen = Screen::of(attachment);
    screen.until("33 111\r\n").await;
    host.terminals.resize(&info.id, 40, 132).unwrap();
    host.write(&info.id, "\n").await;
    screen.until("40 132\r\n").await;
    let now = host.terminals.get(&info.id).unwrap();
    assert_eq!((now.rows, now.cols), (40, 132));
    let refused = host.terminals.resize(&info.id, 40, 0).unwrap_err();
    assert!(matches!(refused, TtyError::BadSize { rows: 40, cols: 0 }));
}

#[tokio::test]
async fn a_signal_goes_to_what_runs_in_the_foreground() {
    let host = Host::new();
    let (info, mut screen) = host.shell().await;
    host.write(&info.id, "sh -c 'echo ru\"\"ns; exec sleep 1000'; echo ended with $?\n").await;
    screen.until("runs\r\n").await;
    within(host.terminals.signal(&info.id, "SIGTERM".parse().unwrap())).await.unwrap();
    screen.until("ended with 143\r\n").await;
    // The shell itself is in the foreground again.
    screen.until(PROMPT).await;
    within(host.terminals.signal(&info.id, "KILL".parse().unwrap())).await.unwrap();
    assert_eq!(screen.end().await.1, ExitStatus::Signal("KILL".parse().unwrap()));
}

#[tokio::test]
async fn signals_can_be_caught_and_stop_and_continue_a_program() {
    let host = Host::new();
    let (info, mut screen) =
        host.sh("trap 'echo usr1' USR1; echo ready; while :; do read -r go && echo got; done").await;
    screen.until("ready\r\n").await;
    let send = async |name: &str| within(host.terminals.signal(&info.id, name.parse().unwrap())).await.unwrap();
    let is_stopped = || process(info.pid).unwrap().state == "T";
    send("STOP").await;
    eventually("the program is stopped", is_stopped).await;
    send("CONT").await;
    eventually("the program goes on", || !is_stopped()).await;
    send("USR1").await;
    host.write(&info.id, "\n").await;
    screen.until("usr1\r\n").await;
}

#[tokio::test]
async fn the_keys_of_a_terminal_work() {
    let host = Host::new();
    let (info, mut screen) = host.shell().await;
    host.write(&info.id, "echo sl''eeps; sleep 1000\n").await;
    screen.until("sleeps\r\n").await;
    // It has the keyboard by then: the shell sees to that before the program is loaded.
    let runs = || session(info.pid).iter().any(|(_, command)| command.starts_with("sleep 1000"));
    eventually("the program runs", runs).await;
    host.write(&info.id, "\x03").await;
    screen.until(PROMPT).await;
    host.write(&info.id, "echo code $?\n").await;
    screen.until("code 130\r\n").await;
    // Before it prompts, the shell does not take this key as it is meant.
    screen.until(PROMPT).await;
    host.write(&info.id, "\x04").await;
    assert_eq!(screen.end().await.1, ExitStatus::Code(0));
}

#[tokio::test]
async fn how_a_program_ended_is_told() {
    let host = Host::new();
    let end = async |script: &str| host.sh(script).await.1.end().await.1;
    assert_eq!(end("exit 0").await, ExitStatus::Code(0));
    assert_eq!(end("exit 255").await, ExitStatus::Code(255));
    assert_eq!(end("kill -SEGV $$").await, ExitStatus::Signal("SEGV".parse().unwrap()));
}

#[tokio::test]
async fn a_write_waits_for_a_program_that_does_not_read() {
    let host = Host::new();
    let (info, mut screen) = host.sh("stty raw -echo; echo ready; read -r go </dev/null; sleep 1000").await;
    screen.until("ready").await;
    let (terminals, id) = (host.terminals.clone(), info.id.clone());
    let write = tokio::spawn(async move { terminals.write(&id, &vec![b'x'; MAX_WRITE]).await });
    // A second writer waits for its turn; both end with the terminal.
    let (terminals, id) = (host.terminals.clone(), info.id.clone());
    let second = tokio::spawn(async move { terminals.write(&id, b"y").await });
    tokio::task::yield_now().await;
    assert!(!write.is_finished());
    within(host.terminals.kill(&info.id)).await.unwrap();
    let (write, second) = (within(write).await.unwrap(), within(second).await.unwrap());
    assert!(is_not_there(write) && is_not_there(second));
}

#[tokio::test]
async fn writes_do_not_mix() {
    let host = Host::new();
    let (info, mut screen) = host.sh("stty raw -echo; echo ready; exec cat").await;
    screen.until("ready").await;
    let write = |byte: u8| {
        let (terminals, id) = (host.terminals.clone(), info.id.clone());
        tokio::spawn(async move { terminals.write(&id, &vec![byte; MAX_WRITE]).await })
    };
    let writes = [write(b'x'), write(b'y')];
    screen.until("\n").await;
    while screen.seen.len() < 2 * MAX_WRITE {
        screen.step().await;
    }
    for write in writes {
        within(write).await.unwrap().unwrap();
    }
    let changes = screen.seen.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!((screen.seen.len(), changes), (2 * MAX_WRITE, 1));
}

#[tokio::test]
async fn a_write_has_a_limit() {
    let host = Host::new();
    let (info, _screen) = host.sh("cat").await;
    let refused = host.terminals.write(&info.id, &vec![0; MAX_WRITE + 1]).await.unwrap_err();
    assert_eq!(refused.to_string(), "65537 bytes are too many for one write; the most is 65536");
}
