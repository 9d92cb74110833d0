//! `openssl s_client`: dispatch by ALPN over TCP, and the alert for an unknown one.

use anyhow::ensure;

use crate::Test;
use crate::needs::Need;
use crate::node::{ALPNS, Node, client};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("openssl_negotiates_each_alpn_and_no_other", &[Need::OpenSsl], || check(&Node::start()?)),
        Test::new("openssl_without_alpn_is_an_http_client", &[Need::OpenSsl], without_alpn),
        Test::new(
            "openssl_client_certificate_over_an_ed25519_key_names_the_peer",
            &[Need::OpenSsl],
            client_certificate,
        ),
    ]
}

pub(crate) fn check(node: &Node) -> anyhow::Result<()> {
    for alpn in ALPNS {
        let (_, answer) = s_client(node, &["-alpn", alpn], "")?;
        ensure!(answer.contains(&format!("ALPN protocol: {alpn}")), "{alpn}: {answer}");
    }
    let (ok, answer) = s_client(node, &["-alpn", "no/such"], "")?;
    ensure!(!ok && answer.contains("SSL alert number 120"), "{answer}");
    node.wait_for_log(&["handshake failed", "offered=\"no/such\"", "transport=\"tls\""])
}

fn s_client(node: &Node, arguments: &[&str], input: &str) -> anyhow::Result<(bool, String)> {
    let address = format!("127.0.0.1:{}", node.port);
    client("openssl", &[&["s_client", "-connect", &address], arguments].concat(), input)
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn without_alpn() -> anyhow::Result<()> {
    let node = Node::start()?;
    let (ok, answer) = s_client(&node, &["-quiet", "-ign_eof"], HEALTH)?;
    ensure!(ok && answer.contains("HTTP/1.1 200 OK") && answer.contains("\r\n\r\nok\n"), "{answer}");
    Ok(())
}

fn client_certificate() -> anyhow::Result<()> {
    let node = Node::start()?;
    let folder = node.folder.path().display();
    let (key, certificate) = (format!("{folder}/client.key"), format!("{folder}/client.pem"));
    let request =
        ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x", "-keyout", &key, "-out", &certificate];
    let (ok, said) = client("openssl", &request, "")?;
    ensure!(ok, "{said}");
    // The raw public key is the end of its SubjectPublicKeyInfo.
    let public =
        std::process::Command::new("openssl").args(["pkey", "-in", &key, "-pubout", "-outform", "DER"]).output()?;
    let raw: String = public.stdout[public.stdout.len() - 32..].iter().map(|byte| format!("{byte:02x}")).collect();
    node.run_ok(&["peer", "add", "alice", "--fingerprint", &format!("ed25519:{raw}")])?;

    let json = r#"{"type":"call.requested","id":"1","payload":{"operationId":"/node/info","input":null}}"#;
    let frame = format!("\0\0\0{}{json}", char::from(u8::try_from(json.len())?));
    let with_key = ["-quiet", "-ign_eof", "-alpn", "alknet/call", "-cert", &certificate, "-key", &key];
    let mut child = std::process::Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", node.port)])
        .args(with_key)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    std::io::Write::write_all(child.stdin.as_mut().expect("it is piped"), frame.as_bytes())?;
    // The stream stays open, so only as much is read as the answer has.
    let mut length = [0; 4];
    let stdout = child.stdout.as_mut().expect("it is piped");
    std::io::Read::read_exact(stdout, &mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    std::io::Read::read_exact(stdout, &mut answer)?;
    child.kill()?;
    child.wait()?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    ensure!(answer["payload"]["output"]["caller"]["id"] == "alice", "{answer}");
    Ok(())
}
