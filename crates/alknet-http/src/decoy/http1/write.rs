//! Answers as HTTP/1.1 has them; older versions get the same, or the body alone.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::decoy::answer::Answer;
use crate::decoy::pages;
use crate::decoy::request::Version;

/// How long a client may take nothing of an answer: `send_timeout`.
const SEND: Duration = Duration::from_secs(60);

/// What a client waits for that announces a body.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How an answer is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) version: Version,
    pub(crate) is_head: bool,
    pub(crate) stays_open: bool,
}

/// Sends an answer.
///
/// # Errors
/// When the client does not take it, or a file cannot be read: it cannot be said any more then that something is wrong.
pub(crate) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, mut answer: Answer, manner: Manner) -> io::Result<()> {
    let has_head = manner.version >= Version::HTTP_10;
    let is_bodiless = has_head && (manner.is_head || answer.status == 304);
    let is_chunked = has_head && !is_bodiless && answer.content_length.is_none();
    let mut head = if has_head { head(&answer, manner, is_chunked) } else { Vec::new() };
    if is_bodiless {
        return write(stream, &head).await;
    }
    // What is small goes with the head, as one write.
    if let Some(body) = answer.body.take_small() {
        head.extend_from_slice(&body);
        return write(stream, &head).await;
    }
    // The head goes with the first portion.
    while let Some(portion) = answer.body.next().await? {
        if is_chunked {
            head.extend_from_slice(format!("{:x}\r\n", portion.len()).as_bytes());
        }
        let is_last = is_chunked && answer.body.is_at_end();
        write_all(stream, &mut head, &portion).await?;
        match is_chunked {
            true if is_last => return write(stream, b"\r\n0\r\n\r\n").await,
            true => head.extend_from_slice(b"\r\n"),
            false => {}
        }
    }
    write(stream, &head).await
}

fn head(answer: &Answer, manner: Manner, is_chunked: bool) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(b"HTTP/1.1 ");
    head.extend_from_slice(pages::reason(answer.status).as_bytes());
    head.extend_from_slice(b"\r\n");
    let mut field = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    answer.for_each_field(&mut field);
    if is_chunked {
        field("Transfer-Encoding", b"chunked");
    }
    field("Connection", if manner.stays_open { b"keep-alive" } else { b"close" });
    for (name, value) in &answer.more {
        field(name, value.as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Writes what is held back, and a portion behind it.
async fn write_all<S: AsyncWrite + Unpin>(stream: &mut S, held: &mut Vec<u8>, portion: &Bytes) -> io::Result<()> {
    const SMALL: usize = 4096;
    if portion.len() <= SMALL {
        held.extend_from_slice(portion);
        write(stream, held).await?;
    } else {
        write(stream, held).await?;
        write(stream, portion).await?;
    }
    held.clear();
    Ok(())
}

/// Writes all of `bytes`, as long as the client takes some from time to time.
pub(crate) async fn write<S: AsyncWrite + Unpin>(stream: &mut S, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = timeout(SEND, stream.write(bytes)).await??;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
    }
    timeout(SEND, stream.flush()).await?
}
