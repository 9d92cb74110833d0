//! What it costs to ask, to record and to keep who owns what, with a million resources of a thousand owners.
//!
//! `cargo bench -p alknet-bench --bench ownership` measures everything in one run of about a minute and prints it. The
//! ratios compare `owns` to one lookup with borrowed texts in a plain hash table ([`rivals`]), which has no locks, no
//! lists by owner and no watchers. Both take turns in short legs ([`turns`]) and are asked the same in the same order.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot be made must end with the reason on the terminal"
)]

#[allow(dead_code, reason = "the other benchmark needs the rest")]
#[path = "../common/machine.rs"]
mod machine;
mod memory;
mod population;
mod reads;
mod rivals;
mod turns;
mod writes;

use alknet_core::MemoryOwnership;
use population::Population;
use rivals::{Locked, Plain};

fn main() {
    // `cargo test --benches` runs this without `--bench`, and is after mistakes, not numbers.
    if !std::env::args().any(|argument| argument == "--bench") {
        return println!("measures only under cargo bench");
    }
    println!("{}; {} resources of {} owners", machine::describe(), population::RESOURCES, population::OWNERS);

    let population = Population::new();
    let ours = memory::measure("store", || population.fill(MemoryOwnership::default()));
    let plain: Plain<std::hash::RandomState> = memory::measure("plain table", || population.fill(Plain::default()));
    let quick: Plain<foldhash::fast::RandomState> = population.fill(Plain::default());

    println!("\nowns, one thread:");
    reads::alone(&population, &ours, &plain, "plain table, the same hash (SipHash, the standard one)");
    reads::alone(&population, &ours, &quick, "plain table, a hash that chosen ids can defeat (foldhash)");

    println!("\nowns, two threads, while a third records and revokes all the time:");
    reads::busy(&population, &ours, &plain, "plain table that nobody changes, the third has a table to itself");
    drop(quick);
    let locked = Locked::new(plain);
    reads::busy(&population, &ours, &locked, "plain table in one RwLock");

    println!("\nchanges, one thread:");
    writes::measure(&ours);
}
