//! The bytes of a stream, both ways.

use std::time::Duration;

use alknet_core::{CloseCode, Connection, RecvStream, SendStream};
use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::select;
use tokio::task::consume_budget;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::TtyHandler;
use super::open::View;
use crate::wire::{ENDED, SILENCE, TOO_SLOW};
use crate::{AttachEvent, Attachment, TtyError};

/// The most that is typed at once.
const CHUNK: usize = 16 * 1024;

/// How long a client may take the last output after its terminal has ended.
const LAST_WORDS: Duration = Duration::from_millis(700);

/// How a stream ends.
pub(super) enum End {
    /// Everything has been sent.
    Complete,
    /// Nobody is there to be told anything.
    Gone,
    /// With this code, so that nobody takes it for complete.
    Cut(CloseCode),
}

pub(super) async fn pump(
    view: View,
    typed: Bytes,
    connection: &Connection,
    send: &mut SendStream,
    recv: &mut RecvStream,
) -> End {
    let View { handler, mut permit, mut attachment, revoked, .. } = view;
    let (id, writable) = (permit.id.clone(), permit.writable);
    select! {
        end = show(&mut attachment, send) => end,
        end = take(&handler, &id, writable, typed, recv) => end,
        () = is_over(&revoked) => End::Cut(ENDED),
        () = permit.withdrawn(&handler, &revoked) => End::Cut(CloseCode::REVOKED),
        () = connection.draining() => End::Cut(CloseCode::SHUTTING_DOWN),
    }
}

/// Sends the output, up to the last of it.
async fn show(attachment: &mut Attachment, send: &mut SendStream) -> End {
    loop {
        match attachment.next().await {
            Some(AttachEvent::Output { bytes, .. }) => {
                if send.write_chunk(bytes).await.is_err() || send.flush().await.is_err() {
                    return End::Gone;
                }
            }
            // Bytes alone could not say that some are missing.
            Some(AttachEvent::Skipped { .. }) => return End::Cut(TOO_SLOW),
            Some(AttachEvent::Exit(_)) | None => return End::Complete,
        }
        // A terminal that never stops writing must not keep the other ends from being seen.
        consume_budget().await;
    }
}

/// Types what comes. Returns only when the stream is to end for what this side of it has seen.
async fn take(handler: &TtyHandler, id: &str, writable: bool, typed: Bytes, recv: &mut RecvStream) -> End {
    let mut next = Some(typed);
    while let Some(bytes) = next {
        if writable && !bytes.is_empty() {
            match handler.terminals.write(id, &bytes).await {
                Ok(()) => {}
                // It has ended, and what is left is to show that.
                Err(TtyError::NotThere(_)) => return std::future::pending().await,
                Err(error) => {
                    tracing::warn!(terminal = id, %error, "a terminal takes no input");
                    return End::Cut(CloseCode::HANDLER_FAILED);
                }
            }
        }
        next = match recv.read_chunk(CHUNK).await {
            Ok(next) => next,
            Err(_) => return End::Gone,
        };
    }
    is_silent(handler, id).await;
    End::Cut(CloseCode::IDLE)
}

/// Resolves when a terminal that is there has put out nothing for a while: on a connection of a single stream, a client
/// that has gone altogether looks like one that has ended its side.
async fn is_silent(handler: &TtyHandler, id: &str) {
    let mut seen = None;
    loop {
        let Ok(info) = handler.terminals.get(id) else { return std::future::pending().await };
        if seen.replace(info.output_bytes) == Some(info.output_bytes) {
            return;
        }
        sleep(SILENCE).await;
    }
}

async fn is_over(revoked: &CancellationToken) {
    revoked.cancelled().await;
    sleep(LAST_WORDS).await;
}
