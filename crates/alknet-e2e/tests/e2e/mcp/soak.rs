//! Clients that are killed leave nothing behind.

use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::Script;
use super::everything::Everything;
use crate::Test;
use crate::needs::Need;
use crate::node::{Node, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/mcp/soak.py");

/// How many clients are killed.
const CLIENTS: u32 = 2000;

/// How many are killed before that, until memory is what it is with so many at once.
const WARMING: u32 = 4000;

/// What of memory the allocator may keep for later.
const SLACK_KIB: u64 = 8 * 1024;

const CONFIG: &str = "[http.mcp]\nmax_sessions_per_peer = 1024\nmax_calls_per_peer = 1024\nsession_idle_seconds = 5\n\
    resume_seconds = 1\n[endpoint.limits]\nmax_connections_per_address = 4096";

pub(super) fn tests() -> Vec<Test> {
    vec![Test::new("mcp_clients_that_are_killed_leave_nothing", &[Need::Python, Need::Curl], leave_nothing)]
}

fn leave_nothing() -> anyhow::Result<()> {
    let everything = Everything::start(CONFIG)?;
    let node = &everything.node;
    node.run_ok(&["peer", "add", "watcher", "--scope", "metrics:read"])?;
    let watcher = Watcher { pid: node.pid()?, token: node.new_token("watcher")?, node };
    kill(node, WARMING, 1)?;
    let before = watcher.settled(None)?;
    kill(node, CLIENTS, 2)?;
    let after = watcher.settled(Some(&before))?;
    ensure!(after.kib <= before.kib + SLACK_KIB, "memory grew: {before}; then {after}");
    node.still_serves()
}

fn kill(node: &Node, count: u32, seed: u32) -> anyhow::Result<()> {
    let mut command = Command::new("python3");
    command.args([SCRIPT, &node.port.to_string(), &count.to_string(), &seed.to_string()]);
    let mut script = Script::start(command, &node.token)?;
    let points = script.read()?;
    ensure!(points.as_object().is_some_and(|points| points.len() > 8), "too few kinds of points: {points}");
    script.end()
}

/// What a node holds.
struct Held {
    descriptors: usize,
    tasks: u64,
    kib: u64,
    /// Sessions, calls, streams and requests that are under way.
    under_way: u64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, tasks, kib, under_way } = self;
        write!(f, "{descriptors} descriptors, {tasks} tasks, {kib} KiB, {under_way} under way")
    }
}

struct Watcher<'a> {
    node: &'a Node,
    pid: u32,
    token: String,
}

impl Watcher<'_> {
    /// Waits until nothing is under way, and no more descriptors are open than before.
    fn settled(&self, before: Option<&Held>) -> anyhow::Result<Held> {
        let mut held = self.look()?;
        until(&format!("that the node has let go of all; it holds {held}"), || {
            let Ok(now) = self.look() else { return false };
            held = now;
            held.under_way == 0
                && before.is_none_or(|before| held.descriptors <= before.descriptors && held.tasks <= before.tasks)
        })?;
        Ok(held)
    }

    fn look(&self) -> anyhow::Result<Held> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
            Ok(line.trim_matches([':', ' ', '\t', 'k', 'B']).parse()?)
        };
        Ok(Held {
            descriptors: fs::read_dir(format!("/proc/{}/fd", self.pid))?.count(),
            kib: field("RssAnon")?,
            tasks: self.metrics(&["alknet_tasks_alive"])?,
            under_way: self.metrics(&["alknet_mcp_", "alknet_runs_running", "alknet_http_streams_open"])?,
        })
    }

    /// The sum of all whose names begin so.
    fn metrics(&self, names: &[&str]) -> anyhow::Result<u64> {
        let url = format!("https://127.0.0.1:{}/metrics", self.node.port);
        let authorization = format!("Authorization: Bearer {}", self.token);
        let output = Command::new("curl").args(["-sk", "--fail", "-H", &authorization, &url]).output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(text.contains("alknet_mcp_sessions_open") && text.contains("alknet_runs_running"), "{text}");
        let values = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
        values.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?)).sum()
    }
}
