//! wrk. A script has it write its figures as JSON (wrk's SCRIPTING file, `done`).

use std::fs;
use std::time::Duration;

use serde::Deserialize;

use super::{Request, Taken, Target};
use crate::certificate::HOST;
use crate::program::Program;

pub(crate) const PROGRAM: Program = Program { name: "wrk", package: "wrk" };

const PATIENCE: Duration = Duration::from_secs(30);

/// Times are in microseconds.
const SCRIPT: &str = r#"
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
"#;

#[derive(Deserialize)]
struct Figures {
    requests: u64,
    duration: u64,
    p50: u64,
    p99: u64,
    status: u64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
}

pub(super) fn run(target: &Target<'_>, request: Request, connections: u64) -> Result<Taken, String> {
    assert!(request == Request::Health, "a request with a body would need a script of its own");
    let script = target.folder.join("figures.lua");
    fs::write(&script, SCRIPT).map_err(|error| error.to_string())?;
    let output = PROGRAM.output(PATIENCE, |command| {
        command.args(["--threads", "1", "--duration", "1s", "--connections", &connections.to_string(), "--script"]);
        command.arg(&script);
        // Not the address, which is no server name (RFC 6066 §3).
        command.arg(format!("https://{HOST}:{}{}", target.server.port(), request.path()));
    })?;
    let line = output.lines().last().unwrap_or_default();
    let figures: Figures = serde_json::from_str(line).map_err(|error| format!("wrk's figures: {error}: {output}"))?;
    let Figures { requests, status, connect, read, write, timeout, .. } = figures;
    if requests == 0 || status + connect + read + write + timeout > 0 {
        return Err(format!(
            "of {requests} requests {status} failed; connections failed {connect} times to open, {read} to be read, \
             {write} to be written, {timeout} in time"
        ));
    }
    let seconds = figures.duration as f64 / 1e6;
    Ok(Taken { requests, seconds, p50: figures.p50 as f64, p99: figures.p99 as f64 })
}
