//! curl calls operations, and reads metrics.

use anyhow::ensure;
use serde_json::json;

use super::Served;
use super::client::{VERSIONS, call, curl};
use crate::Test;
use crate::needs::Need;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("http_curl_calls_operations", &[Need::Curl], calls),
        Test::new("http_curl_reads_metrics", &[Need::Curl], metrics),
    ]
}

fn calls() -> anyhow::Result<()> {
    let served = Served::start()?;
    let token = &served.token;
    for (version, _) in VERSIONS {
        let call = |path: &str, input| call(version, token, &served.url(path), &input)?.output();
        let terminal = call("/tty/spawn", json!({ "rows": 7, "cols": 70 }))?;
        ensure!(terminal["command"] == "/bin/cat" && terminal["rows"] == 7, "{terminal}");
        call("/tty/resize", json!({ "id": terminal["id"], "rows": 8, "cols": 80 }))?;
        let listed = call("/tty/list", json!(null))?;
        ensure!(listed["terminals"][0]["id"] == terminal["id"] && listed["terminals"][0]["rows"] == 8, "{listed}");
        call("/tty/kill", json!({ "id": terminal["id"] }))?;
        // No body is as good as `null`, and needs no type.
        let listed = curl(version, token, &["-X", "POST", &served.url("/tty/list")])?.output()?;
        ensure!(listed["terminals"] == json!([]), "{listed}");
    }
    served.node.still_serves()
}

fn metrics() -> anyhow::Result<()> {
    let served = Served::start()?;
    for (version, _) in VERSIONS {
        let answer = curl(version, &served.token, &[&served.url("/metrics")])?;
        let kind = answer.header("content-type").unwrap_or_default();
        ensure!(answer.status == 200 && kind.starts_with("text/plain; version=0.0.4"), "{answer:?}");
        let listed = call(version, &served.token, &served.url("/metrics/list"), &json!(null))?.output()?;
        let first = listed["metrics"][0]["name"].as_str().unwrap_or_default();
        ensure!(!first.is_empty() && answer.body.contains(&format!("# TYPE {first} ")), "{first}: {answer:?}");
        let refused = curl(version, &served.node.token, &[&served.url("/metrics")])?;
        ensure!(refused.status == 403 && refused.json()?["code"] == "FORBIDDEN", "{refused:?}");
    }
    Ok(())
}
