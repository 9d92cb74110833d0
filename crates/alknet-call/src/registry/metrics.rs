//! What a registry counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Registry;
use crate::{CallError, ErrorCode, OperationKind};

/// How a run ended, as its metrics name it.
const OUTCOMES: [&str; 11] = [
    "OK",
    "NOT_FOUND",
    "FORBIDDEN",
    "UNAUTHENTICATED",
    "INVALID_INPUT",
    "TIMEOUT",
    "ABORTED",
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "INTERNAL",
    "DECLARED",
];

type Outcomes = [AtomicU64; OUTCOMES.len()];

/// A number that a registry keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// Its name, as Prometheus writes names.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// What sets it apart from others of its name.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: u64,
    /// What it counts, in a sentence for people.
    pub help: &'static str,
}

/// What kind of number a [`Metric`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl MetricKind {
    /// The kind as it is written: `counter` or `gauge`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

#[derive(Default)]
pub(super) struct Metrics {
    calls: Kind,
    subscriptions: Kind,
    refused: Outcomes,
}

#[derive(Default)]
struct Kind {
    started: AtomicU64,
    running: AtomicU64,
    ended: Outcomes,
}

impl Metrics {
    /// Counts a run, until what this gives is dropped.
    pub(super) fn start(self: &Arc<Self>, kind: OperationKind) -> Running {
        let counts = self.kind(kind);
        counts.started.fetch_add(1, Ordering::Relaxed);
        counts.running.fetch_add(1, Ordering::Relaxed);
        Running { metrics: self.clone(), kind, ended: false }
    }

    /// Counts a request that did not get to a handler.
    pub(super) fn refuse(&self, error: &CallError) {
        count(&self.refused, outcome(Some(error)));
    }

    fn kind(&self, kind: OperationKind) -> &Kind {
        match kind {
            OperationKind::Call => &self.calls,
            OperationKind::Subscription => &self.subscriptions,
        }
    }
}

/// A run that goes on.
pub(super) struct Running {
    metrics: Arc<Metrics>,
    kind: OperationKind,
    ended: bool,
}

impl Running {
    /// The run has ended, by itself or with an error.
    pub(super) fn end(&mut self, error: Option<&CallError>) {
        if !std::mem::replace(&mut self.ended, true) {
            let counts = self.metrics.kind(self.kind);
            counts.running.fetch_sub(1, Ordering::Relaxed);
            count(&counts.ended, outcome(error));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What is dropped before its end was given up; what is dropped by a panic never got to run.
        let code = if std::thread::panicking() { ErrorCode::Internal } else { ErrorCode::Aborted };
        self.end(Some(&CallError::new(code, "")));
    }
}

fn outcome(error: Option<&CallError>) -> &str {
    match error {
        None => "OK",
        Some(error) if error.declared.is_some() => "DECLARED",
        Some(error) => error.code.as_str(),
    }
}

fn count(outcomes: &Outcomes, outcome: &str) {
    let counter = outcomes.iter().zip(OUTCOMES).find(|(_, name)| *name == outcome);
    counter.map(|(counter, _)| counter.fetch_add(1, Ordering::Relaxed));
}

impl Registry {
    /// What has been counted so far, and what there is at this moment. Metrics of one name stand together.
    pub fn metrics(&self) -> Vec<Metric> {
        let Metrics { calls, subscriptions, refused } = &*self.shared.metrics;
        let mut all = Vec::new();
        let mut put = |name, kind, labels: &[(&'static str, &str)], value, help| {
            let labels = labels.iter().map(|&(label, value)| (label, value.to_owned())).collect();
            all.push(Metric { name, kind, labels, value, help });
        };
        use MetricKind::{Counter, Gauge};
        let kinds = [("call", calls), ("subscription", subscriptions)];
        for (kind, counts) in kinds {
            let started = counts.started.load(Ordering::Relaxed);
            put("alknet_runs_started_total", Counter, &[("kind", kind)], started, "Operations that were started");
        }
        for (kind, counts) in kinds {
            let running = counts.running.load(Ordering::Relaxed);
            put("alknet_runs_running", Gauge, &[("kind", kind)], running, "Operations that run at this moment");
        }
        for (kind, counts) in kinds {
            for (counter, code) in counts.ended.iter().zip(OUTCOMES) {
                let (labels, ended) = ([("kind", kind), ("code", code)], counter.load(Ordering::Relaxed));
                put("alknet_runs_ended_total", Counter, &labels, ended, "Operations that have ended, by outcome");
            }
        }
        for (counter, code) in refused.iter().zip(OUTCOMES).skip(1) {
            let value = counter.load(Ordering::Relaxed);
            put(
                "alknet_requests_refused_total",
                Counter,
                &[("code", code)],
                value,
                "Requests that no handler has seen",
            );
        }
        for (kind, count) in self.resources_by_kind() {
            put("alknet_resources_owned", Gauge, &[("type", &kind)], count, "Resources that have an owner");
        }
        all
    }

    fn resources_by_kind(&self) -> BTreeMap<Arc<str>, u64> {
        let mut kinds = BTreeMap::new();
        for record in self.ownership().into_iter().flat_map(|store| store.watch(None).snapshot) {
            *kinds.entry(record.kind.clone()).or_default() += 1;
        }
        kinds
    }
}
