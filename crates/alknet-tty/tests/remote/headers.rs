//! Who gets a stream of `alknet/tty`, and who does not.

use std::sync::atomic::{AtomicBool, Ordering};

use alknet_call::ErrorCode;
use alknet_call::wire::AuthToken;
use alknet_tty::wire::{Attached, HEADER_TIME, Header, Reply};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Node, attach, attached, frame, refused, reply, rest, script, until, within};

#[tokio::test]
async fn what_is_anothers_looks_like_what_never_was() {
    let node = Node::new();
    let id = node.client(Some("alice")).sh("exec cat").await;
    let answer = async |who: Option<&str>, id: &str| {
        let (mut stream, _) = node.raw(who);
        stream.write_all(&attach(id).encode().unwrap()).await.unwrap();
        let answer = frame(&mut stream).await;
        assert_eq!(rest(&mut stream).await, "");
        answer
    };
    let anothers = answer(Some("bob"), &id).await;
    assert_eq!(anothers, answer(Some("bob"), "t-aaaaaaaaaaaaaaaa").await);
    assert_eq!(refused(Reply::parse(&anothers).unwrap()).1, "/tty/attach needs the id of a tty of yours");
    let strangers = answer(None, &id).await;
    assert_eq!(strangers, answer(None, "t-aaaaaaaaaaaaaaaa").await);
    assert_eq!(refused(Reply::parse(&strangers).unwrap()).0, ErrorCode::Unauthenticated);
    assert_eq!(node.terminals.get(&id).unwrap().attachments, 0);
    // To its owner it is what never was, too, once it has ended.
    node.terminals.kill(&id).await.unwrap();
    assert_eq!(anothers, answer(Some("alice"), &id).await);
}

#[tokio::test]
async fn a_token_says_who_it_is_and_a_wrong_one_does_not_fall_back() {
    let node = Node::new();
    let id = node.client(Some("alice")).sh("exec cat").await;
    let with = |token: &str| Header { auth_token: Some(AuthToken::new(token)), ..attach(&id) };
    for who in [None, Some("bob")] {
        let (_stream, answer) = node.open(who, with("alk_alice")).await;
        assert_eq!(attached(answer).id, id);
    }
    let (_stream, answer) = node.open(Some("alice"), with("alk_guess")).await;
    assert_eq!(refused(answer).0, ErrorCode::Unauthenticated);
    let (_stream, answer) = node.open(Some("alice"), with("alk_bob")).await;
    assert_eq!(refused(answer).0, ErrorCode::Forbidden);
}

#[tokio::test]
async fn scopes_say_who_spawns_who_sees_and_who_types() {
    let node = Node::new();
    node.set_peers(&[("alice", &["tty:attach"]), ("bob", &["tty:spawn"])]);
    for who in ["alice", "bob"] {
        let (_stream, answer) = node.open(Some(who), script("exit")).await;
        assert_eq!(refused(answer).0, ErrorCode::Forbidden, "{who}");
    }
    let mut request = alknet_tty::SpawnRequest::of("alice");
    request.args = ["-c", "read -r line; echo got $line; read go"].map(Into::into).into();
    let id = node.terminals.spawn(request).await.unwrap().id;
    let (mut stream, answer) = node.open(Some("alice"), Header { rows: Some(5), ..attach(&id) }).await;
    let Attached { rows, writable, .. } = attached(answer);
    assert_eq!((rows, writable), (24, false));
    stream.write_all(b"mine\n").await.unwrap();
    node.terminals.write(&id, b"other\n").await.unwrap();
    assert_eq!(until(&mut stream, "got other\r\n").await, "other\r\ngot other\r\n");
    assert!(node.terminals.list().len() == 1);
}

#[tokio::test]
async fn what_is_no_header_is_refused_with_the_reason() {
    let node = Node::new();
    let frame_of = |json: &str| [&(json.len() as u32).to_be_bytes()[..], json.as_bytes()].concat();
    for (bytes, words) in [
        (u32::MAX.to_be_bytes().to_vec(), "a frame of 4294967295 bytes is longer than the limit of 16384"),
        (16385u32.to_be_bytes().to_vec(), "longer than the limit"),
        (frame_of(""), "an empty frame"),
        (frame_of("nonsense"), "cannot be read"),
        (frame_of("{}"), r#"either "id" or "spawn""#),
        (frame_of(r#"{"id":"t-1","rows":-1}"#), "-1"),
        (frame_of(&"[".repeat(16000)), "cannot be read"),
        (frame_of(r#"{"id":"t-1"}"#)[..9].to_vec(), "the stream ends inside the first frame"),
    ] {
        for who in [Some("alice"), None] {
            let (mut stream, served) = node.raw(who);
            stream.write_all(&bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let (code, message) = refused(reply(&mut stream).await);
            assert!(code == ErrorCode::InvalidInput && message.contains(words), "{words}: {message}");
            assert_eq!(rest(&mut stream).await, "");
            assert!(within(served).await.unwrap().is_ok());
        }
    }
    // Who says nothing at all hears nothing.
    let (mut stream, served) = node.raw(Some("alice"));
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert!(within(served).await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_header_has_its_time_however_slowly_it_comes() {
    let node = Node::new();
    let started = tokio::time::Instant::now();
    let (mut stream, _) = node.raw(Some("alice"));
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let stopped = AtomicBool::new(false);
    let dribble = async {
        let header = attach("t-aaaaaaaaaaaaaaaa").encode().unwrap();
        for byte in &header[..] {
            if stopped.load(Ordering::SeqCst) || write.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(HEADER_TIME / 8).await;
        }
    };
    let answer = async {
        let length = read.read_u32().await.unwrap();
        let mut json = vec![0; length as usize];
        read.read_exact(&mut json).await.unwrap();
        stopped.store(true, Ordering::SeqCst);
        Reply::parse(&json).unwrap()
    };
    let ((), answer) = tokio::join!(dribble, answer);
    assert_eq!(refused(answer), (ErrorCode::Timeout, "the first frame did not come within 10s".into()));
    assert!(started.elapsed() >= HEADER_TIME && started.elapsed() < 2 * HEADER_TIME);
}
