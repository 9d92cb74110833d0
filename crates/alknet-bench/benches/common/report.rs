//! What was measured, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::aim::Aim;
use crate::rounds::{Figures, Outcome};
use crate::spread::Spread;

/// A side of a comparison.
pub(crate) trait Contestant: Copy {
    fn name(self) -> &'static str;

    fn role(self) -> Role;
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// What the peers are compared with; there is one such side.
    Ours,
    /// Ours as well, measured and shown beside it.
    Beside,
    Peer,
}

#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    /// The programs of others that take part, with their versions.
    programs: Vec<String>,
    pub(crate) seconds: f64,
    missing: Vec<Missing>,
    tables: Vec<Table>,
}

#[derive(Serialize)]
struct Table {
    name: &'static str,
    rounds: usize,
    columns: Vec<Column>,
    sides: Vec<Row>,
    missing: Vec<Missing>,
    ratios: Vec<Ratio>,
    limits: Vec<Limit>,
}

/// A figure that each leg gives.
#[derive(Serialize)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) better: Better,
    /// About our figure over that of the better peer.
    pub(crate) aim: Option<Aim>,
    /// About our figure by itself, in the worst of its rounds. There is no ratio then.
    pub(crate) limit: Option<Aim>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Lower,
    Higher,
}

#[derive(Serialize)]
struct Row {
    side: &'static str,
    /// One for each column.
    figures: Vec<Spread>,
}

#[derive(Serialize)]
struct Missing {
    side: &'static str,
    why: String,
}

/// Ours to the better of the peers.
#[derive(Serialize)]
struct Ratio {
    column: &'static str,
    peer: &'static str,
    ratio: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Aim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
}

/// A figure of ours that has an aim of its own.
#[derive(Serialize)]
struct Limit {
    column: &'static str,
    worst: f64,
    aim: Aim,
    met: bool,
}

impl Column {
    pub(crate) fn lower(name: &'static str) -> Self {
        Self { name, better: Better::Lower, aim: None, limit: None }
    }

    pub(crate) fn higher(name: &'static str) -> Self {
        Self { better: Better::Higher, ..Self::lower(name) }
    }
}

impl Report {
    pub(crate) fn new(machine: String, programs: Vec<String>) -> Self {
        Self { machine, programs, seconds: 0.0, missing: Vec::new(), tables: Vec::new() }
    }

    /// Notes that a side, or what measures it, is not there.
    pub(crate) fn missing(&mut self, side: &'static str, why: String) {
        self.missing.push(Missing { side, why });
    }

    pub(crate) fn table<S: Contestant>(
        &mut self,
        name: &'static str,
        columns: Vec<Column>,
        outcomes: Vec<(S, Outcome)>,
    ) {
        // A run takes minutes: let whoever waits see it move. Standard output has the whole result at the end.
        eprintln!("measured {name}");
        let each = || columns.iter().enumerate();
        let ratios = each().filter_map(|(index, column)| ratio(index, column, &outcomes)).collect();
        let limits = each().filter_map(|(index, column)| limit(index, column, &outcomes)).collect();
        let mut table = Table { name, rounds: 0, columns, sides: Vec::new(), missing: Vec::new(), ratios, limits };
        for (side, outcome) in outcomes {
            match outcome {
                Ok(legs) => {
                    table.rounds = legs.len();
                    let spread = |index| Spread::of(legs.iter().map(|figures| figures[index]));
                    let figures = (0..table.columns.len()).map(spread).collect();
                    table.sides.push(Row { side: side.name(), figures });
                }
                Err(why) => table.missing.push(Missing { side: side.name(), why }),
            }
        }
        self.tables.push(table);
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap()
    }
}

/// The ratio of a round's figures, over the rounds. The better peer is the one with the better median.
fn ratio<S: Contestant>(index: usize, column: &Column, outcomes: &[(S, Outcome)]) -> Option<Ratio> {
    if column.limit.is_some() {
        return None;
    }
    let median = |legs: &Vec<Figures>| Spread::of(legs.iter().map(|figures| figures[index])).median;
    let (_, ours) = legs_of(Role::Ours, outcomes).next()?;
    let peers = legs_of(Role::Peer, outcomes);
    let (peer, theirs) = match column.better {
        Better::Lower => peers.min_by(|(_, a), (_, b)| median(a).total_cmp(&median(b))),
        Better::Higher => peers.max_by(|(_, a), (_, b)| median(a).total_cmp(&median(b))),
    }?;
    let ratio = Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours[index] / theirs[index]));
    let met = column.aim.map(|aim| aim.met(ratio.median));
    Some(Ratio { column: column.name, peer, ratio, aim: column.aim, met })
}

fn limit<S: Contestant>(index: usize, column: &Column, outcomes: &[(S, Outcome)]) -> Option<Limit> {
    let aim = column.limit?;
    let (_, ours) = legs_of(Role::Ours, outcomes).next()?;
    let Spread { min, max, .. } = Spread::of(ours.iter().map(|figures| figures[index]));
    let worst = match column.better {
        Better::Lower => max,
        Better::Higher => min,
    };
    Some(Limit { column: column.name, worst, aim, met: aim.met(worst) })
}

/// What the sides of a role gave, as far as they gave something.
fn legs_of<S: Contestant>(
    role: Role,
    outcomes: &[(S, Outcome)],
) -> impl Iterator<Item = (&'static str, &Vec<Figures>)> {
    let of_role = outcomes.iter().filter(move |(side, _)| side.role() == role);
    of_role.filter_map(|(side, outcome)| Some((side.name(), outcome.as_ref().ok()?)))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {}; measured in {:.0} s", self.machine, self.programs.join(", "), self.seconds)?;
        self.missing.iter().try_for_each(|missing| writeln!(f, "{missing}"))?;
        self.tables.iter().try_for_each(|table| write!(f, "\n{table}"))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self.columns.iter().map(|column| column.name).collect();
        writeln!(f, "{} (medians of {} rounds: {})", self.name, self.rounds, columns.join(" | "))?;
        for row in &self.sides {
            let figures: Vec<_> = row.figures.iter().map(|figure| format!("{:>9.1}", figure.median)).collect();
            writeln!(f, "  {:<18}{}", row.side, figures.join(" |"))?;
        }
        self.missing.iter().try_for_each(|missing| writeln!(f, "  {missing}"))?;
        self.ratios.iter().try_for_each(|ratio| writeln!(f, "  {ratio}"))?;
        self.limits.iter().try_for_each(|limit| writeln!(f, "  {limit}"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing: {}", self.side, self.why)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, peer, ratio, .. } = self;
        write!(f, "{column}: {:.3} of {peer} ", ratio.median)?;
        write!(f, "(quartiles {:.3} to {:.3})", ratio.lower_quartile, ratio.upper_quartile)?;
        let Some((aim, met)) = self.aim.zip(self.met) else { return Ok(()) };
        write!(f, "; aim {aim}: {}", verdict(met))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:.1} in our worst round; aim {}: {}", self.column, self.worst, self.aim, verdict(self.met))
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
