//! What stands behind `--` on the command line.

use std::time::Duration;

/// Enough for a good number of rounds.
const SECONDS: u64 = 16;

pub(crate) struct Arguments {
    pub(crate) json: bool,
    /// How long the rounds of one table of requests may take.
    pub(crate) budget: Duration,
    words: Vec<String>,
}

impl Arguments {
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let mut parsed = Self { json: false, budget: Duration::from_secs(SECONDS), words: Vec::new() };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => {}
                "--json" => parsed.json = true,
                "--seconds" => {
                    let seconds = arguments.next().unwrap_or_default();
                    let wrong = |_| format!("--seconds {seconds:?}: write how many seconds a table may take");
                    parsed.budget = Duration::from_secs(seconds.parse().map_err(wrong)?);
                }
                option if option.starts_with('-') => return Err(format!("{option}: there is no such option")),
                _ => parsed.words.push(argument),
            }
        }
        Ok(parsed)
    }

    /// Whether there is to be a table of that name.
    pub(crate) fn want(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// So much of `work` as fits a leg: it is meant for the budget that there is by default.
    pub(crate) fn scaled(&self, work: u64) -> u64 {
        (work * self.budget.as_secs() / SECONDS).max(work / 20)
    }
}
