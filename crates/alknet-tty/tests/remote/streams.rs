//! The protocol `alknet/tty`.

use alknet_call::ErrorCode;
use alknet_tty::TtyConfig;
use alknet_tty::wire::{Attached, Header};
use tokio::io::AsyncWriteExt as _;

use crate::common::{Node, attach, attached, config, eventually, refused, reply, rest, script, until, within};

#[tokio::test]
async fn a_stream_is_a_terminal_from_its_spawn_to_its_exit() {
    let node = Node::new();
    let (mut stream, served) = node.raw(Some("alice"));
    let header = Header { rows: Some(33), cols: Some(111), ..script("stty size; read line; echo got $line") };
    // What is typed may come right behind the header.
    stream.write_all(&[&header.encode().unwrap()[..], b"first\n"].concat()).await.unwrap();
    let Attached { id, rows, cols, offset, writable } = attached(reply(&mut stream).await);
    assert_eq!((rows, cols, offset, writable), (33, 111, 0, true));
    assert_eq!(&*node.terminals.get(&id).unwrap().owner, "alice");
    let output = rest(&mut stream).await;
    assert!(output.contains("33 111\r\n") && output.ends_with("got first\r\n"), "{output:?}");
    drop(stream);
    assert!(within(served).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_terminal_outlives_its_streams() {
    let node = Node::new();
    let (mut stream, answer) =
        node.open(Some("alice"), script("echo before; read line; echo got $line; read go")).await;
    let id = attached(answer).id;
    until(&mut stream, "before\r\n").await;
    drop(stream);
    let mut all = node.attach("alice", &id).await;
    until(&mut all, "before\r\n").await;
    let (mut rest_of, answer) = node.open(Some("alice"), Header { from: Some(8), ..attach(&id) }).await;
    assert_eq!(attached(answer).offset, 8);
    all.write_all(b"this\n").await.unwrap();
    assert_eq!(until(&mut rest_of, "got this\r\n").await, "this\r\ngot this\r\n");
    let (_live, answer) = node.open(Some("alice"), Header { scrollback: false, ..attach(&id) }).await;
    assert_eq!(attached(answer).offset, "before\r\nthis\r\ngot this\r\n".len() as u64);
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told_at_the_beginning() {
    let node = Node::with(TtyConfig { scrollback_bytes: 4096, ..config() });
    let id = node.client(Some("alice")).sh("printf '%05000d' 0; read go").await;
    eventually("everything is put out", || node.terminals.get(&id).unwrap().output_bytes == 5000).await;
    let (mut stream, answer) = node.open(Some("alice"), Header { from: Some(0), ..attach(&id) }).await;
    assert_eq!(attached(answer).offset, 5000 - 4096);
    stream.write_all(b"\n").await.unwrap();
    assert_eq!(rest(&mut stream).await, format!("{}\r\n", "0".repeat(4096)));
}

#[tokio::test]
async fn who_attaches_with_a_size_resizes() {
    let node = Node::new();
    let id = node.client(Some("alice")).sh("exec cat").await;
    let (_stream, answer) = node.open(Some("alice"), Header { cols: Some(100), ..attach(&id) }).await;
    let Attached { rows, cols, .. } = attached(answer);
    assert_eq!((rows, cols, node.terminals.get(&id).unwrap().cols), (24, 100, 100));
    let (_stream, answer) = node.open(Some("alice"), Header { rows: Some(0), ..attach(&id) }).await;
    assert_eq!(refused(answer).0, ErrorCode::InvalidInput);
    assert_eq!(node.terminals.get(&id).unwrap().rows, 24);
}

#[tokio::test]
async fn the_end_of_typing_is_not_the_end_of_the_stream() {
    let node = Node::new();
    let (mut stream, answer) = node.open(Some("alice"), script("read line; echo got $line; read go; echo end")).await;
    let id = attached(answer).id;
    stream.write_all(b"last\n").await.unwrap();
    stream.shutdown().await.unwrap();
    until(&mut stream, "got last\r\n").await;
    // It was no end of file for the program, which waits.
    node.terminals.write(&id, b"\n").await.unwrap();
    assert_eq!(rest(&mut stream).await, "\r\nend\r\n");
}
