//! One stream, from its header to its end.

use std::sync::Arc;
use std::time::Duration;

use alknet_call::{CallError, ErrorCode};
use alknet_core::{AuthContext, BiStream, CloseCode, Connection, RecvStream, SendStream};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::select;
use tokio::time::timeout;

use super::TtyHandler;
use super::open::View;
use super::pump::{End, pump};
use crate::wire::{HEADER_TIME, Header, Reply, decode};

/// How much is read at once before the header is there.
const READ_SIZE: usize = 1024;

/// The most that is read at once.
const CHUNK: usize = 16 * 1024;

/// How long the client may take to have what was sent last.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// How long to read on after the end. On TCP, bytes that nobody has read at the close would make the kernel throw away
/// what the client does not have yet.
const LINGER: Duration = Duration::from_secs(2);

pub(super) async fn serve(handler: Arc<TtyHandler>, connection: Connection, auth: AuthContext, stream: BiStream) {
    let (mut send, mut recv) = stream.split();
    let begun = select! {
        begun = begin(handler, auth, &mut recv) => begun,
        () = connection.draining() => Err(shutting_down()),
    };
    let end = match begun {
        Ok(Some((view, typed))) => run(view, typed, &connection, &mut send, &mut recv).await,
        // The client has gone without a word.
        Ok(None) => End::Gone,
        Err(error) => match reply(&mut send, Reply::Refused { error }).await {
            Ok(()) => End::Complete,
            Err(end) => end,
        },
    };
    finish(end, &mut send, &mut recv).await;
}

/// Reads the header and does what it wants. What was read behind it is the first to be typed.
async fn begin(
    handler: Arc<TtyHandler>,
    auth: AuthContext,
    recv: &mut RecvStream,
) -> Result<Option<(View, Bytes)>, CallError> {
    let mut buffer = BytesMut::new();
    let header = timeout(HEADER_TIME, read_frame(recv, &mut buffer)).await;
    let header = header.map_err(|_| {
        CallError::new(ErrorCode::Timeout, format!("the first frame did not come within {HEADER_TIME:?}"))
    })??;
    let Some(header) = header else { return Ok(None) };
    let header = Header::parse(&header).map_err(|error| CallError::invalid_input(error.to_string()))?;
    Ok(Some((View::open(handler, auth, header).await?, buffer.freeze())))
}

async fn read_frame(recv: &mut RecvStream, buffer: &mut BytesMut) -> Result<Option<Bytes>, CallError> {
    loop {
        match decode(buffer) {
            Ok(Some(frame)) => return Ok(Some(frame)),
            Ok(None) => {}
            Err(error) => return Err(CallError::invalid_input(error.to_string())),
        }
        buffer.reserve(READ_SIZE);
        match recv.read_buf(buffer).await {
            Ok(read) if read > 0 => {}
            Ok(_) if !buffer.is_empty() => {
                return Err(CallError::invalid_input("the stream ends inside the first frame"));
            }
            _ => return Ok(None),
        }
    }
}

async fn run(view: View, typed: Bytes, connection: &Connection, send: &mut SendStream, recv: &mut RecvStream) -> End {
    if let Err(end) = reply(send, Reply::Attached(view.attached())).await {
        if view.is_new {
            // Nobody knows of it.
            view.handler.terminals.hang_up(&view.permit.id);
        }
        return end;
    }
    pump(view, typed, connection, send, recv).await
}

async fn reply(send: &mut SendStream, reply: Reply) -> Result<(), End> {
    let frame =
        reply.encode().or_else(|_| Reply::Refused { error: CallError::internal("a reply is too long") }.encode());
    let frame = frame.map_err(|_| End::Cut(CloseCode::HANDLER_FAILED))?;
    let sent = async {
        send.write_chunk(frame).await?;
        send.flush().await
    };
    match timeout(FINISH_LIMIT, sent).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Gone),
    }
}

async fn finish(end: End, send: &mut SendStream, recv: &mut RecvStream) {
    match end {
        End::Complete => {
            let ended = timeout(FINISH_LIMIT, send.shutdown()).await;
            recv.stop(CloseCode::DONE);
            if matches!(ended, Ok(Ok(()))) {
                let _ = timeout(LINGER, async { while let Ok(Some(_)) = recv.read_chunk(CHUNK).await {} }).await;
            }
        }
        End::Gone => {
            send.reset(CloseCode::DONE);
            recv.stop(CloseCode::DONE);
        }
        End::Cut(code) => {
            send.reset(code);
            recv.stop(code);
        }
    }
}

fn shutting_down() -> CallError {
    CallError::new(ErrorCode::Unavailable, "this node is shutting down")
}
