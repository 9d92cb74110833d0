//! `alknet connect`: standard input and output as a stream of some ALPN.

use std::io;

use alknet_core::{BiStream, CloseCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// Large enough that a bulk transfer is not bound by system calls.
const CHUNK: usize = 64 * 1024;

/// Copies both ways until the peer ends its side. The end of `input` ends ours, and the peer may go on.
///
/// # Errors
/// When the stream breaks. A reader of `output` that goes away (`| head`) is no error.
pub async fn pipe(
    stream: BiStream,
    input: impl AsyncRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (mut send, mut recv) = stream.split();
    // A task of its own: input that never comes must not keep us when the peer is done.
    let upload = tokio::spawn(async move {
        let mut input = tokio::io::BufReader::with_capacity(CHUNK, input);
        match tokio::io::copy_buf(&mut input, &mut send).await {
            Ok(_) => send.shutdown().await,
            Err(error) => {
                send.reset(CloseCode::new(0));
                Err(error)
            }
        }
    });
    let mut output = output;
    while let Some(chunk) = recv.read_chunk(CHUNK).await? {
        let written = async {
            output.write_all(&chunk).await?;
            output.flush().await
        };
        match written.await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            result => result?,
        }
    }
    upload.abort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alknet_core::{Alpn, Connection, SingleStream};
    use tokio::io::AsyncReadExt;

    async fn piped(input: &'static [u8], peer: impl AsyncFnOnce(tokio::io::DuplexStream)) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(64);
        let connection = Connection::new(SingleStream::new("pipe", near), Alpn::new("x").unwrap());
        let stream = connection.open_bi().await.unwrap();
        let mut output = Vec::new();
        let (result, ()) = tokio::join!(pipe(stream, input, &mut output), peer(far));
        result.unwrap();
        output
    }

    #[tokio::test]
    async fn the_peer_may_answer_after_the_end_of_the_input() {
        let output = piped(b"question", async |mut peer| {
            let mut question = String::new();
            peer.read_to_string(&mut question).await.unwrap();
            peer.write_all(format!("{question} answered").as_bytes()).await.unwrap();
        });
        assert_eq!(output.await, b"question answered");
    }

    #[tokio::test]
    async fn the_peer_may_end_while_input_is_still_to_come() {
        let (near, far) = tokio::io::duplex(64);
        let connection = Connection::new(SingleStream::new("pipe", near), Alpn::new("x").unwrap());
        let stream = connection.open_bi().await.unwrap();
        let (_never_written, input) = tokio::io::duplex(64);
        drop(far);
        pipe(stream, input, Vec::new()).await.unwrap();
    }
}
