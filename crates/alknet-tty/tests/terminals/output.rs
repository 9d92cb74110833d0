//! What those who are attached see.

use alknet_tty::{AttachEvent, AttachOptions, ExitStatus, TtyConfig, TtyError};

use crate::common::{Host, Screen, config, eventually, within};

const LIVE: AttachOptions = AttachOptions { from: None, scrollback: false };

#[tokio::test]
async fn a_terminal_outlives_its_attachments_and_shows_what_was_missed() {
    let host = Host::new();
    let (info, mut first) = host.shell().await;
    host.write(&info.id, "echo be''fore; read -r go; echo af''ter\n").await;
    first.until("before\r\n").await;
    drop(first);
    assert_eq!(host.terminals.get(&info.id).unwrap().attachments, 0);
    host.write(&info.id, "go\n").await;
    let mut second = host.attach(&info.id, AttachOptions::default());
    second.until("before\r\n").await;
    second.until("after\r\n").await;
    host.write(&info.id, "exit 7\n").await;
    assert_eq!(second.end().await.1, ExitStatus::Code(7));
}

#[tokio::test]
async fn whoever_comes_back_goes_on_where_it_was() {
    let host = Host::new();
    let (info, mut first) = host.sh("echo one; read -r go; echo two; read -r go").await;
    first.until("one\r\n").await;
    drop(first);
    let mut live = host.attach(&info.id, LIVE);
    host.write(&info.id, "\n").await;
    live.until("two\r\n").await;
    let from = |from| AttachOptions { from: Some(from), scrollback: false };
    let mut again = host.attach(&info.id, from(5));
    let Some(AttachEvent::Output { offset: 5, bytes }) = within(again.attachment.next()).await else { panic!() };
    assert_eq!(&bytes[..], b"\r\ntwo\r\n");
    let ahead = host.terminals.attach(&info.id, from(1000)).unwrap_err();
    assert!(matches!(ahead, TtyError::OffsetAhead { from: 1000, end: 12 }), "{ahead}");
}

#[tokio::test]
async fn all_attachments_see_the_same_bytes() {
    let host = Host::new();
    let (info, first) = host.sh("read -r go; seq 1 3000").await;
    let second = host.attach(&info.id, AttachOptions::default());
    host.write(&info.id, "\n").await;
    let (first, second) = tokio::join!(first.end(), second.end());
    assert_eq!(first, second);
    assert!(first.0.ends_with("2999\r\n3000\r\n"));
}

#[tokio::test]
async fn a_slow_reader_slows_the_program() {
    let host = Host::new();
    let half = u64::from(config().scrollback_bytes) / 2;
    let (info, mut slow) = host.sh("exec yes").await;
    let put_out = || host.terminals.get(&info.id).unwrap().output_bytes;
    for _ in 0..20 {
        let taken = slow.seen.len() as u64;
        eventually("the program is held up", || put_out() == taken + half).await;
        slow.step().await;
    }
    assert_eq!(slow.skipped, 0);
    drop(slow);
    eventually("the program runs free", || put_out() > 20 * half).await;
}

#[tokio::test]
async fn a_reader_that_is_slower_than_another_learns_what_it_missed() {
    let host = Host::with(TtyConfig { scrollback_bytes: 4096, ..config() });
    let (info, mut fast) = host.sh("seq 1 5000; read -r go").await;
    let slow = host.attach(&info.id, AttachOptions { from: Some(0), scrollback: false });
    fast.until("\n5000\r\n").await;
    assert_eq!(fast.skipped, 0);
    host.write(&info.id, "\n").await;
    let mut slow = slow;
    while slow.step().await {}
    let put_out = (1..=5000).map(|n: u32| n.to_string().len() as u64 + 2).sum::<u64>() + 2;
    assert_eq!(slow.skipped + slow.seen.len() as u64, put_out);
    assert!(slow.skipped > 0 && slow.text().ends_with("\n5000\r\n\r\n"));
}

#[tokio::test]
async fn all_that_was_written_before_the_exit_comes_before_it() {
    let host = Host::new();
    let expected: String = (1..=2000).map(|n| format!("{n}\r\n")).collect();
    for _ in 0..20 {
        let (_, screen) = host.sh("seq 1 2000").await;
        assert_eq!(screen.end().await, (expected.clone(), ExitStatus::Code(0)));
    }
}

#[tokio::test]
async fn a_reader_that_comes_only_after_the_exit_finds_all_of_it() {
    // The program is held up by the small ring, and what it wrote last is still in the kernel when it is killed.
    let host = Host::with(TtyConfig { scrollback_bytes: 4096, ..config() });
    let (info, mut screen) = host.sh("echo $$; yes").await;
    let put_out = || host.terminals.get(&info.id).unwrap().output_bytes;
    eventually("the program is held up", || put_out() == 2048).await;
    within(host.terminals.kill(&info.id)).await.unwrap();
    while screen.step().await {}
    assert_eq!(screen.skipped, 0);
    assert!(screen.seen.len() > 2048, "the kernel's part is missing: {}", screen.seen.len());
    assert!(screen.text().starts_with(&format!("{}\r\ny\r\ny\r\n", info.pid)));
}

#[tokio::test]
async fn a_program_that_closes_its_terminal_may_open_it_again() {
    let host = Host::new();
    let (info, mut screen) =
        host.sh("exec 3<&0; (exec 3<&- </dev/null >/dev/null 2>&1; sleep 0.2; echo again >/dev/tty); cat <&3").await;
    screen.until("again\r\n").await;
    host.write(&info.id, "hello\n").await;
    screen.until("hello\r\nhello\r\n").await;
    let (_, mut closed) = host.sh("exec </dev/null >/dev/null 2>&1; sleep 0.2; echo back >/dev/tty").await;
    closed.until("back\r\n").await;
    assert_eq!(closed.end().await.1, ExitStatus::Code(0));
}

#[tokio::test]
async fn a_dropped_wait_for_an_event_loses_nothing() {
    let host = Host::new();
    let (info, mut screen) = host.sh("cat").await;
    for round in 0..50 {
        let impatient = tokio::time::timeout(std::time::Duration::ZERO, screen.attachment.next()).await;
        if let Ok(Some(AttachEvent::Output { bytes, .. })) = impatient {
            screen.seen.extend(bytes);
        }
        host.write(&info.id, &format!("{round}\n")).await;
    }
    for round in 0..50 {
        screen.until(&format!("{round}\r\n")).await;
    }
}

#[tokio::test]
async fn attachments_are_limited() {
    let host = Host::with(TtyConfig { max_attachments: 2, ..config() });
    let (info, first) = host.sh("cat").await;
    let second = host.attach(&info.id, LIVE);
    let third = host.terminals.attach(&info.id, LIVE).unwrap_err();
    assert!(matches!(third, TtyError::TooManyAttachments { limit: 2 }), "{third}");
    drop(second);
    let third: Screen = host.attach(&info.id, LIVE);
    drop((first, third));
}
