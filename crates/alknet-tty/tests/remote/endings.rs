//! How streams of `alknet/tty` end before their terminals do, or with them.

use alknet_call::ErrorCode;
use alknet_call::wire::AuthToken;
use alknet_core::HandlerError;
use alknet_tty::wire::{Header, Reply};
use alknet_tty::{ExitStatus, TtyConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::common::{Node, attach, attached, config, eventually, refused, reply, rest, script, until, within};

#[tokio::test]
async fn who_has_gone_while_the_terminal_is_silent_is_not_waited_for_for_ever() {
    let node = Node::new();
    let id = node.client(Some("alice")).sh("exec cat").await;
    let mut stream = node.attach("alice", &id).await;
    stream.shutdown().await.unwrap();
    tokio::time::pause();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    tokio::time::resume();
    eventually("it is detached", || node.terminals.get(&id).unwrap().attachments == 0).await;
}

#[tokio::test]
async fn a_stream_ends_when_its_caller_may_no_longer_have_it() {
    for by_token in [false, true] {
        for peers in [&[][..], &[("alice", &["tty:write"][..])], &[("alice", &["tty:attach"][..])]] {
            let node = Node::new();
            let id = node.client(Some("alice")).sh("exec cat").await;
            let token = by_token.then(|| AuthToken::new("alk_alice"));
            let header = Header { auth_token: token, ..attach(&id) };
            let (mut stream, answer) = node.open((!by_token).then_some("alice"), header).await;
            attached(answer);
            node.set_peers(&[("alice", &["tty:attach", "tty:write"])]);
            stream.write_all(b"still\n").await.unwrap();
            until(&mut stream, "still\r\nstill\r\n").await;
            node.set_peers(peers);
            assert_eq!(within(stream.read(&mut [0; 8])).await.unwrap(), 0);
            eventually("it is detached", || node.terminals.get(&id).unwrap().attachments == 0).await;
        }
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_terminal_even_if_nobody_reads() {
    let node = Node::new();
    let id = node.client(Some("alice")).sh("while :; do echo fill; done").await;
    let (mut lazy, served) = node.raw(Some("alice"));
    lazy.write_all(&attach(&id).encode().unwrap()).await.unwrap();
    attached(reply(&mut lazy).await);
    let mut reader = node.attach("alice", &id).await;
    let reads = tokio::spawn(async move { reader.read_to_end(&mut Vec::new()).await });
    within(node.terminals.kill(&id)).await.unwrap();
    assert!(within(served).await.unwrap().is_ok());
    assert!(within(reads).await.unwrap().is_ok());
}

#[tokio::test]
async fn who_is_too_slow_for_the_others_is_cut_off_and_not_told_a_part() {
    const ALL: usize = 1_000_000;
    let node = Node::with(TtyConfig { scrollback_bytes: 4096, ..config() });
    let alice = node.client(Some("alice"));
    let id = alice.sh(&format!("stty -opost; read go; yes 1234567 | head -c {ALL}; read go")).await;
    let mut slow = node.attach("alice", &id).await;
    let mut fast = node.terminals.attach(&id, Default::default()).unwrap();
    alice.write(&id, "\n").await;
    while node.terminals.get(&id).unwrap().output_bytes < ALL as u64 {
        within(fast.next()).await.unwrap();
    }
    let seen = rest(&mut slow).await;
    let lines = seen.trim_start_matches(['\r', '\n']);
    assert!(lines.len() < ALL / 2, "{}", lines.len());
    assert!("1234567\n".repeat(ALL / 8).starts_with(lines), "what it has seen has no gap");
    // Only the stream has ended.
    assert!(node.terminals.get(&id).is_ok());
}

#[tokio::test]
async fn a_node_that_shuts_down_ends_streams() {
    let (node, drain) = (Node::new(), CancellationToken::new());
    let id = node.client(Some("alice")).sh("exec cat").await;
    let (mut stream, served) = node.draining_raw(Some("alice"), drain.clone());
    stream.write_all(&attach(&id).encode().unwrap()).await.unwrap();
    attached(reply(&mut stream).await);
    let (mut waiting, waited) = node.draining_raw(Some("alice"), drain.clone());
    tokio::task::yield_now().await;
    drain.cancel();
    assert_eq!(within(stream.read(&mut [0; 8])).await.unwrap(), 0);
    assert!(within(served).await.unwrap().is_ok());
    // One that has not begun may be told, or not be taken any more.
    let mut answer = Vec::new();
    within(waiting.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || refused(Reply::parse(&answer[4..]).unwrap()).0 == ErrorCode::Unavailable);
    drop(waiting);
    assert!(within(waited).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_connection_that_is_lost_leaves_the_terminal_alone() {
    let node = Node::new();
    let (mut stream, served) = node.raw(Some("alice"));
    stream.write_all(&script("echo ready; while read line; do echo got $line; done").encode().unwrap()).await.unwrap();
    let id = attached(reply(&mut stream).await).id;
    until(&mut stream, "ready\r\n").await;
    drop(stream);
    // It is found out by the next output at the latest.
    node.terminals.write(&id, b"more\n").await.unwrap();
    let ended = within(served).await.unwrap();
    assert!(matches!(ended, Ok(()) | Err(HandlerError::Connection(_))), "{ended:?}");
    eventually("it is detached", || node.terminals.get(&id).unwrap().attachments == 0).await;
    let mut watch = node.terminals.attach(&id, Default::default()).unwrap();
    node.terminals.kill(&id).await.unwrap();
    while let Some(event) = watch.next().await {
        if let alknet_tty::AttachEvent::Exit(status) = event {
            assert_eq!(status, ExitStatus::Signal("HUP".parse().unwrap()));
        }
    }
}
