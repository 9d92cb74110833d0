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
    /// A peer that ours is made of: how far ours is from it is always shown.
    Below,
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
    name: &'static str,
    why: String,
}

/// Ours to one of the peers.
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

    /// Notes that a side is not there, or a table.
    pub(crate) fn missing(&mut self, name: &'static str, why: String) {
        self.missing.push(Missing { name, why });
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
        let ratios = each().flat_map(|(index, column)| ratios(index, column, &outcomes)).collect();
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
                Err(why) => table.missing.push(Missing { name: side.name(), why }),
            }
        }
        self.tables.push(table);
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap()
    }
}

/// The ratios of a round's figures, over the rounds: to the better peer, which is the one with the better median, and to
/// what ours stands on, if that is another.
fn ratios<S: Contestant>(index: usize, column: &Column, outcomes: &[(S, Outcome)]) -> Vec<Ratio> {
    let Some(ours) = ours(outcomes).filter(|_| column.limit.is_none()) else { return Vec::new() };
    let median = |legs: &[Figures]| Spread::of(legs.iter().map(|figures| figures[index])).median;
    let others = outcomes.iter().filter(|(side, _)| matches!(side.role(), Role::Peer | Role::Below));
    let mut peers: Vec<_> = others.filter_map(|(side, outcome)| Some((side, outcome.as_ref().ok()?))).collect();
    peers.sort_by(|(_, a), (_, b)| match column.better {
        Better::Lower => median(a).total_cmp(&median(b)),
        Better::Higher => median(b).total_cmp(&median(a)),
    });
    let shown = peers.iter().enumerate().filter(|(rank, (side, _))| *rank == 0 || side.role() == Role::Below);
    let ratio = |(rank, (side, theirs)): (usize, &(&S, &Vec<Figures>))| {
        let ratio = Spread::of(ours.iter().zip(*theirs).map(|(ours, theirs)| ours[index] / theirs[index]));
        let aim = column.aim.filter(|_| rank == 0);
        let met = aim.map(|aim| aim.met(ratio.median));
        Ratio { column: column.name, peer: side.name(), ratio, aim, met }
    };
    shown.map(ratio).collect()
}

fn limit<S: Contestant>(index: usize, column: &Column, outcomes: &[(S, Outcome)]) -> Option<Limit> {
    let aim = column.limit?;
    let ours = ours(outcomes)?;
    let Spread { min, max, .. } = Spread::of(ours.iter().map(|figures| figures[index]));
    let worst = match column.better {
        Better::Lower => max,
        Better::Higher => min,
    };
    Some(Limit { column: column.name, worst, aim, met: aim.met(worst) })
}

/// What our side gave.
fn ours<S: Contestant>(outcomes: &[(S, Outcome)]) -> Option<&[Figures]> {
    let (_, outcome) = outcomes.iter().find(|(side, _)| side.role() == Role::Ours)?;
    outcome.as_deref().ok()
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
        write!(f, "{} is missing: {}", self.name, self.why)
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
