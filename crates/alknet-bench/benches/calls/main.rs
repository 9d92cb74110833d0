//! What a call costs through alknet, through gRPC and through NATS: latency, calls per second, events per second, and the
//! memory of a call that waits.
//!
//! `cargo bench -p alknet-bench --bench calls` measures everything in one run of about two minutes and prints tables;
//! behind `--` it takes `--json`, and words of which one has to be in the name of a table. Nothing leaves the loopback
//! interface.
//!
//! The sides are an `Endpoint` with a `CallHandler` ([`ours`]), tonic ([`grpc`]) and a NATS server with a responder
//! ([`nats`]). Each has its server in processes of its own ([`side`]); the client of all is this process. All speak TLS
//! 1.3 with AES-256-GCM over TCP (ours is measured over QUIC as well), all programs in Rust run on Tokio with the same
//! number of workers, and the sides take turns in short rounds ([`rounds`]), so that whatever else the machine does hits
//! all of them. Where the sides differ in what they do for a message, the peers do less: tonic encodes it as a protocol
//! buffer, and with NATS it is bytes that nobody parses.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot be made must end with the reason on the terminal"
)]

#[path = "../common/again.rs"]
mod again;
#[path = "../common/aim.rs"]
mod aim;
mod caller;
#[path = "../common/certificate.rs"]
mod certificate;
mod grpc;
#[path = "../common/machine.rs"]
mod machine;
mod memory;
mod nats;
mod note;
mod ours;
#[allow(dead_code, reason = "the benchmark of HTTP needs the rest")]
#[path = "../common/process.rs"]
mod process;
#[allow(dead_code, reason = "the benchmark of HTTP needs the rest")]
#[path = "../common/program.rs"]
mod program;
#[allow(dead_code, reason = "the benchmark of HTTP needs the rest")]
#[path = "../common/report.rs"]
mod report;
#[path = "../common/rounds.rs"]
mod rounds;
#[path = "../common/running.rs"]
mod running;
mod side;
mod speed;
#[path = "../common/spread.rs"]
mod spread;
mod tls;

use std::time::Instant;

use report::Report;
use tokio::runtime::{Builder, Runtime};

/// Of every runtime in every process. The machine that the figures in the README are from has two cores.
const WORKERS: usize = 2;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [role, rest @ ..] = &arguments[..] {
        match role.as_str() {
            side::SERVE => return side::serve_until_killed(rest),
            memory::HOLD => return memory::hold_until_killed(rest),
            _ => {}
        }
    }
    // `cargo test --benches` runs this without `--bench`, and is after mistakes, not numbers.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return println!("measures only under cargo bench");
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    let words: Vec<_> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));

    let begin = Instant::now();
    let mut report = Report::new(machine::describe(), vec![nats::version().unwrap_or_else(|why| why)]);
    speed::measure(&mut report, wanted);
    memory::measure(&mut report, wanted);
    report.seconds = begin.elapsed().as_secs_f64();
    println!("{}", if json { report.to_json() } else { report.to_string() });
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap()
}
