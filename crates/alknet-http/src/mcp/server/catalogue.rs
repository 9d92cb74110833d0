//! The tools that there are, and which of them a bearer sees.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use alknet_call::access::check_caller;
use alknet_call::{OperationKind, OperationSpec, Registry, Visibility};
use alknet_core::Identity;
use arc_swap::ArcSwap;
use rmcp::model::{Tool, ToolAnnotations};
use tokio::sync::watch;

use super::{name, shape};
use crate::openapi::export::summary;

/// The tools of a registry's operations. Each is written once, when its operation is new.
pub(super) struct Catalogue {
    registry: Arc<Registry>,
    snapshot: ArcSwap<Snapshot>,
    building: Mutex<()>,
}

/// The tools at some time, by name.
struct Snapshot {
    /// Has changed when the registry has, since.
    changes: watch::Receiver<u64>,
    tools: Vec<Arc<Entry>>,
}

struct Entry {
    spec: Arc<OperationSpec>,
    tool: Tool,
    digest: u64,
}

/// A part of the tools that a bearer sees.
pub(super) struct Page {
    pub(super) tools: Vec<Tool>,
    /// The last tool of this page, if there are more.
    pub(super) next: Option<String>,
}

impl Catalogue {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        let mut changes = registry.changes();
        changes.mark_changed();
        let snapshot = ArcSwap::from_pointee(Snapshot { changes, tools: Vec::new() });
        Self { registry, snapshot, building: Mutex::default() }
    }

    /// The tools behind `after`, at most `size` of them.
    pub(super) fn page(&self, identity: &Identity, after: Option<&str>, size: usize) -> Page {
        let snapshot = self.current();
        let from = after.map_or(0, |after| snapshot.tools.partition_point(|entry| &*entry.tool.name <= after));
        let mut seen = snapshot.tools.iter().skip(from).filter(|entry| entry.is_for(identity));
        let tools: Vec<_> = seen.by_ref().take(size).map(|entry| entry.tool.clone()).collect();
        let last = tools.last().map(|tool| tool.name.clone().into_owned());
        Page { tools, next: last.filter(|_| seen.next().is_some()) }
    }

    /// A tool, if the bearer sees it.
    pub(super) fn tool(&self, identity: &Identity, name: &str) -> Option<Tool> {
        let snapshot = self.current();
        let at = snapshot.tools.binary_search_by(|entry| (*entry.tool.name).cmp(name)).ok()?;
        snapshot.tools.get(at).filter(|entry| entry.is_for(identity)).map(|entry| entry.tool.clone())
    }

    /// Another value whenever what the bearer sees is something else.
    pub(super) fn digest(&self, identity: &Identity) -> u64 {
        let snapshot = self.current();
        let mut digest = DefaultHasher::new();
        snapshot.tools.iter().filter(|entry| entry.is_for(identity)).for_each(|entry| entry.digest.hash(&mut digest));
        digest.finish()
    }

    /// The tools as they are now.
    fn current(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.load();
        if !snapshot.is_stale() {
            return Arc::clone(&snapshot);
        }
        drop(snapshot);
        // Who comes while another writes waits for that. Nothing in here is half done when it panics.
        let _turn = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot.load_full();
        if !before.is_stale() {
            return before;
        }
        let snapshot = Arc::new(Snapshot::of(&self.registry, &before));
        self.snapshot.store(snapshot.clone());
        snapshot
    }
}

impl Snapshot {
    fn of(registry: &Registry, before: &Self) -> Self {
        // First, so that nothing that comes while the operations are read is missed.
        let changes = registry.changes();
        let before: HashMap<_, _> = before.tools.iter().map(|one| (Arc::as_ptr(&one.spec), one)).collect();
        let external = registry.specs().into_iter().filter(|spec| spec.visibility == Visibility::External);
        let entries = external.filter_map(|spec| match before.get(&Arc::as_ptr(&spec)) {
            Some(entry) => Some(Arc::clone(entry)),
            None => Entry::of(spec).map(Arc::new),
        });
        let mut tools: Vec<_> = entries.collect();
        // Dots and slashes have another order.
        tools.sort_by(|a, b| a.tool.name.cmp(&b.tool.name));
        Self { changes, tools }
    }

    fn is_stale(&self) -> bool {
        // The registry outlives this, so an error means that it changes no more.
        self.changes.has_changed().unwrap_or(false)
    }
}

impl Entry {
    fn of(spec: Arc<OperationSpec>) -> Option<Self> {
        let Some(name) = name::tool(&spec.name) else {
            tracing::debug!(operation = %spec.name, "the name is too long for a tool");
            return None;
        };
        let mut tool = Tool::new(name, description(&spec), shape::arguments(&spec)).with_title(summary(&spec));
        tool.description = tool.description.filter(|text| !text.is_empty());
        tool.output_schema = shape::content(&spec).map(Arc::new);
        // That is all that an operation says of its effects.
        tool.annotations = spec.lists.as_ref().map(|_| ToolAnnotations::new().read_only(true));
        let mut digest = DefaultHasher::new();
        serde_json::to_string(&tool).unwrap_or_default().hash(&mut digest);
        Some(Self { spec, tool, digest: digest.finish() })
    }

