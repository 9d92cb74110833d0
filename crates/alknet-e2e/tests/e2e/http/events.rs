//! curl follows subscriptions.

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Served;
use super::client::{Event, Events, VERSIONS, call};
use crate::Test;
use crate::needs::Need;

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("http_curl_follows_events_and_comes_back_for_the_rest", &[Need::Curl], resumed),
        Test::new("http_curl_is_told_the_end_of_events", &[Need::Curl], ended),
    ]
}

fn resumed() -> anyhow::Result<()> {
    let served = Served::start()?;
    for (version, _) in VERSIONS {
        let terminal = Terminal::spawn(&served, version)?;
        terminal.type_in("first\n")?;
        let (mut events, mut seen) = (terminal.attach(None)?, String::new());
        let last = loop {
            let event = events.next()?.context("the events ended")?;
            seen += &output(&event)?;
            // Typed once and printed once.
            if seen.matches("first").count() == 2 && seen.ends_with('\n') {
                break event.id.context("an event that can be resumed from has an id")?;
            }
        };
        drop(events);
        terminal.type_in("second\n")?;
        let (mut events, mut seen) = (terminal.attach(Some(&last))?, String::new());
        while seen.matches("second").count() < 2 {
            seen += &output(&events.next()?.context("the events ended")?)?;
        }
        ensure!(!seen.contains("first"), "what was received is not sent again: {seen:?}");
        terminal.kill()?;
    }
    served.node.still_serves()
}

fn ended() -> anyhow::Result<()> {
    let served = Served::start()?;
    for (version, _) in VERSIONS {
        let terminal = Terminal::spawn(&served, version)?;
        let mut events = terminal.attach(None)?;
        // The end of its input, to a program that reads lines.
        terminal.type_in("\u{4}")?;
        let mut exit = Value::Null;
        let last = loop {
            let event = events.next()?.context("no event said that it was the last")?;
            if !event.event.is_empty() {
                break event;
            }
            exit = serde_json::from_str(&event.data)?;
        };
        ensure!(exit == json!({ "exit": { "code": 0 } }) && last.event == "end", "{exit} {last:?}");
        ensure!(events.next()?.is_none(), "nothing follows the end");
    }
    served.node.still_serves()
}

struct Terminal<'a> {
    served: &'a Served,
    version: &'a str,
    id: Value,
}

impl<'a> Terminal<'a> {
    fn spawn(served: &'a Served, version: &'a str) -> anyhow::Result<Self> {
        let terminal = call(version, &served.token, &served.url("/tty/spawn"), &json!(null))?.output()?;
        Ok(Self { served, version, id: terminal["id"].clone() })
    }

    fn type_in(&self, text: &str) -> anyhow::Result<()> {
        self.call("/tty/write", &json!({ "id": self.id, "text": text }))
    }

    fn kill(&self) -> anyhow::Result<()> {
        self.call("/tty/kill", &json!({ "id": self.id }))
    }

    fn call(&self, path: &str, input: &Value) -> anyhow::Result<()> {
        call(self.version, &self.served.token, &self.served.url(path), input)?.output().map(drop)
    }

    fn attach(&self, last: Option<&str>) -> anyhow::Result<Events> {
        let url = self.served.url("/tty/attach");
        Events::of(self.version, &self.served.token, &url, &json!({ "id": self.id }), last)
    }
}

/// The text in an event of a terminal's output.
fn output(event: &Event) -> anyhow::Result<String> {
    let data: Value = serde_json::from_str(&event.data).with_context(|| format!("{event:?}"))?;
    let Some(base64) = data["output"].as_str() else { bail!("no output: {event:?}") };
    Ok(String::from_utf8(STANDARD.decode(base64)?)?)
}
