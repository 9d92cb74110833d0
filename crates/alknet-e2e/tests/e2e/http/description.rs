//! `GET /openapi.json`, and whether what it gives is what it says that it is.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::Served;
use super::client::{VERSIONS, curl};
use crate::Test;
use crate::needs::{Need, python};
use crate::node::client;

const VALIDATOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/http/openapi_valid.py");

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("http_curl_gets_the_description_once", &[Need::Curl], description),
        Test::new("http_descriptions_are_valid", &[Need::Curl, Need::OpenApiTools], valid),
    ]
}

fn description() -> anyhow::Result<()> {
    let served = Served::start()?;
    let url = served.url("/openapi.json");
    for (version, _) in VERSIONS {
        let answer = curl(version, &served.token, &[&url])?;
        let document = answer.output()?;
        let marker = answer.header("x-alknet-api").context("there is no marker")?;
        let tag = answer.header("etag").context("there is no entity tag")?;
        ensure!(tag == format!("\"{marker}\""), "{tag} {marker}");
        let number = document["info"]["version"].as_str().and_then(|version| version.split_once('+'));
        ensure!(number.is_some_and(|(_, build)| marker.starts_with(build)), "{marker}: {}", document["info"]);
        ensure!(document["openapi"] == "3.1.1" && document["paths"]["/tty/attach"]["post"].is_object(), "{document}");

        let again = curl(version, &served.token, &["-H", &format!("If-None-Match: {tag}"), &url])?;
        ensure!(again.status == 304 && again.body.is_empty() && again.header("etag") == Some(tag), "{again:?}");
        let call = curl(version, &served.token, &["-X", "POST", &served.url("/node/info")])?;
        ensure!(call.header("x-alknet-api") == Some(marker), "each answer has the marker: {call:?}");

        // Another bearer may call less, and sees no more.
        let other = curl(version, &served.node.token, &["-H", &format!("If-None-Match: {tag}"), &url])?;
        let paths = other.output()?["paths"].clone();
        ensure!(paths["/node/info"].is_object() && paths["/tty/spawn"].is_null(), "{paths}");
        ensure!(paths["/config/reload"].is_null() && other.header("x-alknet-api") != Some(marker), "{other:?}");
    }
    Ok(())
}

fn valid() -> anyhow::Result<()> {
    let served = Served::start()?;
    let folder = served.node.folder.path();
    for (name, token) in [("user.json", &served.token), ("tester.json", &served.node.token)] {
        let document = curl("--http2", token, &[&served.url("/openapi.json")])?.output()?;
        validate(&folder.join(name), &document)?;
    }
    // Those that the unit tests hold the descriptions to.
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alknet-http/tests/golden");
    for file in ["operator.json", "guest.json"] {
        let file = golden.join(file);
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        validate(&folder.join("golden.json"), &serde_json::from_str(&text)?)?;
    }
    // The validator does find what is wrong.
    let wrong = serde_json::json!({ "openapi": "3.1.1", "info": { "title": "x" }, "paths": {} });
    ensure!(validate(&folder.join("wrong.json"), &wrong).is_err(), "a description without a version is valid");
    Ok(())
}

fn validate(file: &Path, document: &Value) -> anyhow::Result<()> {
    std::fs::write(file, document.to_string())?;
    let (ok, said) = client(python(), &[VALIDATOR, file.to_str().context("a path of text")?], "")?;
    ensure!(ok, "{said}");
    Ok(())
}
