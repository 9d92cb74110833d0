//! Services that describe themselves in OpenAPI, imported into a node and called through it, with an environment full of
//! credentials and proxies that must not be used.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::Test;
use crate::needs::Need;
use crate::node::{Node, free_port};
use crate::recorder::{Recorder, Request};

/// What the vault holds.
const CREDENTIAL: &str = "sk-from-the-vault-7f3a91";
/// What the environment holds.
const POISON: &str = "sk-from-the-environment-c0ffee";

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("imports_call_with_the_vaults_credential_and_nothing_else", &[Need::Descriptions], openai),
        Test::new("imports_leave_no_operation_unmentioned", &[Need::Descriptions], all_descriptions),
        Test::new("imports_that_are_not_exported_cannot_be_seen", &[], internal),
        Test::new("imports_without_their_credential_do_not_start", &[], no_credential),
        Test::new("imports_from_the_web_come_when_they_can_be_had", &[], from_the_web),
    ]
}

/// Where the descriptions of real services are.
pub(crate) fn descriptions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/openapi")
}

/// An address where nobody listens: a request that takes the proxy fails.
fn poisoned() -> anyhow::Result<Vec<(&'static str, String)>> {
    let nowhere = format!("http://127.0.0.1:{}", free_port()?);
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let keys = ["OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "GITHUB_TOKEN", "AUTHORIZATION", "API_KEY"];
    let proxies = proxies.map(|name| (name, nowhere.clone()));
    Ok(keys.map(|name| (name, POISON.to_owned())).into_iter().chain(proxies).collect())
}

/// A node with an entry of `[[import]]`, and `CREDENTIAL` in its vault.
fn importing(entry: &str) -> anyhow::Result<Node> {
    let node = Node::make(&[], &free_port()?.to_string())?;
    node.add_to_config(entry)?;
    let secret = node.folder.path().join("secret");
    std::fs::write(&secret, CREDENTIAL)?;
    node.run_ok(&["vault", "encrypt", "--name", "service", secret.to_str().context("a plain path")?])?;
    std::fs::remove_file(secret)?;
    Ok(node)
}

fn serve(node: &mut Node) -> anyhow::Result<()> {
    let poisoned = poisoned()?;
    let environment: Vec<_> = poisoned.iter().map(|(name, value)| (*name, value.as_str())).collect();
    node.serve_with(&[&environment[..], &[("ALKNET_LOG", "trace")]].concat())
}

fn completion(request: &Request) -> (&'static str, String) {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if body["stream"] == true {
        let events = [
            json!({ "choices": [{ "delta": { "content": "hel" } }] }),
            json!({ "choices": [{ "delta": { "content": "lo" } }] }),
        ];
        let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        return ("text/event-stream", events + "data: [DONE]\n\n");
    }
    // A service that repeats what it was sent must not make us repeat it.
    let echo = request.header("authorization").unwrap_or("none");
    ("application/json", json!({ "id": "c-1", "object": "chat.completion", "note": echo }).to_string())
}

fn openai() -> anyhow::Result<()> {
    let service = Recorder::start(completion)?;
    let entry = format!(
        "[[import]]\nfrom = \"openapi\"\nname = \"openai\"\nspec = \"{}\"\nserver = \"{}/v1\"\n\
         operations = [\"create-chat-completion*\"]\ncredential = \"service\"\nexport = true\n\
         required_scopes = [\"demo:use\"]\n",
        descriptions().join("openai.yaml").display(),
        service.url()
    );
    let mut node = importing(&entry)?;
    serve(&mut node)?;
    let token = node.folder.path().join("token");
    std::fs::write(&token, &node.token)?;
    let name = node.name_at("127.0.0.1");
    let call = |operation: &str| -> anyhow::Result<String> {
        let input =
            json!({ "body": { "model": "gpt-5", "messages": [{ "role": "user", "content": "hi" }] } }).to_string();
        let token = token.to_str().context("a plain path")?;
        node.run_ok(&["call", &name, operation, &input, "--json", "--token-file", token])
    };

    let answer = call("/openai/create-chat-completion")?;
    let request = service.take().pop().context("the service was asked nothing")?;
    ensure!((&*request.method, &*request.target) == ("POST", "/v1/chat/completions"), "{request:?}");
    let sent: Value = serde_json::from_slice(&request.body)?;
    ensure!(sent["model"] == "gpt-5" && sent["stream"] != true, "{sent}");
    only_the_vaults(&request)?;
    ensure!(serde_json::from_str::<Value>(&answer)?["id"] == "c-1", "{answer}");

    let events = call("/openai/create-chat-completion-stream")?;
    let request = service.take().pop().context("the service was asked nothing")?;
    ensure!(serde_json::from_slice::<Value>(&request.body)?["stream"] == true, "{request:?}");
    only_the_vaults(&request)?;
    let deltas: Vec<Value> = events.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(deltas.len() == 2 && deltas[1]["choices"][0]["delta"]["content"] == "lo", "{events}");

    let schema = node.run_ok(&[
        "services",
        &name,
        "--schema",
        "openai/create-chat-completion",
        "--token-file",
        token.to_str().context("a plain path")?,
    ])?;
    node.stop()?;
    for (what, text) in
        [("the answer", &answer), ("the events", &events), ("the schema", &schema), ("the log", &node.log())]
    {
        ensure!(!text.contains(CREDENTIAL), "the credential is in {what}:\n{text}");
        ensure!(!text.contains(POISON), "the environment's key is in {what}:\n{text}");
    }
    Ok(())
}

