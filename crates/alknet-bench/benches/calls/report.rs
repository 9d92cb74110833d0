//! What was measured, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::aim::Aim;
use crate::nats;
use crate::rounds::Outcome;
use crate::side::Side;
use crate::spread::Spread;

#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    nats_server: String,
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
}

/// A figure that each leg gives.
#[derive(Serialize)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) better: Better,
    /// About our figure over that of the better peer.
    pub(crate) aim: Option<Aim>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
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

/// Ours over TLS to the better of the peers.
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

impl Report {
    pub(crate) fn new(machine: String) -> Self {
        let nats_server = nats::version().unwrap_or_else(|why| why);
        Self { machine, nats_server, seconds: 0.0, missing: Vec::new(), tables: Vec::new() }
    }

    /// Notes that a side has no part in the tables of speed.
    pub(crate) fn missing(&mut self, side: Side, why: String) {
        self.missing.push(Missing { side: side.name(), why });
    }

    pub(crate) fn table(&mut self, name: &'static str, columns: Vec<Column>, outcomes: Vec<(Side, Outcome)>) {
        // A run takes minutes: let whoever waits see it move. Standard output has the whole result at the end.
        eprintln!("measured {name}");
        let ratios = columns.iter().enumerate().filter_map(|(index, column)| ratio(index, column, &outcomes)).collect();
        let mut table = Table { name, rounds: 0, columns, sides: Vec::new(), missing: Vec::new(), ratios };
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
fn ratio(index: usize, column: &Column, outcomes: &[(Side, Outcome)]) -> Option<Ratio> {
    let legs = |wanted: &dyn Fn(Side) -> bool| {
        let all = outcomes.iter().filter(|(side, _)| wanted(*side));
        all.filter_map(|(side, outcome)| Some((*side, outcome.as_ref().ok()?))).collect::<Vec<_>>()
    };
    let median = |legs: &Vec<Vec<f64>>| Spread::of(legs.iter().map(|figures| figures[index])).median;
    let (_, ours) = legs(&|side| side == Side::OursOverTls).into_iter().next()?;
    let peers = legs(&Side::is_peer).into_iter();
    let (peer, theirs) = match column.better {
        Better::Lower => peers.min_by(|(_, a), (_, b)| median(a).total_cmp(&median(b))),
        Better::Higher => peers.max_by(|(_, a), (_, b)| median(a).total_cmp(&median(b))),
    }?;
    let ratio = Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours[index] / theirs[index]));
    let met = column.aim.map(|aim| aim.met(ratio.median));
    Some(Ratio { column: column.name, peer: peer.name(), ratio, aim: column.aim, met })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {}; measured in {:.0} s", self.machine, self.nats_server, self.seconds)?;
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
        self.ratios.iter().try_for_each(|ratio| writeln!(f, "  {ratio}"))
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
        let Some(aim) = self.aim else { return Ok(()) };
        let met = if self.met == Some(true) { "met" } else { "MISSED" };
        write!(f, "; aim {aim}: {met}")
    }
}
