//! What was measured, for people and for programs.

use std::fmt;

use serde::Serialize;

use crate::aim::Aim;
use crate::compare::Comparison;
use crate::spread::Spread;

#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    pub(crate) seconds: f64,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Aim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    met: Option<bool>,
    #[serde(flatten)]
    value: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Value {
    Comparison {
        peer: &'static str,
        #[serde(flatten)]
        comparison: Comparison,
    },
    Samples {
        count: usize,
        spread: Spread,
    },
    Figures(Vec<(String, f64)>),
    NotMeasured(String),
}

impl Report {
    pub(crate) fn new(machine: String) -> Self {
        Self { machine, seconds: 0.0, rows: Vec::new() }
    }

    /// The aim is about the median of the ratios.
    pub(crate) fn comparison(
        &mut self,
        name: &str,
        peer: &'static str,
        unit: &'static str,
        aim: Option<Aim>,
        comparison: Comparison,
    ) {
        let met = aim.map(|aim| aim.met(comparison.ratio.median));
        self.add(name, unit, aim, met, Value::Comparison { peer, comparison });
    }

    /// The aim is about the median.
    pub(crate) fn samples(&mut self, name: &str, unit: &'static str, aim: Option<Aim>, samples: &[f64]) {
        let spread = Spread::of(samples.iter().copied());
        let met = aim.map(|aim| aim.met(spread.median));
        self.add(name, unit, aim, met, Value::Samples { count: samples.len(), spread });
    }

    /// The aim is about the last of the figures.
    pub(crate) fn figures(&mut self, name: &str, unit: &'static str, aim: Option<Aim>, figures: &[(&str, f64)]) {
        let met = aim.zip(figures.last()).map(|(aim, (_, value))| aim.met(*value));
        let figures = figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.add(name, unit, aim, met, Value::Figures(figures));
    }

    pub(crate) fn not_measured(&mut self, name: &str, why: String) {
        self.add(name, "", None, None, Value::NotMeasured(why));
    }

    fn add(&mut self, name: &str, unit: &'static str, aim: Option<Aim>, met: Option<bool>, value: Value) {
        // A run takes minutes: let whoever waits see it move. Standard output has the whole result at the end.
        eprintln!("measured {name}");
        self.rows.push(Row { name: name.to_owned(), unit, aim, met, value });
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; measured in {:.0} s", self.machine, self.seconds)?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<30} ", self.name)?;
        match &self.value {
            Value::Comparison { peer, comparison: Comparison { rounds, ours, bare, ratio, server_cpu } } => {
                write!(f, "{ours:>7.0} {}, {peer} {bare:.0}: ratio {:.3}", self.unit, ratio.median)?;
                write!(f, " (quartiles {:.3} to {:.3}, ", ratio.lower_quartile, ratio.upper_quartile)?;
                write!(f, "extremes {:.3} to {:.3}, {rounds} rounds), ", ratio.min, ratio.max)?;
                write!(f, "server's processor time {:.3} ", server_cpu.median)?;
                write!(f, "(quartiles {:.3} to {:.3})", server_cpu.lower_quartile, server_cpu.upper_quartile)?;
            }
            Value::Samples { count, spread } => {
                write!(f, "{:>7.1} {} (quartiles ", spread.median, self.unit)?;
                write!(f, "{:.1} to {:.1}, ", spread.lower_quartile, spread.upper_quartile)?;
                write!(f, "extremes {:.1} to {:.1}, {count} samples)", spread.min, spread.max)?;
            }
            Value::Figures(figures) => {
                let figures: Vec<_> = figures.iter().map(|(name, value)| format!("{name} {value:.1}")).collect();
                write!(f, "{} {}", figures.join(", "), self.unit)?;
            }
            Value::NotMeasured(why) => write!(f, "not measured: {why}")?,
        }
        let Some(aim) = self.aim else { return Ok(()) };
        let met = if self.met == Some(true) { "met" } else { "MISSED" };
        write!(f, "; aim {aim}: {met}")
    }
}
