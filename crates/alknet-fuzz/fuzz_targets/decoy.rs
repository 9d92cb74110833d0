//! Any bytes from a client of a decoy over http/1.1, in any pieces: the connection ends, the pieces change no answer, and a
//! request that is let pass comes back as it was sent.
#![no_main]

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use alknet_http::decoy::{Decoy, DecoyConfig, Front};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

static DECOY: LazyLock<Decoy> = LazyLock::new(|| Decoy::new(&DecoyConfig::nginx()).expect("it needs no file"));

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().start_paused(true).build().expect("it needs no I/O"));

/// A client that has sent everything, and takes everything.
struct Client<'a> {
    pieces: VecDeque<&'a [u8]>,
    answer: &'a mut Vec<u8>,
}

impl AsyncRead for Client<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(piece) = self.pieces.pop_front() {
            let (now, later) = piece.split_at(piece.len().min(into.remaining()));
            into.put_slice(now);
            if !later.is_empty() {
                self.pieces.push_front(later);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.answer.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// All that is answered but for dates, and what is left for somebody else.
fn serve<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut answer = Vec::new();
    let front = Front { is_tls: true, local: ([192, 0, 2, 1], 443).into() };
    let rest = RUNTIME.block_on(async {
        let client = Client { pieces: pieces.collect(), answer: &mut answer };
        let admit = |credentials: &alknet_http::decoy::Credentials<'_>| credentials.authorization == Some(b"Bearer x");
        let served = DECOY.serve_http1(client, front, admit, pending()).await.expect("the client breaks nothing");
        let mut rest = Vec::new();
        served?.read_to_end(&mut rest).await.expect("the client breaks nothing");
        Some(rest)
    });
    for at in 0..answer.len() {
        if answer[at..].starts_with(b"\r\nDate: ") {
            answer[at + 8..].iter_mut().take(29).for_each(|byte| *byte = b'_');
        }
        // The numbers of boundaries go on from one connection to the next.
        if answer[at..].starts_with(b"--000") || answer[at..].starts_with(b"boundary=000") {
            answer[at..].iter_mut().skip_while(|byte| **byte != b'0').take(20).for_each(|byte| *byte = b'_');
        }
    }
    (answer, rest)
}

fuzz_target!(|input: &[u8]| {
    let Some((pieces, bytes)) = alknet_fuzz::split(input) else { return };
    let (answer, rest) = serve(std::iter::once(bytes));
    if let Some(rest) = &rest {
        assert!(bytes.ends_with(rest), "what is let pass is what was sent");
    }
    // Where a line goes beyond a buffer, it matters where the buffer began: as there, behind what came along with a request.
    if bytes.len() < 1024 {
        assert_eq!(serve(pieces.of(bytes)), (answer, rest), "the pieces changed the outcome");
    }
});
