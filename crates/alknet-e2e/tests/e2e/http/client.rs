//! curl, and what it prints.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::node::client;

/// curl's options for the two versions of HTTP, and how each is written in a status line.
pub(super) const VERSIONS: [(&str, &str); 2] = [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")];

/// The head is printed as it comes, which `--include` does not do.
const OPTIONS: [&str; 7] = ["--silent", "--show-error", "--insecure", "--dump-header", "-", "--noproxy", "*"];

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The lines of the head after the first, without that of the date, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {self:?}"))
    }

    /// The body of a successful call.
    pub(super) fn output(&self) -> anyhow::Result<Value> {
        ensure!(self.status == 200 && self.header("content-type") == Some("application/json"), "{self:?}");
        self.json()
    }
}

/// A request with `version`, an option of curl's; without a token if `token` is empty.
pub(super) fn curl(version: &str, token: &str, arguments: &[&str]) -> anyhow::Result<Answer> {
    let bearer = format!("Authorization: Bearer {token}");
    let bearer = if token.is_empty() { vec![] } else { vec!["-H", &bearer] };
    let options = [&OPTIONS[..], &["--max-time", "30", version, "-H", "Expect:"], &bearer, arguments].concat();
    let (ok, said) = client("curl", &options, "")?;
    ensure!(ok, "{arguments:?}: {said}");
    let (head, body) = said.split_once("\r\n\r\n").with_context(|| format!("no answer: {said}"))?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
    let headers =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    Ok(Answer {
        status: status.parse()?,
        headers: headers.filter(|(name, _)| name != "date").collect(),
        body: body.to_owned(),
    })
}

/// Calls an operation with a JSON body.
pub(super) fn call(version: &str, token: &str, url: &str, input: &Value) -> anyhow::Result<Answer> {
    let body = input.to_string();
    curl(version, token, &["-H", "Content-Type: application/json", "--data-binary", &body, url])
}

/// Server-sent events, as they come. Dropping them ends curl.
pub(super) struct Events {
    curl: Child,
    lines: BufReader<ChildStdout>,
}

/// An event (WHATWG HTML §9.2).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) event: String,
    pub(super) id: Option<String>,
    pub(super) data: String,
}

impl Events {
    /// Subscribes to an operation, behind the event `last` if there is one.
    pub(super) fn of(version: &str, token: &str, url: &str, input: &Value, last: Option<&str>) -> anyhow::Result<Self> {
        let mut command = Command::new("curl");
        command.args(OPTIONS).args(["--no-buffer", "--max-time", "60", version]);
        command.args(["-H", &format!("Authorization: Bearer {token}"), "-H", "Accept: text/event-stream"]);
        if let Some(id) = last {
            command.args(["-H", &format!("Last-Event-ID: {id}")]);
        }
        command.args(["-H", "Content-Type: application/json", "--data-binary", &input.to_string(), url]);
        let mut curl = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run curl")?;
        let lines = BufReader::new(curl.stdout.take().context("it is piped")?);
        let mut events = Self { curl, lines };
        let mut head = String::new();
        while events.lines.read_line(&mut head)? > 0 && !head.ends_with("\r\n\r\n") {}
        let head = head.to_lowercase();
        ensure!(head.contains(" 200") && head.contains("content-type: text/event-stream"), "{head}");
        Ok(events)
    }

    /// The next event; none after the end of the answer.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Event>> {
        let mut event = Event::default();
        let mut line = String::new();
        while self.lines.read_line(&mut line)? > 0 {
            let (field, value) = line.trim_end_matches(['\r', '\n']).split_once(':').unwrap_or((line.trim_end(), ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match field {
                "" if event == Event::default() => {}
                "" if line.starts_with(':') => {}
                "" => return Ok(Some(event)),
                "event" => event.event = value,
                "id" => event.id = Some(value),
                "data" => event.data += &value,
                _ => {}
            }
            line.clear();
        }
        ensure!(event == Event::default(), "an event broke off: {event:?}");
        Ok(None)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.curl.kill();
        let _ = self.curl.wait();
    }
}
