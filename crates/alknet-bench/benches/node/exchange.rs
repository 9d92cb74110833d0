//! What client and server do on a stream. The first byte says what: the server answers it, takes bytes, or gives them.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The size of each write, and of the buffer of each read.
const CHUNK: usize = 64 * 1024;

const UPLOAD: u8 = b'u';
const DOWNLOAD: u8 = b'd';
const PING: u8 = b'p';

/// Any stream in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// What a client asks for.
#[derive(Clone, Copy)]
pub(crate) enum Exchange {
    /// One byte there and one back.
    Ping,
    /// That many bytes to the server, and one back when it has them all.
    Upload(u64),
    /// That many bytes to the client.
    Download(u64),
}

/// The server's side.
pub(crate) async fn answer(stream: &mut impl Stream) -> io::Result<()> {
    match stream.read_u8().await? {
        UPLOAD => {
            take_all(stream).await?;
            stream.write_u8(UPLOAD).await?;
        }
        DOWNLOAD => {
            let count = stream.read_u64().await?;
            give(stream, count).await?;
        }
        ping => stream.write_u8(ping).await?,
    }
    stream.shutdown().await
}

/// The client's side.
pub(crate) async fn ask(stream: &mut impl Stream, exchange: Exchange) -> io::Result<()> {
    match exchange {
        Exchange::Ping => {
            stream.write_u8(PING).await?;
            stream.flush().await?;
            assert_eq!(stream.read_u8().await?, PING);
        }
        Exchange::Upload(count) => {
            stream.write_u8(UPLOAD).await?;
            give(stream, count).await?;
            stream.shutdown().await?;
            assert_eq!(stream.read_u8().await?, UPLOAD);
        }
        Exchange::Download(count) => {
            stream.write_u8(DOWNLOAD).await?;
            stream.write_u64(count).await?;
            stream.flush().await?;
            assert_eq!(take_all(stream).await?, count);
        }
    }
    Ok(())
}

async fn give(stream: &mut impl Stream, count: u64) -> io::Result<()> {
    let chunk = vec![0x5a; CHUNK];
    let mut left = count;
    while left > 0 {
        let length = left.min(CHUNK as u64);
        stream.write_all(&chunk[..length as usize]).await?;
        left -= length;
    }
    stream.flush().await
}

async fn take_all(stream: &mut impl Stream) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let mut taken = 0;
    loop {
        match stream.read(&mut chunk).await? {
            0 => return Ok(taken),
            count => taken += count as u64,
        }
    }
}
