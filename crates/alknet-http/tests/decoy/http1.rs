//! `http/1.1` and older.

use std::net::SocketAddr;
use std::time::Duration;

use alknet_http::decoy::{Decoy, Front};
use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::nginx::Nginx;
use crate::requests::Request;
use crate::site::Kind;

/// Nothing of this takes long, unless something hangs.
const LONG: Duration = Duration::from_secs(20);

pub(crate) fn compare(kind: Kind, requests: &[Request]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let decoy = kind.set_up(&folder.path().join("site"))?;
    let nginx = Nginx::start(folder.path(), "")?;
    let front = Front { is_tls: false, local: nginx.address };
    compare_all(nginx.address, requests, move |stream| {
        let decoy = decoy.clone();
        async move {
            let _ = decoy.serve_http1(stream, front, |_| false, std::future::pending()).await;
        }
    })
}

/// What a client gets that forgets TLS.
pub(crate) fn compare_plain_on_tls() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let decoy = Kind::Page.set_up(&folder.path().join("site"))?;
    let key = folder.path().join("key.pem");
    let certificate = folder.path().join("certificate.pem");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    std::fs::write(&certificate, made.cert.pem())?;
    let (key, certificate) = (key.display(), certificate.display());
    let nginx =
        Nginx::start(folder.path(), &format!("ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key}"))?;
    let front = Front { is_tls: true, local: nginx.address };
    // A first byte of a handshake is one, and then it is about TLS.
    let is_plain = |request: &Request| !request.parts[0].starts_with(b"\x16") && !request.text.contains("\\p");
    let requests: Vec<_> = crate::requests::groups().into_iter().flat_map(|(_, requests)| requests).collect();
    let requests: Vec<_> = requests.into_iter().filter(is_plain).collect();
    compare_all(nginx.address, &requests, move |stream| {
        let decoy: Decoy = decoy.clone();
        async move {
            let _ = decoy.serve_plain_on_tls(stream, front).await;
        }
    })
}

fn compare_all<F>(
    nginx: SocketAddr,
    requests: &[Request],
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> anyhow::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let decoy = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream));
            }
        });
        let mut differences = String::new();
        for request in requests {
            let expected = exchange(nginx, request).await.with_context(|| format!("nginx: {}", request.text))?;
            let found = exchange(decoy, request).await.with_context(|| format!("the decoy: {}", request.text))?;
            let (expected, found) = (mask(&expected), mask(&found));
            if expected != found {
                differences +=
                    &format!("\n{}\n--- nginx\n{}\n--- decoy\n{}\n", request.text, shorten(&expected), shorten(&found));
            }
        }
        if !differences.is_empty() {
            bail!("{differences}");
        }
        Ok(())
    })
}

/// Everything that a server answers.
async fn exchange(server: SocketAddr, request: &Request) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let mut answer = Vec::new();
    timeout(LONG, async {
        let (mut read, mut write) = stream.split();
        for (index, part) in request.parts.iter().enumerate() {
            if index > 0 && read.read_buf(&mut answer).await? == 0 {
                bail!("the connection ended before {:?}", String::from_utf8_lossy(part));
            }
            // A server may have had enough of it: what it has answered counts.
            let sent = async {
                write.write_all(part).await?;
                if index + 1 == request.parts.len() { write.shutdown().await } else { Ok(()) }
            };
            let _ = sent.await;
        }
        let _ = read.read_to_end(&mut answer).await;
        Ok(())
    })
    .await
    .with_context(|| format!("it hangs behind {}", shorten(&answer)))??;
    Ok(answer)
}

/// Replaces dates and the numbers of boundaries.
fn mask(answer: &[u8]) -> Vec<u8> {
    let mut masked = answer.to_vec();
    for at in 0..masked.len() {
        if masked[at..].starts_with(b"\r\nDate: ") {
            let date = masked[at + 8..].iter_mut().take_while(|byte| **byte != b'\r');
            date.for_each(|byte| *byte = b'_');
        }
        let is_boundary = masked[at..].starts_with(b"boundary=00") || masked[at..].starts_with(b"\r\n--00");
        if is_boundary {
            let boundary = masked[at + 4..].iter_mut().skip_while(|byte| **byte != b'0').take(20);
            boundary.for_each(|byte| *byte = b'_');
        }
    }
    masked
}

fn shorten(answer: &[u8]) -> String {
    const MOST: usize = 1500;
    let text = answer.escape_ascii().to_string().replace("\\r\\n", "\n").replace("\\n", "\n");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], answer.len()),
        None => text,
    }
}
