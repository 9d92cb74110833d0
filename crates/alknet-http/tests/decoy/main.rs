//! Decoys beside a real nginx: both get the same bytes, and must answer with the same bytes.
//!
//! Without nginx the tests are reported as ignored, under a name that says so. `apt-get install nginx-light` of Debian 12 has
//! the version that is imitated.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod http1;
mod http2;
mod nginx;
mod requests;
mod site;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::site::Kind;

fn main() -> ExitCode {
    let missing = nginx::missing();
    let trial = |name: String, run: Box<dyn FnOnce() -> anyhow::Result<()> + Send>| {
        let name = match &missing {
            Some(missing) => format!("{name} (needs {missing})"),
            None => name,
        };
        let run = move || run().map_err(|error| format!("{error:#}").into());
        Trial::test(name, run).with_ignored_flag(missing.is_some())
    };
    let groups = requests::groups();
    let mut trials = Vec::new();
    for kind in [Kind::Page, Kind::Folder] {
        for (name, requests) in groups.clone() {
            trials.push(trial(format!("http1::{kind}::{name}"), Box::new(move || http1::compare(kind, &requests))));
        }
        trials.push(trial(format!("http2::{kind}"), Box::new(move || http2::compare(kind))));
    }
    trials.push(trial("http1::plain_on_tls".to_owned(), Box::new(http1::compare_plain_on_tls)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
