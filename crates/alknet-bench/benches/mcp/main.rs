//! What a tool call costs through alknet beside a bare rmcp server with the same tool.
//!
//! `cargo bench -p alknet-bench --bench mcp` measures everything in one run of about ten seconds. Both servers run in this
//! process, without TLS and over pipes: what is compared is what stands between `http/1.1` and the tool. Both are asked
//! the same by the same client, which keeps its connection, and take turns in short rounds ([`rounds`]). Ours looks up the
//! token and the operation, checks the caller and the input, keeps the books and writes the log; rmcp does none of that.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement that cannot be made must end with the reason on the terminal"
)]

#[allow(dead_code, reason = "the other benchmarks need the rest")]
#[path = "../common/aim.rs"]
mod aim;
mod bare;
#[path = "../common/machine.rs"]
mod machine;
mod ours;
#[allow(dead_code, reason = "the other benchmarks need the rest")]
#[path = "../common/report.rs"]
mod report;
#[path = "../common/rounds.rs"]
mod rounds;
#[path = "../common/spread.rs"]
mod spread;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use report::{Column, Contestant, Report, Role};
use rounds::rounds;
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::runtime::Runtime;

/// The tool of both: it gives its arguments back.
const OPERATION: &str = "bench/echo";
const TOOL: &str = "bench.echo";
const TOKEN: &str = "alk_bench";

/// Of one leg.
const CALLS: u32 = 500;
const BUDGET: Duration = Duration::from_secs(8);

#[derive(Clone, Copy)]
enum Side {
    Ours,
    Bare,
}

impl Contestant for Side {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "alknet",
            Self::Bare => "bare rmcp",
        }
    }

    fn role(self) -> Role {
        match self {
            Self::Ours => Role::Ours,
            Self::Bare => Role::Below,
        }
    }
}

type Client = RefCell<SendRequest<Full<Bytes>>>;

fn main() {
    // `cargo test --benches` runs this without `--bench`, and is after mistakes, not numbers.
    if !std::env::args().any(|argument| argument == "--bench") {
        return println!("measures only under cargo bench");
    }
    let begin = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut report = Report::new(machine::describe(), Vec::new());
    let _inside = runtime.enter();
    let sides = [(Side::Ours, client(&runtime, ours::serve())), (Side::Bare, client(&runtime, bare::serve()))];
    let outcomes = rounds(BUDGET, &sides, |(_, client)| {
        let begin = Instant::now();
        for _ in 0..CALLS {
            runtime.block_on(call(client))?;
        }
        Ok(vec![begin.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS)])
    });
    let outcomes = sides.iter().map(|(side, _)| *side).zip(outcomes).collect();
    report.table("a tool call, one after the other", vec![Column::lower("µs per call")], outcomes);
    report.seconds = begin.elapsed().as_secs_f64();
    println!("{report}");
}

fn client(runtime: &Runtime, io: DuplexStream) -> Client {
    let (sender, connection) = runtime.block_on(http1::handshake(TokioIo::new(io))).unwrap();
    runtime.spawn(connection);
    RefCell::new(sender)
}

#[allow(clippy::await_holding_refcell_ref, reason = "there is one call at a time")]
async fn call(client: &Client) -> Result<(), String> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": TOOL, "arguments": { "text": "x".repeat(64) }, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let request = Request::post("/mcp")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", TOOL);
    let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
    let mut client = client.borrow_mut();
    client.ready().await.map_err(|error| error.to_string())?;
    let answer = client.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    if status == 200 && text.contains("structuredContent") { Ok(()) } else { Err(format!("{status}: {text}")) }
}
