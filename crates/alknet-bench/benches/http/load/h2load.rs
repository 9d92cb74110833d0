//! h2load, of nghttp2. Its log has each request with its time (h2load(1), `--log-file`); its output says what became of
//! connections.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Request, Taken, Target};
use crate::answer::question_file;
use crate::certificate::HOST;
use crate::program::Program;

pub(crate) const PROGRAM: Program = Program { name: "h2load", package: "nghttp2-client" };

const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn run(
    target: &Target<'_>,
    request: Request,
    requests: u64,
    clients: u64,
    streams: u64,
) -> Result<Taken, String> {
    let log = target.folder.join("h2load.log");
    // It would be appended to.
    let _ = fs::remove_file(&log);
    let output = PROGRAM.output(PATIENCE, |command| {
        command.args(["--threads=1", "--npn-list=h2", "--tls13-ciphers=TLS_AES_128_GCM_SHA256"]);
        for (option, value) in [("requests", requests), ("clients", clients), ("max-concurrent-streams", streams)] {
            command.arg(format!("--{option}={value}"));
        }
        command.arg(format!("--log-file={}", log.display()));
        ask_for(command, request, target);
    })?;
    if !output.contains("\nApplication protocol: h2\n") {
        return Err(format!("h2load did not come to speak h2: {}", summary(&output)));
    }
    let taken = read(&log)?;
    if taken.requests != requests {
        return Err(format!("{} of {requests} requests were answered: {}", taken.requests, summary(&output)));
    }
    Ok(taken)
}

fn ask_for(command: &mut Command, request: Request, target: &Target<'_>) {
    if request == Request::Info {
        command.arg(format!("--header=authorization: Bearer {}", target.token.reveal()));
        command.arg("--header=content-type: application/json");
        command.arg(format!("--data={}", question_file(target.folder).display()));
    }
    let port = target.server.port();
    command.arg(format!("--connect-to={}", target.server));
    command.arg(format!("https://{HOST}:{port}{}", request.path()));
}

/// The line of the output that counts failures.
fn summary(output: &str) -> &str {
    output.lines().find(|line| line.starts_with("requests:")).unwrap_or(output).trim()
}

/// A request, as the log has it.
struct Row {
    /// In microseconds, by the clock on the wall.
    begin: u64,
    status: i32,
    took: u64,
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut field = || fields.next();
        Some(Self { begin: field()?.parse().ok()?, status: field()?.parse().ok()?, took: field()?.parse().ok()? })
    }
}

fn read(log: &Path) -> Result<Taken, String> {
    let text = fs::read_to_string(log).map_err(|error| format!("h2load's log: {error}"))?;
    let row = |line| Row::parse(line).ok_or_else(|| format!("h2load's log has a line that is none: {line:?}"));
    let rows: Vec<_> = text.lines().map(row).collect::<Result<_, _>>()?;
    let failed: Vec<_> = rows.iter().filter(|row| !(200..300).contains(&row.status)).collect();
    if let Some(first) = failed.first() {
        return Err(format!("{} of {} requests failed, the first with {}", failed.len(), rows.len(), first.status));
    }
    let begin = rows.iter().map(|row| row.begin).min();
    let end = rows.iter().map(|row| row.begin + row.took).max();
    let (begin, end) = begin.zip(end).ok_or("h2load made no request")?;
    let mut times: Vec<_> = rows.iter().map(|row| row.took).collect();
    times.sort_unstable();
    let at = |part: f64| times[(part * (times.len() - 1) as f64).round() as usize] as f64;
    Ok(Taken { requests: rows.len() as u64, seconds: (end - begin) as f64 / 1e6, p50: at(0.5), p99: at(0.99) })
}
