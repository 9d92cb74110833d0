//! What alknet costs over the libraries that it stands on, and what a node needs to start and to be there.
//!
//! `cargo bench -p alknet-bench --bench node` measures everything in one run of less than three minutes and prints a
//! table; behind `--` it takes `--json`, and words of which one has to be in the name of a measurement. Nothing leaves
//! the loopback interface.
//!
//! The ratios compare [`ours`], an `Endpoint` with a handler, to [`bare`], the same exchange on quinn or tokio-rustls
//! directly, with the same TLS and QUIC settings ([`tls`]) and the same client. Both take turns in short rounds in one
//! process ([`compare`]), so that whatever else the machine does hits both.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot be made must end with the reason on the terminal"
)]

#[path = "../common/aim.rs"]
mod aim;
mod bare;
mod client;
mod compare;
mod exchange;
#[path = "../common/machine.rs"]
mod machine;
mod memory;
#[path = "../common/node.rs"]
mod node;
mod ours;
mod ratios;
mod report;
#[path = "../common/running.rs"]
mod running;
#[path = "../common/spread.rs"]
mod spread;
mod start;
mod tls;

use std::time::Instant;

use report::Report;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == bare::CHILD) {
        return bare::serve_until_killed();
    }
    // `cargo test --benches` runs this without `--bench`, and is after mistakes, not numbers.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return println!("measures only under cargo bench");
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    let words: Vec<_> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));

    let begin = Instant::now();
    let mut report = Report::new(machine::describe());
    ratios::measure(&mut report, wanted);
    start::measure(&mut report, wanted);
    memory::measure(&mut report, wanted);
    report.seconds = begin.elapsed().as_secs_f64();
    println!("{}", if json { report.to_json() } else { report.to_string() });
}
