//! Two sides that take turns.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::spread::Spread;

/// The least that a median and quartiles are worth something with.
const MIN_ROUNDS: usize = 5;

/// What some work took.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// On the clock.
    pub(crate) time: Duration,
    /// Of the processor, by the server's thread alone: what other programs do to the clock, they do not do to this.
    pub(crate) server: Duration,
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { time: self.time + other.time, server: self.server + other.server }
    }
}

/// What the rounds of a comparison gave.
#[derive(Serialize)]
pub(crate) struct Comparison {
    pub(crate) rounds: usize,
    /// Medians in units per second.
    pub(crate) ours: f64,
    pub(crate) bare: f64,
    /// Our rate over the other.
    pub(crate) ratio: Spread,
    /// What our server needs of the processor over what the other needs, for the same work.
    pub(crate) server_cpu: Spread,
}

/// Runs rounds of ours, bare, bare, ours until `budget` is used up, after one that does not count.
///
/// Each leg does `units` of work and says what that took. A drift over a round (heat, another program) meets both sides
/// alike, since the legs of each have the same middle.
pub(crate) fn compare(
    budget: Duration,
    units: f64,
    mut ours: impl FnMut() -> Cost,
    mut bare: impl FnMut() -> Cost,
) -> Comparison {
    let mut round = || {
        let first = ours();
        let others = bare() + bare();
        (first + ours(), others)
    };
    round();
    let begin = Instant::now();
    let mut rounds = Vec::new();
    while rounds.len() < MIN_ROUNDS || begin.elapsed() < budget {
        rounds.push(round());
    }
    let rate = |cost: &Cost| 2.0 * units / cost.time.as_secs_f64();
    Comparison {
        rounds: rounds.len(),
        ours: Spread::of(rounds.iter().map(|(ours, _)| rate(ours))).median,
        bare: Spread::of(rounds.iter().map(|(_, bare)| rate(bare))).median,
        ratio: Spread::of(rounds.iter().map(|(ours, bare)| rate(ours) / rate(bare))),
        server_cpu: Spread::of(rounds.iter().map(|(ours, bare)| ours.server.div_duration_f64(bare.server))),
    }
}
