//! What a registry counts.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

impl Metric {
    /// A number without labels.
    pub fn new(name: &'static str, kind: MetricKind, value: u64, help: &'static str) -> Self {
        Self { name, kind, labels: Vec::new(), value, help }
    }

    /// Adds what sets it apart from others of its name.
    #[must_use]
    pub fn with_label(mut self, label: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

/// Counts more for a registry: what a protocol does that serves it. See [`Registry::counters`].
pub trait MetricSource: Any + Send + Sync {
    /// What has been counted so far. Metrics of one name stand together, and nobody else has that name.
    fn metrics(&self) -> Vec<Metric>;
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
    sources: Mutex<Vec<Arc<dyn MetricSource>>>,
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

    fn sources(&self) -> MutexGuard<'_, Vec<Arc<dyn MetricSource>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// The counters of a kind, which are the registry's from then on: whoever asks later gets the same ones, so that they
    /// go on counting when the configuration is read again.
    pub fn counters<T: MetricSource + Default>(&self) -> Arc<T> {
        let mut sources = self.shared.metrics.sources();
        let found = sources.iter().find_map(|source| {
            let source: Arc<dyn Any + Send + Sync> = source.clone();
            source.downcast::<T>().ok()
        });
        found.unwrap_or_else(|| {
            let source = Arc::new(T::default());
            sources.push(source.clone());
            source
        })
    }

    /// What has been counted so far, and what there is at this moment. Metrics of one name stand together.
    pub fn metrics(&self) -> Vec<Metric> {
        let Metrics { calls, subscriptions, refused, sources: _ } = &*self.shared.metrics;
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
        let sources = self.shared.metrics.sources().clone();
        all.extend(sources.iter().flat_map(|source| source.metrics()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Doors(AtomicU64);

    impl MetricSource for Doors {
        fn metrics(&self) -> Vec<Metric> {
            let opened = self.0.load(Ordering::Relaxed);
            vec![Metric::new("doors_opened_total", MetricKind::Counter, opened, "Doors").with_label("side", "front")]
        }
    }

    #[test]
    fn counters_of_a_kind_are_the_same_for_all_who_ask() {
        let registry = Registry::new();
        registry.counters::<Doors>().0.fetch_add(2, Ordering::Relaxed);
        registry.counters::<Doors>().0.fetch_add(1, Ordering::Relaxed);
        let metrics = registry.metrics();
        let doors: Vec<_> = metrics.iter().filter(|metric| metric.name == "doors_opened_total").collect();
        assert_eq!((doors.len(), doors[0].value), (1, 3));
        assert_eq!(doors[0].labels, [("side", "front".to_owned())]);
    }
}
