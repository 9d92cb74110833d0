//! HTTP/2 (RFC 9113) as other programs speak it, well and badly.

use anyhow::{Context as _, ensure};

use crate::Test;
use crate::needs::{Need, python};
use crate::node::{Node, client};

const CONFORMANCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/http/h2_conformance.py");

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("http_h2_is_kept_to_and_asked_for", &[Need::PythonH2], conformance),
        Test::new("http_nghttp2_gets_many_answers_at_once", &[Need::Nghttp2], nghttp2),
    ]
}

/// Each thing that a client may do wrong ends the stream or the connection with the code that the RFC has for it.
fn conformance() -> anyhow::Result<()> {
    let node = Node::start()?;
    let (ok, said) = client(python(), &[CONFORMANCE, "127.0.0.1", &node.port.to_string(), &node.token], "")?;
    ensure!(ok, "{said}");
    let last = said.lines().last().unwrap_or_default();
    ensure!(last.ends_with(" of them as the RFC has it"), "{said}");
    node.still_serves()
}

fn nghttp2() -> anyhow::Result<()> {
    let node = Node::start()?;
    let url = format!("https://127.0.0.1:{}/healthz", node.port);
    let (ok, said) = client("nghttp", &["--no-verify-peer", "--timeout", "30s", &url], "")?;
    ensure!(ok && said.starts_with("ok\n"), "{said}");
    for (arguments, protocol) in [(&["--clients=4", "--max-concurrent-streams=32"][..], "h2"), (&["--h1"], "http/1.1")]
    {
        let arguments = [&["--requests=4000", "--connection-inactivity-timeout=30"][..], arguments, &[&url]].concat();
        let (ok, said) = client("h2load", &arguments, "")?;
        ensure!(ok && said.contains(&format!("Application protocol: {protocol}")), "{said}");
        let codes = said.lines().find(|line| line.starts_with("status codes:")).context("no status codes")?;
        ensure!(said.contains("4000 succeeded, 0 failed") && codes.contains("4000 2xx"), "{said}");
    }
    node.still_serves()
}
