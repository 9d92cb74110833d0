//! Where log events go: the journal with their fields, or standard error to be read.

use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::environment::Environment;

const DEFAULT_FILTER: &str = "info";

/// The library of MCP tells of whole messages, and so of whatever is in them. What matters the node says itself.
const SILENT: &str = "rmcp=off";

/// Starts logging, once per process.
///
/// Under systemd the fields of an event become fields of the journal entry, so `journalctl PEER=alice` works. Elsewhere
/// events are lines on standard error, coloured on a terminal.
///
/// # Errors
/// When logging was started before.
pub fn start(environment: &Environment) -> Result<(), TryInitError> {
    let (filter, complaint) = filter(environment.log_filter.as_deref());
    let registry = tracing_subscriber::registry().with(filter);
    match journal(environment) {
        // Without the prefix a field `peer` is PEER= and not F_PEER=.
        Some(journal) => registry.with(journal.with_field_prefix(None)).try_init()?,
        None => {
            let ansi = std::io::stderr().is_terminal() && !environment.no_color;
            let lines =
                tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false);
            registry.with(lines).try_init()?;
        }
    }
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
    Ok(())
}

/// A connection to the journal, if standard error is one.
fn journal(environment: &Environment) -> Option<tracing_journald::Layer> {
    let stderr = std::fs::metadata("/proc/self/fd/2").ok()?;
    let stream = environment.journal_stream.as_deref()?;
    // The variable is inherited by children whose standard error goes elsewhere; hence the comparison.
    if stream != format!("{}:{}", stderr.dev(), stderr.ino()) {
        return None;
    }
    tracing_journald::layer().ok()
}

/// The filter, and what is wrong with the given one if it had to be replaced.
fn filter(text: Option<&str>) -> (EnvFilter, Option<String>) {
    let (filter, complaint) = match text.map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => {
            let complaint =
                format!("the log filter in the environment is not understood ({error}); using \"{DEFAULT_FILTER}\"");
            (EnvFilter::new(DEFAULT_FILTER), Some(complaint))
        }
        None => (EnvFilter::new(DEFAULT_FILTER), None),
    };
    (SILENT.parse().into_iter().fold(filter, EnvFilter::add_directive), complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_replaced_and_named() {
        assert!(filter(Some("alknet=debug")).1.is_none());
        let (filter, complaint) = filter(Some("alknet=loud=loud"));
        assert_eq!(filter.to_string(), format!("{SILENT},{DEFAULT_FILTER}"));
        assert!(complaint.unwrap().contains("not understood"));
    }

    #[test]
    fn a_library_that_tells_too_much_is_silent() {
        for text in [None, Some("trace"), Some("rmcp=trace")] {
            assert!(filter(text).0.to_string().contains(SILENT), "{text:?}");
            assert!(!filter(text).0.to_string().contains("rmcp=trace"), "{text:?}");
        }
    }

    #[test]
    fn standard_error_elsewhere_is_no_journal() {
        assert!(journal(&Environment::default()).is_none());
        let inherited = Environment { journal_stream: Some("0:0".to_owned()), ..Environment::default() };
        assert!(journal(&inherited).is_none());
    }
}
