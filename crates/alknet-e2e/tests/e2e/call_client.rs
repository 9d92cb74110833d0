//! A client of the call protocol in Python, written from the protocol's description alone: over TLS and TCP by way of
//! `alknet connect`, and over QUIC by aioquic.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::Test;
use crate::callee::Callee;
use crate::needs::{Need, python};
use crate::node::{ALKNET, Node, client};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/call_scenarios.py");

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Quic,
}

/// What needs no operation but those that every node has: with a real node.
const WITH_NODE: [&str; 7] = [
    "lists_and_describes",
    "calls_and_is_told_what_is_wrong",
    "a_token_decides_and_a_wrong_one_is_never_ignored",
    "garbage_is_answered_and_the_stream_goes_on",
    "a_frame_over_the_limit_ends_its_stream_and_nothing_else",
    "answers_come_after_the_end_of_the_requests",
    "a_killed_subscriber_leaves_nothing",
];

/// With operations of the tests' own.
const WITH_CALLEE: [&str; 12] = [
    "pipelined_calls_are_answered_out_of_order",
    "a_large_frame_goes_both_ways",
    "a_subscription_gives_its_events_and_ends",
    "a_watch_begins_with_what_there_is",
    "an_aborted_call_is_answered_and_dropped",
    "nothing_comes_after_the_end_of_an_aborted_subscription",
    "time_runs_out_for_calls_and_subscriptions",
    "an_id_in_use_is_refused_and_the_first_goes_on",
    "the_node_calls_its_caller",
    "giving_up_goes_all_the_way_round",
    "what_a_connection_ran_ends_with_it",
    "a_reader_that_rests_holds_the_producer_back",
];

/// aioquic reads whatever comes, so it cannot rest.
const OVER_TCP_ONLY: &str = "a_reader_that_rests_holds_the_producer_back";

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for transport in [Transport::Tcp, Transport::Quic] {
        let with_node = WITH_NODE.into_iter().map(|scenario| (scenario, with_node as Run));
        let all = with_node.chain(WITH_CALLEE.into_iter().map(|scenario| (scenario, with_callee as Run)));
        for (scenario, run) in all.filter(|(scenario, _)| transport == Transport::Tcp || *scenario != OVER_TCP_ONLY) {
            let name = format!("python_over_{}_{scenario}", transport.name());
            tests.push(Test::new(name, transport.needs(), move || run(scenario, transport)));
        }
    }
    tests
}

type Run = fn(&str, Transport) -> anyhow::Result<()>;

fn with_node(scenario: &str, transport: Transport) -> anyhow::Result<()> {
    // So that a client that was killed is missed soon over QUIC, too.
    let node = Node::start_with("[endpoint.limits]\nidle_timeout_seconds = 5")?;
    node.run_ok(&["peer", "add", "alice", "--scope", "metrics:read"])?;
    let mut stranger = Node::make(&[], &node.port.to_string())?;
    stranger.fingerprint.clone_from(&node.fingerprint);
    let place = place(&stranger, transport, &node.fingerprint, node.port);
    run(scenario, transport, place, &node.new_token("alice")?, "")?;
    node.still_serves()
}

fn with_callee(scenario: &str, transport: Transport) -> anyhow::Result<()> {
    let callee = Callee::start()?;
    // Only for its key and its command line; the callee does not know it.
    let dialer = Node::make(&[], &callee.port.to_string())?;
    let place = place(&dialer, transport, &callee.fingerprint.to_string(), callee.port);
    run(scenario, transport, place, &callee.token, &callee.other_token)
}

/// Where the scenario finds the node, as a client that the node does not know by its key.
fn place(dialer: &Node, transport: Transport, fingerprint: &str, port: u16) -> Value {
    let node = format!("{fingerprint}@127.0.0.1:{port}");
    let config = dialer.config();
    let command = [ALKNET, "--config", path(&config), "connect", &node, "alknet/call", "--transport", "tcp"];
    json!({
        "transport": transport.name(),
        "command": command,
        "host": "127.0.0.1",
        "port": port,
        "fingerprint": fingerprint,
    })
}

fn run(scenario: &str, transport: Transport, mut place: Value, token: &str, other: &str) -> anyhow::Result<()> {
    place["token"] = token.into();
    place["other_token"] = other.into();
    // -B: no compiled file beside the sources.
    let (ok, said) = client(transport.interpreter(), &["-B", SCENARIOS, scenario], &place.to_string())?;
    ensure!(ok, "{said}");
    Ok(())
}

fn path(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quic => "quic",
        }
    }

    /// With the standard library alone, where that is enough.
    fn interpreter(self) -> PathBuf {
        match self {
            Self::Tcp => "python3".into(),
            Self::Quic => python(),
        }
    }

    fn needs(self) -> &'static [Need] {
        match self {
            Self::Tcp => &[Need::Python],
            Self::Quic => &[Need::Aioquic],
        }
    }
}
