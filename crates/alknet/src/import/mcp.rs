//! Operations of MCP servers: from an entry of `[[import]]` to what the registry takes, for as long as the node runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alknet_call::{Backoff, Capabilities, OperationAdapter as _, OperationSpec, Overlay, Registry, Reservation};
use alknet_http::{FromMcp, HttpClient, McpOptions, McpTools};

use super::{ImportError, Problem, access, address};
use crate::config::{Import, ImportName, ImportSource};

/// How many names stand in one line of the log.
const MAX_NAMED: usize = 20;

/// An import from an MCP server, as a configuration wants it.
pub(crate) struct Follower {
    pub(crate) import: FromMcp,
    name: ImportName,
    options: McpOptions,
}

impl Follower {
    /// Looks through an entry; none if it is from elsewhere. `capabilities` are the secrets that its operations call with.
    pub(crate) fn of(
        import: &Import,
        capabilities: Capabilities,
        client: &HttpClient,
    ) -> Result<Option<Self>, ImportError> {
        let ImportSource::Mcp { url } = &import.source else { return Ok(None) };
        let options = McpOptions {
            operations: import.operations.clone(),
            access: access(import),
            exported: import.export,
            capabilities,
        };
        Self::new(import.name.clone(), url, options, client).map(Some)
    }

    /// An import from the server at `url`. Nothing is sent.
    pub(crate) fn new(
        name: ImportName,
        url: &str,
        options: McpOptions,
        client: &HttpClient,
    ) -> Result<Self, ImportError> {
        let import = FromMcp::new(name.as_str(), address(&name, url)?, options.clone(), client.clone());
        let import = import.map_err(|error| failed(&name, error))?;
        Ok(Self { import, name, options })
    }

    /// Asks for the tools once.
    pub(crate) async fn tools(&self) -> Result<McpTools, ImportError> {
        self.import.tools().await.map_err(|error| failed(&self.name, error))
    }

    /// Keeps names for the operations until it is known what they are, so that callers learn that they are away and not
    /// that they are none.
    pub(crate) fn reserve(&self, registry: &Registry) -> Vec<Reservation> {
        match self.options.exported {
            true => {
                let reserve = |pattern: &alknet_call::OperationPattern| {
                    registry.reserve(pattern.clone(), self.options.access.clone())
                };
                self.options.operations.iter().map(reserve).collect()
            }
            false => Vec::new(),
        }
    }

    /// Has `operations` be what the server has, until this is dropped.
    pub(crate) async fn follow(self: Arc<Self>, operations: Arc<Mutex<Overlay>>, mut reserved: Vec<Reservation>) {
        let Some(mut changes) = self.import.changes() else { return };
        let (backoff, mut failures, mut is_first) = (Backoff::default(), 0, true);
        loop {
            changes.mark_unchanged();
            // What was followed before this is replaced whatever it was.
            let asked = match is_first {
                true => self.import.tools().await.map(Some),
                false => self.import.news().await,
            };
            match asked {
                Ok(news) => {
                    is_first = false;
                    if failures > 0 {
                        tracing::info!(import = self.name.as_str(), "the MCP server is there");
                    }
                    if let Some(tools) = news {
                        self.replace(&operations, &tools);
                    }
                    failures = 0;
                    reserved.clear();
                    // Never an error: the sender is in the import.
                    let _ = changes.changed().await;
                }
                Err(error) => {
                    // Once is enough for the log: a server may be away for days.
                    match failures {
                        0 => tracing::warn!(import = self.name.as_str(), %error, "the MCP server is away; trying on"),
                        _ => tracing::debug!(import = self.name.as_str(), %error, "the MCP server is still away"),
                    }
                    tokio::time::sleep(backoff.after(failures)).await;
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    fn replace(&self, operations: &Mutex<Overlay>, tools: &McpTools) {
        let mut operations: MutexGuard<'_, Overlay> = operations.lock().unwrap_or_else(PoisonError::into_inner);
        let before: BTreeMap<_, _> = operations.specs().map(|spec| (spec.name.clone(), spec.clone())).collect();
        match operations.replace(tools.bundles()) {
            Ok(()) => log(&self.name, tools, &before),
            Err(error) => tracing::error!(import = self.name.as_str(), "nothing is imported: {error}"),
        }
    }
}

fn failed(name: &ImportName, error: alknet_http::McpError) -> ImportError {
    ImportError { name: name.to_string(), problem: Problem::Mcp(error) }
}

/// Tells the operator what became of an import, and what is different from before.
fn log(name: &ImportName, tools: &McpTools, before: &BTreeMap<alknet_call::OperationName, Arc<OperationSpec>>) {
    let import = name.as_str();
    let (imported, left_out) = (tools.offered().count(), tools.left_out().count());
    let (title, version, protocol) = (tools.title(), tools.version(), tools.protocol());
    tracing::info!(
        import,
        imported,
        left_out,
        protocol,
        "imported {} {}",
        title.escape_debug(),
        version.escape_debug()
    );
    let is_new = |spec: &&OperationSpec| !before.contains_key(&spec.name);
    let is_other = |spec: &&OperationSpec| before.get(&spec.name).is_some_and(|before| **before != **spec);
    let specs = || tools.offered().map(|offered| offered.spec);
    let gone = before.keys().filter(|name| !specs().any(|spec| spec.name == **name)).map(ToString::to_string);
    let new = specs().filter(is_new).map(|spec| spec.name.to_string());
    let other = specs().filter(is_other).map(|spec| spec.name.to_string());
    for (what, names) in [("appeared", list(new)), ("changed", list(other)), ("vanished", list(gone))] {
        if !before.is_empty() && !names.is_empty() {
            tracing::info!(import, "operations {what}: {names}");
        }
    }
    for (tool, reason) in tools.left_out() {
        tracing::warn!(import, tool = %tool.escape_debug(), "left out: {reason}");
    }
    for (operation, remark) in tools.remarks() {
        tracing::debug!(import, operation = operation.as_str(), "{remark}");
    }
    for pattern in tools.unmatched() {
        tracing::warn!(
            import,
            "the pattern \"{pattern}\" names no operation; alknet import list shows the names that there are"
        );
    }
}

fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.take(MAX_NAMED + 1).collect();
    match names.get(..MAX_NAMED) {
        Some(some) if names.len() > MAX_NAMED => format!("{}, …", some.join(", ")),
        _ => names.join(", "),
    }
}
