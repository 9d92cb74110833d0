//! A node with a decoy beside a real nginx, both behind TLS on a port of their own: whoever has no token gets the same
//! bytes from both.

#[path = "../../../alknet-http/tests/decoy/nginx.rs"]
pub(crate) mod nginx;
#[path = "../../../alknet-http/tests/decoy/requests.rs"]
mod requests;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Test;
use crate::needs::Need;
use crate::node::{Node, client, free_port};
use nginx::Nginx;
use requests::Request;

/// Nothing of this takes long, unless something hangs.
const LONG: Duration = Duration::from_secs(30);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("stealth_is_nginx_over_tls", &[Need::Nginx], over_tls),
        Test::new("stealth_is_nginx_to_curl_over_h2", &[Need::Nginx, Need::Curl], over_h2),
        Test::new("stealth_tells_nothing_without_tls_either", &[Need::Nginx], without_tls),
        Test::new("stealth_ends_with_a_token", &[Need::Nginx, Need::Curl], with_token),
    ]
}

/// A node and an nginx that show the same site with the same certificate.
struct Pair {
    node: Node,
    nginx: Nginx,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        fs::create_dir_all(at.join("site/dir"))?;
        fs::create_dir_all(at.join("site/unlisted"))?;
        fs::copy(nginx::file("/usr/share/nginx/html/index.html"), at.join("site/index.nginx-debian.html"))?;
        fs::write(at.join("site/dir/index.html"), "<p>A page in a folder.</p>\n")?;
        fs::write(at.join("site/text.txt"), "some text\n")?;
        fs::write(at.join("site/large.bin"), vec![b'x'; 300_000])?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let (certificate, key) = (at.join("certificate.pem"), at.join("key.pem"));
        fs::write(&certificate, made.cert.pem())?;
        fs::write(&key, made.signing_key.serialize_pem())?;
        let (certificate, key) = (certificate.display(), key.display());
        let nginx = Nginx::start(at, &format!("ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key}"))?;
        let mut node = Node::make(&[], &free_port()?.to_string())?;
        node.add_to_config(&format!("[http.decoy]\nfolder = \"{}\"", at.join("site").display()))?;
        let files = format!("certificates = [{{ certificate = \"{certificate}\", key = \"{key}\" }}]");
        let config = fs::read_to_string(node.config())?.replacen("[endpoint]", &format!("[endpoint]\n{files}"), 1);
        fs::write(node.config(), config)?;
        node.serve()?;
        Ok(Self { node, nginx, _folder: folder })
    }

    fn addresses(&self) -> anyhow::Result<[SocketAddr; 2]> {
        Ok([self.nginx.address, SocketAddr::from(([127, 0, 0, 1], self.node.port))])
    }

    /// What may differ between the two: dates, the numbers of boundaries, and the port in redirects.
    fn mask(&self, answer: &[u8]) -> String {
        let text = answer.escape_ascii().to_string();
        let text = text.replace(&format!(":{}", self.node.port), ":PORT");
        let text = text.replace(&format!(":{}", self.nginx.address.port()), ":PORT");
        let line = |line: &str| match line {
            date if date.to_ascii_lowercase().starts_with("date: ") => "Date: …".to_owned(),
            other => match other.find("boundary=").map(|at| at + 9).or(other.starts_with("--0").then_some(2)) {
                Some(at) => other.chars().take(at).collect(),
                None => other.to_owned(),
            },
        };
        text.replace("\\r\\n", "\n").lines().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn over_tls() -> anyhow::Result<()> {
    let pair = Pair::start()?;
    let [nginx, node] = pair.addresses()?;
    let connector = connector()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut compared = 0;
    let mut differences = String::new();
    // What asks for a wait in between is about time, which the tests of alknet-http have in their hands.
    let all = requests::groups().into_iter().flat_map(|(_, requests)| requests);
    for request in all.filter(|request| request.parts.len() == 1) {
        let [expected, found] = [nginx, node].map(|server| runtime.block_on(exchange(&connector, server, &request)));
        let context = || request.text.clone();
        let (expected, found) = (expected.with_context(context)?, found.with_context(context)?);
        let (expected, found) = (pair.mask(&expected), pair.mask(&found));
        if expected != found {
            differences += &format!("\n{}\n--- nginx\n{expected:.1500}\n--- node\n{found:.1500}\n", request.text);
        }
        compared += usize::from(expected.starts_with("HTTP/1.1 "));
    }
    ensure!(differences.is_empty(), "{differences}");
    ensure!(compared >= 200, "only {compared} requests were answered");
    pair.node.still_serves()
}

/// Sends a request and takes whatever comes until the server has had enough, or would wait for the next request.
async fn exchange(connector: &TlsConnector, server: SocketAddr, request: &Request) -> anyhow::Result<Vec<u8>> {
    let tcp = TcpStream::connect(server).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost")?, tcp).await?;
    let mut answer = Vec::new();
    let exchange = async {
        // A server may have had enough of it before it has all: what it has answered counts.
        let _ = stream.write_all(&request.parts[0]).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(LONG, exchange).await.with_context(|| format!("it hangs behind {}", answer.escape_ascii()))?;
    Ok(answer)
}

fn over_h2() -> anyhow::Result<()> {
    let pair = Pair::start()?;
    let bearer = "Authorization: Bearer alk_guess";
    for path_and_more in [
        &["/"][..],
        &["/", "--head"],
        &["/", "--header", "Accept-Encoding: gzip", "--output", "-"],
        &["/dir"],
        &["/dir/"],
        &["/unlisted/"],
        &["/text.txt", "--range", "2-4"],
        &["/text.txt", "--range", "0-1,3-4"],
        &["/text.txt", "--range", "100-"],
        &["/text.txt", "--header", "If-None-Match: *"],
        &["/large.bin", "--range", "299990-"],
        &["/healthz"],
        &["/openapi.json", "--header", bearer],
        &["/metrics", "--header", bearer],
        &["/call", "--header", bearer],
        &["/node/info", "--data", "{}", "--header", bearer],
        &["/", "--data", "x"],
        &["/", "--request", "DELETE"],
        &["/a/../../b", "--path-as-is"],
    ] {
        let answer = |server: SocketAddr| -> anyhow::Result<String> {
            let url = format!("https://{server}{}", path_and_more[0]);
            let always = ["--silent", "--show-error", "--insecure", "--http2", "--include", "--max-time", "30"];
            let arguments = [&always[..], &["--noproxy", "*", &url], &path_and_more[1..]].concat();
            let (ok, said) = client("curl", &arguments, "")?;
            ensure!(ok, "{path_and_more:?}: {said}");
            Ok(pair.mask(said.as_bytes()))
        };
        let [nginx, node] = pair.addresses()?;
        let (expected, found) = (answer(nginx)?, answer(node)?);
        ensure!(expected == found, "{path_and_more:?}\n--- nginx\n{expected}\n--- node\n{found}");
    }
    Ok(())
}

fn without_tls() -> anyhow::Result<()> {
    let pair = Pair::start()?;
    for request in
        ["GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"]
    {
        let answer = |server: SocketAddr| -> anyhow::Result<String> {
            use std::io::{Read as _, Write as _};
            let mut stream = std::net::TcpStream::connect(server)?;
            stream.set_read_timeout(Some(LONG))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = Vec::new();
            // Either may end with a reset.
            let _ = stream.read_to_end(&mut answer);
            Ok(pair.mask(&answer))
        };
        let [nginx, node] = pair.addresses()?;
        let (expected, found) = (answer(nginx)?, answer(node)?);
        ensure!(expected.contains("400 Bad Request") && expected == found, "--- nginx\n{expected}\n--- node\n{found}");
    }
    Ok(())
}

fn with_token() -> anyhow::Result<()> {
    let pair = Pair::start()?;
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://127.0.0.1:{}/node/info", pair.node.port);
        let bearer = format!("Authorization: Bearer {}", pair.node.token);
        let arguments = ["--silent", "--insecure", "--noproxy", "*", version, "-X", "POST", "-H", &bearer, &url];
        let (ok, said) = client("curl", &arguments, "")?;
        ensure!(ok && said.contains("\"name\":\"tested\""), "{said}");
    }
    // A folder that goes away is told when it is asked for, and the old one stays in force.
    let config = fs::read_to_string(pair.node.config())?;
    let broken = config.replace("/site\"", "/no-such-site\"");
    ensure!(broken != config, "the configuration names no site");
    fs::write(pair.node.config(), broken)?;
    pair.node.signal(rustix::process::Signal::HUP)?;
    pair.node.wait_for_log(&["not reloaded", "no-such-site"])?;
    pair.node.still_serves()
}

fn connector() -> anyhow::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Whom the client talks to is not what these tests are about.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
