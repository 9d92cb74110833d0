//! `POST /node/info`, as our node answers it: the peers give the like.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alknet_core::Token;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::curl::{self, Version};

pub(crate) const PATH: &str = "/node/info";
/// What is sent; the operation takes anything.
const QUESTION: &str = "{}";

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NodeInfo {
    alpns: Vec<String>,
    caller: Caller,
    fingerprint: String,
    name: String,
    uptime_seconds: u64,
    version: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Caller {
    fingerprint: Option<String>,
    id: String,
    remote: Option<String>,
    scopes: Vec<String>,
    transport: String,
}

/// Asks the node, and writes question and answer into files of `folder`.
///
/// # Errors
/// When it does not answer, or not in this shape.
pub(crate) fn fetch(node: SocketAddr, token: &Token, folder: &Path) -> Result<(), String> {
    fs::write(question_file(folder), QUESTION).map_err(|error| error.to_string())?;
    let answer = curl::fetch(folder, node, PATH, Version::H2, |command| {
        command.args(["--header", &format!("authorization: Bearer {}", token.reveal())]);
        command.args(["--header", "content-type: application/json", "--data", QUESTION]);
    })?;
    fs::write(answer_file(folder), &answer.body).map_err(|error| error.to_string())?;
    // The peer has to write the same, in whatever order.
    let again = serde_json::to_value(read(folder)?).unwrap();
    let same = serde_json::from_str::<Value>(&answer.body).is_ok_and(|answer| answer == again);
    if same { Ok(()) } else { Err(format!("{PATH} has other fields than the peer's: {}", answer.body)) }
}

/// The answer that was fetched.
pub(crate) fn read(folder: &Path) -> Result<NodeInfo, String> {
    let text = fs::read(answer_file(folder)).map_err(|error| error.to_string())?;
    serde_json::from_slice(&text).map_err(|error| format!("{PATH}: {error}"))
}

/// How long it is.
pub(crate) fn length(folder: &Path) -> Result<u64, String> {
    fs::metadata(answer_file(folder)).map(|file| file.len()).map_err(|error| error.to_string())
}

pub(crate) fn question_file(folder: &Path) -> PathBuf {
    folder.join("question.json")
}

fn answer_file(folder: &Path) -> PathBuf {
    folder.join("answer.json")
}
