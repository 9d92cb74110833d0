//! Requests per second, latency, and what a request takes of the processor.

use alknet_core::Token;
use tempfile::TempDir;

use crate::answer;
use crate::arguments::Arguments;
use crate::certificate::write_certificate;
use crate::load::{Load, Request, Target};
use crate::report::{Column, Contestant as _, Report};
use crate::rounds::{Figures, rounds};
use crate::side::{Server, Side};

struct Case {
    name: &'static str,
    request: Request,
    /// Of one leg: little, so that there are many rounds.
    load: Load,
}

const ALONE: Load = Load::H2load { requests: 8000, clients: 1, streams: 1 };
const CROWD: Load = Load::H2load { requests: 32_000, clients: 8, streams: 16 };

const CASES: [Case; 5] = [
    Case { name: "GET /healthz over h2, 1 client with 1 stream", request: Request::Health, load: ALONE },
    Case { name: "GET /healthz over h2, 8 clients with 16 streams", request: Request::Health, load: CROWD },
    Case { name: "POST /node/info over h2, 1 client with 1 stream", request: Request::Info, load: ALONE },
    Case { name: "POST /node/info over h2, 8 clients with 16 streams", request: Request::Info, load: CROWD },
    Case {
        name: "GET /healthz over http/1.1, 16 connections",
        request: Request::Health,
        load: Load::Wrk { connections: 16 },
    },
];

pub(crate) fn measure(report: &mut Report, arguments: &Arguments) {
    let wanted: Vec<_> = CASES.iter().filter(|case| arguments.want(case.name)).collect();
    if wanted.is_empty() {
        return;
    }
    let bench = match Bench::start(report) {
        Ok(bench) => bench,
        Err(why) => return report.missing(Side::Ours.name(), why),
    };
    for case in wanted {
        match case.load.program().version("--version") {
            Ok(_) => bench.compare(report, case, arguments),
            Err(why) => report.missing(case.name, why),
        }
    }
}

/// All servers.
struct Bench {
    sides: Vec<(Side, Server)>,
    token: Token,
    folder: TempDir,
}

impl Bench {
    /// Without our node there is nothing to compare, and no answer that the peers could give.
    fn start(report: &mut Report) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        write_certificate(folder.path());
        let token = Token::generate().map_err(|error| error.to_string())?;
        let ours = Server::ours(folder.path(), &token)?;
        answer::fetch(ours.address, &token, folder.path())?;
        let mut sides = vec![(Side::Ours, ours)];
        let peers = [(Side::Nginx, Server::nginx(folder.path())), (Side::Bare, Server::bare(folder.path(), &token))];
        for (side, server) in peers {
            match server {
                Ok(server) => sides.push((side, server)),
                Err(why) => report.missing(side.name(), why),
            }
        }
        Ok(Self { sides, token, folder })
    }

    fn compare(&self, report: &mut Report, case: &Case, arguments: &Arguments) {
        let columns = vec![
            Column::higher("requests per second"),
            Column::lower("p50, µs"),
            Column::lower("p99, µs"),
            Column::lower("server's processor time per request, µs"),
        ];
        let load = case.load.scaled(arguments);
        let outcomes = rounds(arguments.budget, &self.sides, |(_, server)| self.leg(server, case.request, load));
        report.table(case.name, columns, self.sides.iter().map(|(side, _)| *side).zip(outcomes).collect());
    }

    fn leg(&self, server: &Server, request: Request, load: Load) -> Result<Figures, String> {
        let target = Target { server: server.address, token: &self.token, folder: self.folder.path() };
        let before = server.on_processor();
        let taken = target.meet(load, request)?;
        let busy = server.on_processor() - before;
        let requests = taken.requests as f64;
        Ok(vec![requests / taken.seconds, taken.p50, taken.p99, busy * 1e6 / requests])
    }
}
