//! Latency, calls per second and events per second.

use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::aim::Aim;
use crate::caller::{Asked, Calls};
use crate::certificate::write_certificate;
use crate::note::Note;
use crate::report::{Column, Contestant as _, Report};
use crate::rounds::{Figures, rounds};
use crate::side::{Server, Side};
use crate::{process, runtime};

/// How long the rounds of one table may take.
const BUDGET: Duration = Duration::from_secs(16);

/// How many events a leg reads.
pub(crate) const EVENTS: u64 = 200_000;

/// The project's aims are about the small calls: how long one takes that is alone, and how many there can be.
const LATENCY_AIM: Aim = Aim::AtMost(0.8);
const RATE_AIM: Aim = Aim::AtLeast(1.5);

struct Case {
    name: &'static str,
    length: usize,
    in_flight: usize,
    /// Of one leg: little, so that there are many rounds.
    count: usize,
    latency_aim: Option<Aim>,
    rate_aim: Option<Aim>,
}

const CASES: [Case; 4] = [
    Case {
        name: "calls of 64 bytes, 1 in flight",
        length: 64,
        in_flight: 1,
        count: 2000,
        latency_aim: Some(LATENCY_AIM),
        rate_aim: None,
    },
    Case {
        name: "calls of 64 bytes, 64 in flight",
        length: 64,
        in_flight: 64,
        count: 9600,
        latency_aim: None,
        rate_aim: Some(RATE_AIM),
    },
    Case {
        name: "calls of 1 KiB, 1 in flight",
        length: 1024,
        in_flight: 1,
        count: 2000,
        latency_aim: None,
        rate_aim: None,
    },
    Case {
        name: "calls of 1 KiB, 64 in flight",
        length: 1024,
        in_flight: 64,
        count: 9600,
        latency_aim: None,
        rate_aim: None,
    },
];

const EVENTS_NAME: &str = "events of 64 bytes";

pub(crate) fn measure(report: &mut Report, wanted: impl Fn(&str) -> bool) {
    if !CASES.iter().any(|case| wanted(case.name)) && !wanted(EVENTS_NAME) {
        return;
    }
    let bench = Bench::start(report);
    for case in CASES.iter().filter(|case| wanted(case.name)) {
        bench.calls(report, case);
    }
    if wanted(EVENTS_NAME) {
        bench.events(report);
    }
}

/// All servers, each with one connection.
struct Bench {
    runtime: Runtime,
    sides: Vec<Connected>,
    _folder: TempDir,
}

struct Connected {
    side: Side,
    server: Server,
    caller: Box<dyn Asked>,
}

impl Bench {
    fn start(report: &mut Report) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_certificate(folder.path());
        let runtime = runtime();
        let mut sides = Vec::new();
        for side in Side::ALL {
            match side.start(folder.path()) {
                Ok(server) => {
                    let caller = runtime.block_on(side.connect(&server.address, folder.path()));
                    sides.push(Connected { side, server, caller });
                }
                Err(why) => report.missing(side.name(), why),
            }
        }
        Self { runtime, sides, _folder: folder }
    }

    fn calls(&self, report: &mut Report, case: &Case) {
        let columns = vec![
            Column { aim: case.latency_aim, ..Column::lower("p50, µs") },
            Column::lower("p99, µs"),
            Column { aim: case.rate_aim, ..Column::higher("calls per second") },
            Column::lower("client's processor time per call, µs"),
            Column::lower("server's, µs"),
        ];
        let outcomes = rounds(BUDGET, &self.sides, |side| {
            let calls = side.caller.calls(Note::of_length(case.length), case.in_flight, case.count);
            let (calls, [client, server]) =
                side.accounted(|| self.runtime.block_on(self.runtime.spawn(calls)).unwrap());
            Ok(figures_of(&calls, client, server))
        });
        report.table(case.name, columns, self.sides.iter().map(|side| side.side).zip(outcomes).collect());
    }

    fn events(&self, report: &mut Report) {
        let columns = vec![
            Column::higher("events per second"),
            Column::lower("client's processor time per event, µs"),
            Column::lower("server's, µs"),
        ];
        let outcomes = rounds(BUDGET, &self.sides, |side| {
            let events = side.caller.events(EVENTS);
            let (time, [client, server]) =
                side.accounted(|| self.runtime.block_on(self.runtime.spawn(events)).unwrap());
            let each = |seconds: f64| seconds * 1e6 / EVENTS as f64;
            Ok(vec![EVENTS as f64 / time?.as_secs_f64(), each(client), each(server)])
        });
        report.table(EVENTS_NAME, columns, self.sides.iter().map(|side| side.side).zip(outcomes).collect());
    }
}

impl Connected {
    /// Does `work`, and gives what it took of the processor, in seconds: this process and the server's.
    fn accounted<T>(&self, work: impl FnOnce() -> T) -> (T, [f64; 2]) {
        let now = || [process::on_processor(std::process::id()).as_secs_f64(), self.server.on_processor()];
        let before = now();
        let result = work();
        let after = now();
        (result, [after[0] - before[0], after[1] - before[1]])
    }
}

fn figures_of(calls: &Calls, client: f64, server: f64) -> Figures {
    let count = calls.latencies.len();
    let micros = |part: f64| calls.latencies[(part * (count - 1) as f64).round() as usize].as_secs_f64() * 1e6;
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    vec![micros(0.5), micros(0.99), count as f64 / calls.time.as_secs_f64(), each(client), each(server)]
}
