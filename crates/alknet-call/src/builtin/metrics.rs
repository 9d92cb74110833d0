//! `metrics/list`: what the registry counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use alknet_core::Scope;
use serde_json::{Value, json};

use super::services::list_of;
use super::{anything, spec};
use crate::{Access, Metric, NameTaken, OperationContext, OperationSpec, Registry};

pub(super) fn register(registry: &Arc<Registry>) -> Result<(), NameTaken> {
    // A strong reference would make the registry hold itself.
    let counted = Arc::downgrade(registry);
    registry.register(list_spec(), move |_: OperationContext, _| {
        let output = list(&counted);
        async { Ok(output) }
    })
}

fn list_spec() -> OperationSpec {
    let metric = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string" },
            "kind": { "enum": ["counter", "gauge"] },
            "labels": { "type": "object", "additionalProperties": { "type": "string" } },
            "value": { "type": "number" },
            "help": { "type": "string" },
        },
        "required": ["name", "kind", "labels", "value", "help"],
    });
    // The scope is a valid one, so nobody is let in for the lack of it.
    let access = Access::Scopes(vec![Scope::metrics_read()]);
    spec("metrics/list", "Lists what this node counts", anything(), list_of("metrics", metric)).with_access(access)
}

fn list(registry: &Weak<Registry>) -> Value {
    let metrics = registry.upgrade().map(|registry| registry.metrics()).unwrap_or_default();
    json!({ "metrics": metrics.iter().map(entry).collect::<Vec<_>>() })
}

fn entry(metric: &Metric) -> Value {
    let labels: BTreeMap<_, _> = metric.labels.iter().map(|(label, value)| (*label, value)).collect();
    json!({
        "name": metric.name,
        "kind": metric.kind.as_str(),
        "labels": labels,
        "value": metric.value,
        "help": metric.help,
    })
}
