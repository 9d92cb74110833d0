//! `GET /metrics`: what the registry counts, as Prometheus reads it; and what HTTP itself counts.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alknet_call::{Metric, MetricKind, MetricSource};
use http::StatusCode;
use tokio::runtime::Handle;

/// The text exposition format, version 0.0.4.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes metrics. Those of one name have to stand together.
pub(super) fn render(metrics: &[Metric]) -> String {
    let mut text = String::with_capacity(metrics.len() * 80);
    let mut family = "";
    for metric in metrics {
        // Writing to a string does not fail.
        if std::mem::replace(&mut family, metric.name) != metric.name {
            let _ = writeln!(text, "# HELP {} {}", metric.name, Escaped { text: metric.help, quotes: false });
            let _ = writeln!(text, "# TYPE {} {}", metric.name, metric.kind.as_str());
        }
        text.push_str(metric.name);
        let mut separator = '{';
        for (label, value) in &metric.labels {
            let _ = write!(text, "{separator}{label}=\"{}\"", Escaped { text: value, quotes: true });
            separator = ',';
        }
        let end = if metric.labels.is_empty() { "" } else { "}" };
        let _ = writeln!(text, "{end} {}", metric.value);
    }
    text
}

/// A help text or the value of a label; in the latter, quotes are escaped too.
struct Escaped<'a> {
    text: &'a str,
    quotes: bool,
}

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.text.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '"' if self.quotes => f.write_str("\\\""),
            other => f.write_char(other),
        })
    }
}

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// An operation, answered in one piece.
    Operation,
    /// An operation, answered with events.
    Events,
    /// `/call`.
    WebSocket,
    /// `/healthz`.
    Health,
    /// `/metrics`.
    Metrics,
    /// `/openapi.json`.
    Description,
    /// `/mcp`.
    #[cfg_attr(not(feature = "mcp"), expect(dead_code, reason = "nothing is there then"))]
    Mcp,
    /// The dashboard's page, by a link.
    Dashboard,
    /// What the assembly has added, and what took too long.
    Other,
    /// Anything, from somebody without a valid token.
    Unauthenticated,
}

