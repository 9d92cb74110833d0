//! What a request costs through alknet, through nginx and through a bare axum: requests per second, latency and processor
//! time; and the memory of a server while bodies of 1 GiB go through it.
//!
//! `cargo bench -p alknet-bench --bench http` measures everything in one run of about three minutes and prints tables;
//! behind `--` it takes `--json`, `--seconds N` for the rounds of one table of requests, and words of which one has to be
//! in the name of a table. It wants the release build of `alknet`, and nginx, h2load, wrk and curl, which Debian has; what
//! is missing is named. Nothing leaves the loopback interface.
//!
//! The sides are the program `alknet` as a user runs it ([`node`], [`side`]), nginx ([`nginx`]) and axum on hyper and
//! tokio-rustls ([`bare`]). Each has its server in processes of its own with two workers, and all have one certificate
//! and the same TLS: 1.3, no tickets, and the cipher that the client names first. The clients are h2load and wrk
//! ([`load`]), and curl where bodies are large ([`memory`]). The sides take turns in short rounds ([`rounds`]), so that
//! whatever else the machine does hits all of them. Where the sides differ in what they do for a request, the peers do
//! less: to nginx `POST /node/info` is a fixed text, the bare axum compares the token to a constant.
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
#[allow(dead_code, reason = "the other benchmarks need the rest")]
#[path = "../common/aim.rs"]
mod aim;
mod answer;
mod arguments;
mod bare;
mod bodies;
#[path = "../common/certificate.rs"]
mod certificate;
mod curl;
mod load;
#[path = "../common/machine.rs"]
mod machine;
mod memory;
mod nginx;
#[allow(dead_code, reason = "the benchmark of the node needs the rest")]
#[path = "../common/node.rs"]
mod node;
#[path = "../common/process.rs"]
mod process;
#[path = "../common/program.rs"]
mod program;
#[allow(dead_code, reason = "the benchmark of calls needs the rest")]
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

use std::time::Instant;

use arguments::Arguments;
use program::Program;
use report::Report;
use tokio::runtime::{Builder, Runtime};

/// Of every server. The machine that the figures in the README are from has two cores.
const WORKERS: usize = 2;

/// The programs of others, and how they are asked for their version.
const PROGRAMS: [(Program, &str); 4] =
    [(nginx::PROGRAM, "-v"), (load::H2LOAD, "--version"), (load::WRK, "--version"), (curl::PROGRAM, "--version")];

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [role, rest @ ..] = &arguments[..] {
        match role.as_str() {
            bare::SERVE => return bare::serve_until_killed(rest),
            bodies::SERVE => return bodies::serve_until_killed(rest),
            _ => {}
        }
    }
    // `cargo test --benches` runs this without `--bench`, and is after mistakes, not numbers.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return println!("measures only under cargo bench");
    }
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("{wrong}");
            std::process::exit(2);
        }
    };

    let begin = Instant::now();
    let versions = PROGRAMS.map(|(program, argument)| program.version(argument).unwrap_or_else(|why| why));
    let mut report = Report::new(machine::describe(), versions.into());
    speed::measure(&mut report, &arguments);
    memory::measure(&mut report, &arguments);
    report.seconds = begin.elapsed().as_secs_f64();
    println!("{}", if arguments.json { report.to_json() } else { report.to_string() });
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap()
}