/// The credential is where it belongs, and nothing of the environment is anywhere.
fn only_the_vaults(request: &Request) -> anyhow::Result<()> {
    ensure!(request.header("authorization") == Some(&format!("Bearer {CREDENTIAL}")), "{request:?}");
    ensure!(!request.everything().contains(POISON), "{request:?}");
    ensure!(request.everything().matches(CREDENTIAL).count() == 1, "{request:?}");
    Ok(())
}

fn all_descriptions() -> anyhow::Result<()> {
    let node = Node::make(&[], &free_port()?.to_string())?;
    let mut files = 0;
    for file in std::fs::read_dir(descriptions())? {
        let path = file?.path();
        let text = std::fs::read_to_string(&path)?;
        let listed: Value = serde_json::from_str(&node.run_ok(&[
            "import",
            "list",
            path.to_str().context("a plain path")?,
            "--json",
            "--server",
            "https://x.example",
        ])?)?;
        let count = |key: &str| listed[key].as_array().map_or(0, Vec::len);
        let expected = operations_in(&path, &text)?;
        let mentioned: std::collections::BTreeSet<_> = ["operations", "left_out"]
            .iter()
            .flat_map(|key| listed[key].as_array().into_iter().flatten())
            .filter_map(|entry| Some(format!("{} {}", entry["method"].as_str()?, entry["path"].as_str()?)))
            .collect();
        ensure!(mentioned == expected, "{}: {mentioned:?} instead of {expected:?}", path.display());
        ensure!(count("left_out") == 0, "{}: {}", path.display(), listed["left_out"]);
        files += 1;
    }
    ensure!(files >= 8, "only {files} descriptions are there");
    Ok(())
}

/// The operations of a description, by another reader of it.
fn operations_in(path: &Path, text: &str) -> anyhow::Result<std::collections::BTreeSet<String>> {
    let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let mut found = std::collections::BTreeSet::new();
    if path.extension().is_some_and(|extension| extension == "json") {
        let document: Value = serde_json::from_str(text)?;
        for (path, item) in document["paths"].as_object().context("no paths")? {
            let present = methods.iter().filter(|method| item.get(**method).is_some());
            found.extend(present.map(|method| format!("{} {path}", method.to_uppercase())));
        }
        return Ok(found);
    }
    // These files are indented by two spaces a level: that is enough to find the methods of the paths.
    let (mut inside, mut current) = (false, String::new());
    for line in text.lines() {
        let level = line.len() - line.trim_start().len();
        let key = line.trim().trim_end_matches(':').trim_matches(['\'', '"']);
        match level {
            0 if !line.trim().is_empty() && !line.starts_with('#') => inside = line.trim() == "paths:",
            2 if inside && key.starts_with('/') => current = key.to_owned(),
            // A query in a path is a parameter of the operation.
            4 if inside && methods.contains(&key) => {
                let path = current.split('?').next().unwrap_or_default();
                found.insert(format!("{} {path}", key.to_uppercase()));
            }
            _ => {}
        }
    }
    Ok(found)
}

const SMALL: &str = r#"{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/ping": {"get": {"operationId": "ping",
    "responses": {"200": {"description": "ok", "content": {"application/json": {"schema": {"type": "object"}}}}}}}}}"#;

fn small_entry(service: &Recorder, more: &str) -> String {
    format!(
        "[[import]]\nfrom = \"openapi\"\nname = \"small\"\nspec = \"small.json\"\nserver = \"{}\"\noperations = [\"**\"]\n{more}\n",
        service.url()
    )
}

fn internal() -> anyhow::Result<()> {
    let service = Recorder::start(|_| ("application/json", "{}".to_owned()))?;
    let mut node = importing(&small_entry(&service, ""))?;
    std::fs::write(node.folder.path().join("small.json"), SMALL)?;
    node.serve()?;
    let name = node.name_at("127.0.0.1");
    let refused = node.run_err(&["call", &name, "/small/ping"])?;
    ensure!(refused.contains("NOT_FOUND"), "{refused}");
    ensure!(service.take().is_empty(), "the service was asked");
    // The same with one line more: so that line it is.
    let config = std::fs::read_to_string(node.config())?;
    std::fs::write(node.config(), config.replace("name = \"small\"", "name = \"small\"\nexport = true"))?;
    node.signal(rustix::process::Signal::HUP)?;
    node.wait_for_notice("READY=1")?;
    ensure!(node.run_ok(&["call", &name, "/small/ping", "--json"])?.trim() == "{}", "no answer");
    ensure!(service.take().len() == 1, "the service was not asked");
    node.still_serves()
}

fn no_credential() -> anyhow::Result<()> {
    let service = Recorder::start(|_| ("application/json", "{}".to_owned()))?;
    let node = importing(&small_entry(&service, "credential = \"other\""))?;
    std::fs::write(node.folder.path().join("small.json"), SMALL)?;
    let said = node.run_err(&["serve"])?;
    ensure!(said.contains("alknet vault encrypt --name other"), "{said}");
    Ok(())
}

fn from_the_web() -> anyhow::Result<()> {
    let service = Recorder::start(|request| match &*request.target {
        "/small.json" => ("application/json", SMALL.to_owned()),
        _ => ("application/json", "{\"pong\":true}".to_owned()),
    })?;
    let entry = small_entry(&service, "export = true").replace("small.json", &format!("{}/small.json", service.url()));
    let mut node = importing(&entry)?;
    serve(&mut node)?;
    node.wait_for_log(&["imported", "small"])?;
    let answer = node.run_ok(&["call", &node.name_at("127.0.0.1"), "/small/ping", "--json"])?;
    ensure!(answer.contains("pong"), "{answer}");
    Ok(())
}
