//! Sides that take turns.

use std::time::{Duration, Instant};

/// The least that a median and quartiles are worth something with.
const MIN_ROUNDS: usize = 5;

/// The figures of one leg: of one side in one round.
pub(crate) type Figures = Vec<f64>;

/// What a side's legs gave, or why it has none.
pub(crate) type Outcome = Result<Vec<Figures>, String>;

/// Runs rounds in which each side has one leg, until `budget` is used up, after one that does not count. A side whose leg
/// fails is left out from then on.
///
/// Every second round is run backwards, so a drift (heat, another program) meets all sides alike.
pub(crate) fn rounds<S>(
    budget: Duration,
    sides: &[S],
    mut leg: impl FnMut(&S) -> Result<Figures, String>,
) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = sides.iter().map(|side| leg(side).map(|_| Vec::new())).collect();
    let begin = Instant::now();
    let mut done = 0;
    while done < MIN_ROUNDS || begin.elapsed() < budget {
        let mut turns: Vec<_> = sides.iter().zip(&mut outcomes).collect();
        if done % 2 == 1 {
            turns.reverse();
        }
        for (side, outcome) in turns {
            if let Ok(legs) = outcome {
                match leg(side) {
                    Ok(figures) => legs.push(figures),
                    Err(why) => *outcome = Err(why),
                }
            }
        }
        done += 1;
    }
    outcomes
}
