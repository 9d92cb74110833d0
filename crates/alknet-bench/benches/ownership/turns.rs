//! Two sides that take turns.

use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_secs(8);
/// The least that a median and quartiles are worth something with.
const MIN_ROUNDS: usize = 5;

/// Medians of nanoseconds for each question, and of our speed over the other's.
pub(crate) struct Outcome {
    pub(crate) ours: f64,
    pub(crate) other: f64,
    /// Lower quartile, median, upper quartile.
    pub(crate) ratio: [f64; 3],
    pub(crate) rounds: usize,
}

/// Runs rounds of ours, other, other, ours, after one that does not count. A leg is given the number of the round, and
/// gives the nanoseconds that each question took.
pub(crate) fn turns(mut ours: impl FnMut(usize) -> f64, mut other: impl FnMut(usize) -> f64) -> Outcome {
    let mut round = |number| {
        let first = ours(number);
        let others = other(number) + other(number + 1);
        ((first + ours(number + 1)) / 2.0, others / 2.0)
    };
    round(0);
    let begin = Instant::now();
    let mut rounds = Vec::new();
    while rounds.len() < MIN_ROUNDS || begin.elapsed() < BUDGET {
        rounds.push(round(2 * rounds.len() + 2));
    }
    let quartiles = |of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        [1, 2, 3].map(|part| values[(values.len() - 1) * part / 4])
    };
    Outcome {
        ours: quartiles(|(ours, _)| *ours)[1],
        other: quartiles(|(_, other)| *other)[1],
        ratio: quartiles(|(ours, other)| other / ours),
        rounds: rounds.len(),
    }
}

impl Outcome {
    pub(crate) fn print(&self, other: &str) {
        let [lower, median, upper] = self.ratio;
        println!("  {:.0} ns; {other}: {:.0} ns", self.ours, self.other);
        println!("    speed over its: {median:.3} (quartiles {lower:.3} to {upper:.3}, {} rounds)", self.rounds);
    }
}
