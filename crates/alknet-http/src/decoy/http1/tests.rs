//! Connections, with a clock that jumps.

use std::future::pending;
use std::sync::Arc;

use proptest::prelude::*;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::decoy::DecoyConfig;

const TOKEN: &[u8] = b"Bearer alk_right";

fn front() -> Front {
    Front { is_tls: true, local: "192.0.2.1:443".parse().unwrap() }
}

fn decoy() -> Decoy {
    let mut config = DecoyConfig::nginx();
    config.page_modified = Some(1_706_756_645);
    Decoy::new(&config).unwrap()
}

type Served = JoinHandle<io::Result<Option<Rewound<DuplexStream>>>>;

fn serve(decoy: &Decoy, draining: CancellationToken) -> (DuplexStream, Served) {
    let (client, stream) = duplex(16 * 1024);
    let decoy = decoy.clone();
    let admit = |credentials: &Credentials<'_>| credentials.authorization == Some(TOKEN);
    let served =
        tokio::spawn(
            async move { decoy.serve_http1(stream, front(), admit, async { draining.cancelled().await }).await },
        );
    (client, served)
}

fn connect() -> (DuplexStream, Served) {
    serve(&decoy(), CancellationToken::new())
}

/// All that is answered to `request`, and the rest of the stream if it was admitted.
async fn exchange(request: &[u8]) -> (String, Option<Vec<u8>>) {
    let (client, served) = connect();
    let (mut read, mut write) = tokio::io::split(client);
    let send = async {
        // A server that has had enough of it does not take all.
        let _ = write.write_all(request).await;
        let _ = write.shutdown().await;
    };
    let serve = async {
        let mut stream = served.await.unwrap().unwrap()?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        Some(rest)
    };
    let mut answer = String::new();
    let ((), rest, read) = tokio::join!(send, serve, read.read_to_string(&mut answer));
    read.unwrap();
    (answer, rest)
}