    fn is_for(&self, identity: &Identity) -> bool {
        check_caller(&self.spec, Some(identity)).is_ok()
    }
}

/// What the operation does, and what the schemas do not tell.
fn description(spec: &OperationSpec) -> String {
    let mut text = crate::openapi::export::description(spec);
    if spec.kind == OperationKind::Subscription {
        text += "\n\nFollows what happens: each event comes as a progress notification when it happens, to whoever asks for \
            those; and all that there is room for are in the result, when there are no more or the time is over.";
    }
    for error in &spec.errors {
        text += &format!("\n\nFails with `{}`: {}", error.code, error.description);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use alknet_call::{Access, OperationContext};
    use serde_json::{Value, json};

    fn add(registry: &Registry, name: &str, access: Access) {
        let spec = OperationSpec::new(name.parse().unwrap()).with_access(access).with_description("Does it. Well.");
        registry.register(spec, async |_: OperationContext, input: Value| Ok(input)).unwrap();
    }

    fn scoped() -> Access {
        Access::Scopes(vec!["b:use".parse().unwrap()])
    }

    fn identity(scopes: &[&str]) -> Identity {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Identity { id: "alice".into(), scopes, resources: Default::default() }
    }

    fn catalogue() -> Catalogue {
        let registry = Arc::new(Registry::new());
        for name in ["a/b/c", "a/b-c", "d/e"] {
            add(&registry, name, Access::Identified);
        }
        add(&registry, "b/some", scoped());
        let hidden = OperationSpec::new("c/none".parse().unwrap()).with_visibility(Visibility::Internal);
        registry.register(hidden, async |_: OperationContext, input: Value| Ok(input)).unwrap();
        Catalogue::new(registry)
    }

    fn names(page: &Page) -> Vec<&str> {
        page.tools.iter().map(|tool| &*tool.name).collect()
    }

    #[test]
    fn a_bearer_sees_what_it_may_call() {
        let catalogue = catalogue();
        assert_eq!(names(&catalogue.page(&identity(&[]), None, 9)), ["a.b-c", "a.b.c", "d.e"]);
        assert_eq!(names(&catalogue.page(&identity(&["b:use"]), None, 9)), ["a.b-c", "a.b.c", "b.some", "d.e"]);
        assert!(
            catalogue.tool(&identity(&[]), "b.some").is_none()
                && catalogue.tool(&identity(&["b:*"]), "b.some").is_some()
        );
        assert!(catalogue.tool(&identity(&["c:*"]), "c.none").is_none());
    }

    #[test]
    fn pages_have_all_of_them_once_whatever_comes_and_goes_in_between() {
        let (catalogue, bob) = (catalogue(), identity(&["b:*"]));
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = catalogue.page(&bob, after.as_deref(), 2);
            seen.extend(names(&page).into_iter().map(str::to_owned));
            catalogue.registry.remove("a/b/c");
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ["a.b-c", "a.b.c", "b.some", "d.e"]);
        assert!(catalogue.page(&bob, Some("z.z"), 2).tools.is_empty());
    }

    #[test]
    fn the_digest_changes_exactly_with_what_is_seen() {
        let (catalogue, alice, bob) = (catalogue(), identity(&[]), identity(&["b:*"]));
        let before = (catalogue.digest(&alice), catalogue.digest(&bob));
        assert_ne!(before.0, before.1);
        add(&catalogue.registry, "b/more", scoped());
        assert_eq!(catalogue.digest(&alice), before.0);
        assert_ne!(catalogue.digest(&bob), before.1);
        catalogue.registry.remove("b/more");
        assert_eq!(catalogue.digest(&bob), before.1);
        // Under the same name, something else.
        catalogue.registry.remove("d/e");
        let spec = OperationSpec::new("d/e".parse().unwrap());
        catalogue.registry.register(spec, async |_: OperationContext, input: Value| Ok(input)).unwrap();
        assert_ne!(catalogue.digest(&alice), before.0);
    }

    #[test]
    fn a_tool_says_what_its_operation_says() {
        let spec = OperationSpec::new("tty/list".parse().unwrap())
            .with_description("Lists them. All.")
            .with_lists("tty", "/terminals".parse().unwrap(), "/id".parse().unwrap())
            .with_error(alknet_call::ErrorSpec::new("BUSY", "Later"));
        let tool = serde_json::to_value(Entry::of(Arc::new(spec)).unwrap().tool).unwrap();
        let expected = json!({
            "name": "tty.list", "title": "Lists them", "description": "Lists them. All.\n\nFails with `BUSY`: Later",
            "inputSchema": { "type": "object" }, "annotations": { "readOnlyHint": true },
        });
        assert_eq!(tool, expected);
    }
}
