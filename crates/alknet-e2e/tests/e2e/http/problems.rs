//! What curl is told when something is wrong.

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::Served;
use super::client::{Answer, VERSIONS, call, curl};
use crate::Test;
use crate::needs::Need;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("http_each_failure_is_a_problem_document", &[Need::Curl], problems),
        Test::new("http_without_a_token_all_answers_are_one", &[Need::Curl], strangers),
    ]
}

const JSON: &str = "Content-Type: application/json";

fn problems() -> anyhow::Result<()> {
    let served = Served::start()?;
    let long = served.node.folder.path().join("long");
    std::fs::write(&long, vec![b' '; 1024 * 1024 + 1])?;
    let long = format!("@{}", long.to_str().context("a path of text")?);
    let url = |path: &str| served.url(path);
    for (version, _) in VERSIONS {
        let send = |arguments: &[&str]| curl(version, &served.token, arguments);
        let allowed = send(&[&url("/node/info")])?;
        ensure!(allowed.header("allow").is_some_and(|allow| allow.starts_with("POST")), "{allowed:?}");
        is_problem(&allowed, 405, None)?;

        is_problem(&send(&["-X", "POST", &url("/no/such")])?, 404, Some("NOT_FOUND"))?;
        is_problem(&send(&["-H", "Content-Type: text/plain", "-d", "{}", &url("/tty/spawn")])?, 415, None)?;
        is_problem(&send(&["-H", JSON, "-d", "{", &url("/tty/spawn")])?, 400, Some("INVALID_INPUT"))?;
        is_problem(&send(&["-H", JSON, "--data-binary", &long, &url("/tty/spawn")])?, 413, None)?;
        let subscribed = ["-H", JSON, "-H", "Accept: application/json", "-d", "null", &url("/resources/watch")];
        is_problem(&send(&subscribed)?, 406, None)?;

        let call = |path: &str, input| call(version, &served.token, &url(path), &input);
        let wrong = call("/tty/spawn", json!({ "rows": "many" }))?;
        is_problem(&wrong, 400, Some("INVALID_INPUT"))?;
        ensure!(wrong.body.contains("/rows"), "the place is named: {wrong:?}");
        is_problem(&call("/tty/kill", json!({ "id": "t-none" }))?, 403, Some("FORBIDDEN"))?;
        is_problem(&call("/tty/spawn", json!({ "command": "/no/such/program" }))?, 422, Some("SPAWN_FAILED"))?;
        is_problem(&call("/config/reload", json!(null))?, 403, Some("FORBIDDEN"))?;
    }
    served.node.still_serves()
}

/// Whether an answer is a problem document (RFC 9457) with this status, and this code if one is given.
fn is_problem(answer: &Answer, status: u16, code: Option<&str>) -> anyhow::Result<()> {
    let problem = answer.json()?;
    let as_said = answer.status == status
        && answer.header("content-type") == Some("application/problem+json")
        && problem["status"] == status
        && code.is_none_or(|code| problem["code"] == code);
    let whole = ["type", "title", "detail", "code"].iter().all(|member| problem[member].is_string());
    ensure!(as_said && whole && problem["retryable"].is_boolean(), "not a problem with {status} {code:?}: {answer:?}");
    Ok(())
}

fn strangers() -> anyhow::Result<()> {
    let served = Served::start()?;
    for (version, _) in VERSIONS {
        for token in ["", "alk_guessed"] {
            let send = |arguments: &[&str]| curl(version, token, arguments);
            let expected = send(&[&served.url("/")])?;
            is_problem(&expected, 401, Some("UNAUTHENTICATED"))?;
            let challenge = expected.header("www-authenticate");
            ensure!(challenge.is_some_and(|challenge| challenge.starts_with("Bearer")), "{expected:?}");
            for path in ["/node/info", "/no/such", "/openapi.json", "/metrics", "/call", "/tty/attach"] {
                let url = served.url(path);
                for arguments in [&["-X", "POST", &url][..], &[&url], &["-X", "OPTIONS", &url], &["-d", "{", &url]] {
                    let answer = send(arguments)?;
                    ensure!(answer == expected, "{arguments:?} can be told apart:\n{answer:?}\n{expected:?}");
                }
            }
        }
    }
    served.node.still_serves()
}