async fn read_head(client: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_request_with_a_token_comes_back_as_it_was() {
    let request =
        b"POST /node/info HTTP/1.1\r\nhost: a\r\nauthorization: Bearer alk_right\r\ncontent-length: 2\r\n\r\n{}";
    let (answer, rest) = exchange(request).await;
    assert_eq!((answer.as_str(), rest.as_deref()), ("", Some(&request[..])));
}

#[tokio::test]
async fn requests_before_one_with_a_token_are_answered() {
    let stranger = b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n";
    let known = b"GET /healthz HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alk_right\r\n\r\n";
    let (answer, rest) = exchange(&[&stranger[..], known].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
    assert_eq!(rest.as_deref(), Some(&known[..]), "without the empty lines before it");
}

#[tokio::test]
async fn a_token_does_not_help_what_is_no_request() {
    for request in [
        "GET / HTTP/1.1\r\nAuthorization: Bearer alk_right\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alk_right\r\nx : y\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alk_right\r\n\r\n",
        "GET /\r\nAuthorization: Bearer alk_right\r\n\r\n",
    ] {
        let (answer, rest) = exchange(request.as_bytes()).await;
        assert!(rest.is_none() && answer.contains("nginx"), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_wrong_token_changes_nothing() {
    let with = |line: &str| format!("GET /node/info HTTP/1.1\r\nHost: a\r\n{line}\r\n");
    let (plain, _) = exchange(with("").as_bytes()).await;
    let (wrong, rest) = exchange(with("Authorization: Bearer alk_wrong\r\n").as_bytes()).await;
    assert_eq!(plain.lines().filter(not_date).collect::<Vec<_>>(), wrong.lines().filter(not_date).collect::<Vec<_>>());
    assert!(rest.is_none());
}

fn not_date(line: &&str) -> bool {
    !line.starts_with("Date: ")
}

#[tokio::test]
async fn redirects_name_the_address_that_the_client_used() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a b")).unwrap();
    let decoy = Decoy::new(&DecoyConfig::with_folder(folder.path())).unwrap();
    let mut request = Request {
        method: Method::Get,
        version: Version::HTTP_11,
        path: b"/a b".to_vec(),
        query: b"c=d".to_vec(),
        fields: crate::decoy::request::Fields::<Vec<u8>>::default(),
    };
    let Outcome::Refused(refusal, Some(path)) = answer::route(&decoy.site, &mut request).await else {
        panic!("no folder")
    };
    let mut location = |is_tls, local: &str, host: Option<&str>| {
        request.fields.server = host.map(|host| host.as_bytes().to_vec());
        let front = Front { is_tls, local: local.parse().unwrap() };
        String::from_utf8(answer::refuse(&request, refusal, Some(&path), front).location.unwrap()).unwrap()
    };
    assert_eq!(location(true, "192.0.2.1:443", Some("a.example")), "https://a.example/a%20b/?c=d");
    assert_eq!(location(true, "192.0.2.1:4433", Some("a.example")), "https://a.example:4433/a%20b/?c=d");
    assert_eq!(location(false, "192.0.2.1:80", None), "http://192.0.2.1/a%20b/?c=d");
    assert_eq!(location(false, "192.0.2.1:443", None), "http://192.0.2.1:443/a%20b/?c=d");
    assert_eq!(location(true, "[::ffff:192.0.2.1]:443", None), "https://192.0.2.1/a%20b/?c=d");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_left_after_a_minute() {
    let begin = Instant::now();
    let (mut client, served) = connect();
    assert!(served.await.unwrap().unwrap().is_none());
    assert_eq!(begin.elapsed(), HEAD_TIME);
    assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_a_minute_however_it_trickles() {
    let begin = Instant::now();
    let (mut client, served) = connect();
    let trickle = tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\n".iter().chain(std::iter::repeat(&b'x')) {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(served.await.unwrap().unwrap().is_none());
    assert_eq!(begin.elapsed(), HEAD_TIME);
    trickle.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends() {
    let (mut client, served) = connect();
    client.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(read_head(&mut client).await.contains("keep-alive"));
    let begin = Instant::now();
    assert!(served.await.unwrap().unwrap().is_none());
    assert_eq!(begin.elapsed(), KEEP_ALIVE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for_long() {
    let (mut client, served) = connect();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let begin = Instant::now();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 405 "), "the answer comes at once");
    assert!(served.await.unwrap().unwrap().is_none());
    assert_eq!(begin.elapsed(), LINGER);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_not_waited_for_for_ever() {
    let (mut client, served) = connect();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
    let begin = Instant::now();
    let trickle = async {
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (served, ()) = tokio::join!(served, trickle);
    assert!(served.unwrap().unwrap().is_none());
    assert!((LINGER_IN_ALL..LINGER_IN_ALL + LINGER).contains(&begin.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_last_answer_is_read_for_a_while() {
    let (mut client, served) = connect();
    client.write_all(b"GET / HTTP/1.1\r\n\r\nmore").await.unwrap();
    let begin = Instant::now();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && begin.elapsed().is_zero(), "our side has ended already");
    client.write_all(b"still more").await.unwrap();
    served.await.unwrap().unwrap();
    assert_eq!(begin.elapsed(), LINGER);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let (mut client, stream) = duplex(64);
    let decoy = decoy();
    let served = tokio::spawn(async move { decoy.serve_http1(stream, front(), |_| false, pending()).await });
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let begin = Instant::now();
    assert_eq!(served.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(begin.elapsed(), Duration::from_secs(60));
}

#[tokio::test]
async fn a_connection_drains_behind_its_request() {
    let draining = CancellationToken::new();
    let (mut client, served) = serve(&decoy(), draining.clone());
    client.write_all(b"HEAD / HTTP/1.1\r\n").await.unwrap();
    tokio::task::yield_now().await;
    draining.cancel();
    client.write_all(b"Host: a\r\n\r\n").await.unwrap();
    assert!(read_head(&mut client).await.contains("Connection: close\r\n"));
    assert!(served.await.unwrap().unwrap().is_none());

    let (mut client, served) = serve(&decoy(), draining);
    assert!(served.await.unwrap().unwrap().is_none(), "there is no request to wait for");
    assert!(client.read_u8().await.is_err());
}

#[tokio::test]
async fn a_connection_has_so_many_requests() {
    let (answer, _) = exchange(&b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1100)).await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1000);
    assert_eq!(answer.matches("Connection: close").count(), 1);
}

#[tokio::test]
async fn a_large_file_is_sent_without_being_held() {
    const SIZE: u64 = 256 * 1024 * 1024;
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(folder.path().join("large")).unwrap().set_len(SIZE).unwrap();
    let decoy = Decoy::new(&DecoyConfig::with_folder(folder.path())).unwrap();
    let (mut client, _served) = serve(&decoy, CancellationToken::new());
    client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read_head(&mut client).await.contains(&format!("Content-Length: {SIZE}\r\n")));
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let before = resident();
    let (mut bytes, mut received) = (vec![0; 64 * 1024], 0);
    loop {
        match client.read(&mut bytes).await.unwrap() {
            0 => break,
            count => received += count as u64,
        }
    }
    assert_eq!(received, SIZE);
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "{grown} bytes more are held");
}

#[tokio::test]
async fn a_file_that_shrinks_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("large")).unwrap();
    file.set_len(1024 * 1024).unwrap();
    let decoy = Decoy::new(&DecoyConfig::with_folder(folder.path())).unwrap();
    let (mut client, served) = serve(&decoy, CancellationToken::new());
    client.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_head(&mut client).await;
    file.set_len(0).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() < 1024 * 1024);
    assert_eq!(served.await.unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// A client whose bytes come in pieces, each as soon as it is asked for.
struct Pieces {
    pieces: std::collections::VecDeque<Vec<u8>>,
    answer: Arc<std::sync::Mutex<Vec<u8>>>,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut piece) = self.pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(into.remaining()));
            into.put_slice(&piece);
            if !rest.is_empty() {
                self.pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(self: Pin<&mut Self>, _: &mut std::task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.answer.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn answer_in_pieces(runtime: &tokio::runtime::Runtime, pieces: &[&[u8]]) -> String {
    let answer = Arc::default();
    let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
    let stream = Pieces { pieces, answer: Arc::clone(&answer) };
    let served = decoy();
    let result = runtime.block_on(served.serve_http1(stream, front(), |_| false, pending()));
    assert!(result.unwrap().is_none());
    let answer = String::from_utf8_lossy(&answer.lock().unwrap()).into_owned();
    answer.lines().filter(not_date).collect::<Vec<_>>().join("\n")
}

proptest! {
    #[test]
    fn the_pieces_change_no_answer(
        requests in "((GET|HEAD|POST) /[a./%2]{0,5} HTTP/1\\.1\r\n(Host: a\r\n|Content-Length: 3\r\n|Transfer-Encoding: chunked\r\n|Range: bytes=1-2\r\n|x){0,3}\r\n(abc|0\r\n\r\n|)){1,4}",
        cut in 1_usize..30,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let whole = answer_in_pieces(&runtime, &[requests.as_bytes()]);
        let pieces: Vec<_> = requests.as_bytes().chunks(cut).collect();
        prop_assert_eq!(answer_in_pieces(&runtime, &pieces), whole);
    }
}
