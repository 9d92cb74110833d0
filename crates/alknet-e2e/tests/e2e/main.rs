//! A real node in a process of its own, and the clients that people bring: curl, OpenSSL, an independent QUIC stack, a
//! client of the call protocol in another language, and alknet itself across network namespaces.
//!
//! A test whose client is not on this machine is reported as ignored, under a name that says what it needs.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod aioquic;
mod bad_input;
mod call_client;
mod callee;
mod curl;
mod dashboard;
mod http;
mod imports;
mod mcp;
mod mcp_servers;
mod namespaces;
mod needs;
mod node;
mod openssl;
mod own_client;
mod recorder;
mod scenarios;
mod service;
mod stealth;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use needs::Need;

fn main() -> ExitCode {
    let groups = [
        curl::tests(),
        dashboard::tests(),
        http::tests(),
        imports::tests(),
        mcp::tests(),
        mcp_servers::tests(),
        openssl::tests(),
        aioquic::tests(),
        call_client::tests(),
        own_client::tests(),
        namespaces::tests(),
        scenarios::tests(),
        service::tests(),
        stealth::tests(),
        bad_input::tests(),
        vec![Test::new("every_stock_client_on_one_port", &[Need::Curl, Need::OpenSsl, Need::Aioquic], one_port)],
    ];
    let trials = groups.into_iter().flatten().map(Test::into_trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// One node, one port number, every client.
fn one_port() -> anyhow::Result<()> {
    let node = node::Node::start()?;
    curl::check(&node)?;
    openssl::check(&node)?;
    aioquic::check(&node)?;
    own_client::check(&node)
}

/// A test, and what it needs of the machine.
pub(crate) struct Test {
    name: String,
    needs: &'static [Need],
    run: Box<dyn FnOnce() -> anyhow::Result<()> + Send>,
}

impl Test {
    pub(crate) fn new(
        name: impl Into<String>,
        needs: &'static [Need],
        run: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), needs, run: Box::new(run) }
    }

    fn into_trial(self) -> Trial {
        let missing: Vec<_> = self.needs.iter().filter(|need| !need.is_met()).map(|need| need.name()).collect();
        let name = match missing.as_slice() {
            [] => self.name,
            missing => format!("{} (needs {})", self.name, missing.join(", ")),
        };
        let run = move || (self.run)().map_err(|error| format!("{error:#}").into());
        Trial::test(name, run).with_ignored_flag(!missing.is_empty())
    }
}
