//! aioquic: a QUIC and TLS stack that shares no code with ours.

use anyhow::ensure;

use crate::Test;
use crate::needs::{Need, python};
use crate::node::{Node, client};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/aioquic_client.py");

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("aioquic_completes_a_call_over_x509", &[Need::Aioquic], || check(&Node::start()?)),
        Test::new("aioquic_is_refused_an_unknown_alpn_and_no_alpn", &[Need::Aioquic], refused),
    ]
}

pub(crate) fn check(node: &Node) -> anyhow::Result<()> {
    for host in ["127.0.0.1", "::1"] {
        let arguments = [CLIENT, host, &node.port.to_string(), "alknet/call", "/node/info", &node.token];
        let (ok, said) = client(python(), &arguments, "")?;
        ensure!(ok, "{said}");
        let answer: serde_json::Value = serde_json::from_str(said.lines().last().unwrap_or_default())?;
        ensure!(answer["type"] == "call.responded", "{answer}");
        let output = &answer["payload"]["output"];
        ensure!(output["fingerprint"] == node.fingerprint.as_str() && output["caller"]["id"] == "tester", "{answer}");
    }
    Ok(())
}

fn refused() -> anyhow::Result<()> {
    let node = Node::start()?;
    for alpn in ["no/such", ""] {
        let arguments = [CLIENT, "127.0.0.1", &node.port.to_string(), alpn, "/node/info", ""];
        let (ok, said) = client(python(), &arguments, "")?;
        // CRYPTO_ERROR 0x100 plus the TLS alert 120 (RFC 9001 §4.8).
        ensure!(!ok && said.contains("closed with 0x178"), "{alpn:?}: {said}");
    }
    node.wait_for_log(&["handshake failed", "offered=\"no/such\"", "transport=\"quic\""])?;
    node.still_serves()
}