const ROUTES: [&str; 10] = [
    "operation",
    "events",
    "websocket",
    "health",
    "metrics",
    "openapi",
    "mcp",
    "dashboard",
    "other",
    "unauthenticated",
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What HTTP counts. One for all handlers of a registry.
#[derive(Default)]
pub(super) struct HttpMetrics {
    requests: [[AtomicU64; CLASSES.len()]; ROUTES.len()],
    running: AtomicU64,
    events: AtomicU64,
    websockets: AtomicU64,
}

/// Counts something for as long as it is there.
pub(super) struct Present {
    metrics: Arc<HttpMetrics>,
    gauge: fn(&HttpMetrics) -> &AtomicU64,
}

impl HttpMetrics {
    /// Counts a request that was answered.
    pub(super) fn answered(&self, route: Route, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        let counter = self.requests.get(route as usize).and_then(|classes| classes.get(class));
        counter.map(|counter| counter.fetch_add(1, Ordering::Relaxed));
    }

    pub(super) fn request(self: &Arc<Self>) -> Present {
        Present::new(self, |metrics| &metrics.running)
    }

    pub(super) fn event_stream(self: &Arc<Self>) -> Present {
        Present::new(self, |metrics| &metrics.events)
    }

    pub(super) fn websocket(self: &Arc<Self>) -> Present {
        Present::new(self, |metrics| &metrics.websockets)
    }
}

impl Present {
    fn new(metrics: &Arc<HttpMetrics>, gauge: fn(&HttpMetrics) -> &AtomicU64) -> Self {
        gauge(metrics).fetch_add(1, Ordering::Relaxed);
        Self { metrics: metrics.clone(), gauge }
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        (self.gauge)(&self.metrics).fetch_sub(1, Ordering::Relaxed);
    }
}

impl MetricSource for HttpMetrics {
    fn metrics(&self) -> Vec<Metric> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let requests = self.requests.iter().zip(ROUTES).flat_map(|(classes, route)| {
            classes.iter().zip(CLASSES).map(move |(counter, class)| {
                let help = "HTTP requests that were answered, by what they were for and the class of the status";
                Metric::new("alknet_http_requests_total", MetricKind::Counter, load(counter), help)
                    .with_label("route", route)
                    .with_label("class", class)
            })
        });
        let mut all: Vec<_> = requests.collect();
        if let Ok(runtime) = Handle::try_current() {
            let (tasks, help) = (runtime.metrics().num_alive_tasks() as u64, "Tasks of this process, whatever they do");
            all.push(Metric::new("alknet_tasks_alive", MetricKind::Gauge, tasks, help));
        }
        let help = "HTTP requests whose answer has not begun";
        all.push(Metric::new("alknet_http_requests_running", MetricKind::Gauge, load(&self.running), help));
        for (kind, count) in [("events", &self.events), ("websocket", &self.websockets)] {
            let help = "Subscriptions as server-sent events, and WebSockets, that are open at this moment";
            let metric = Metric::new("alknet_http_streams_open", MetricKind::Gauge, load(count), help);
            all.push(metric.with_label("kind", kind));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::exposition;
    use proptest::prelude::*;

    fn metric(name: &'static str, help: &'static str) -> Metric {
        Metric::new(name, MetricKind::Counter, 7, help)
    }

    #[test]
    fn a_family_is_described_once_and_what_has_a_meaning_is_escaped() {
        let metrics = [
            metric("a_total", "A \\ of\n\"things\"").with_label("kind", "x\\y\"z\n").with_label("code", "OK"),
            metric("a_total", "A \\ of\n\"things\""),
            metric("b_total", ""),
        ];
        let expected = "# HELP a_total A \\\\ of\\n\"things\"\n# TYPE a_total counter\n\
            a_total{kind=\"x\\\\y\\\"z\\n\",code=\"OK\"} 7\na_total 7\n# HELP b_total \n# TYPE b_total counter\nb_total 7\n";
        assert_eq!(render(&metrics), expected);
    }

    #[test]
    fn requests_are_counted_where_they_belong() {
        let metrics = Arc::new(HttpMetrics::default());
        metrics.answered(Route::Events, StatusCode::OK);
        metrics.answered(Route::Unauthenticated, StatusCode::UNAUTHORIZED);
        metrics.answered(Route::Unauthenticated, StatusCode::NOT_FOUND);
        let running = metrics.request();
        let value = |line: &str| {
            let samples = exposition(&render(&metrics.metrics()));
            samples.into_iter().find(|(name, _)| name == line).unwrap().1
        };
        assert_eq!(value(r#"alknet_http_requests_total{route="events",class="2xx"}"#), 1);
        assert_eq!(value(r#"alknet_http_requests_total{route="unauthenticated",class="4xx"}"#), 2);
        assert_eq!(value(r#"alknet_http_requests_total{route="operation",class="2xx"}"#), 0);
        assert_eq!(value("alknet_http_requests_running"), 1);
        drop(running);
        assert_eq!(value("alknet_http_requests_running"), 0);
    }

    proptest! {
        #[test]
        fn whatever_a_label_holds_it_stays_on_its_line(value in "[\\\\\"\n{},a ]{0,12}") {
            let text = render(&[metric("a_total", "A").with_label("kind", &*value), metric("b_total", "B")]);
            let samples = exposition(&text);
            prop_assert_eq!(samples.len(), 2);
            let quoted = samples[0].0.strip_prefix("a_total{kind=\"").unwrap().strip_suffix("\"}").unwrap();
            let mut chars = quoted.chars();
            let mut read = String::new();
            while let Some(c) = chars.next() {
                let escaped = if c == '\\' { chars.next() } else { None };
                read.push(match escaped { Some('n') => '\n', Some(other) => other, None => c });
            }
            prop_assert_eq!(read, value);
        }
    }
}
