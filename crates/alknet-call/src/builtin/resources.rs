//! `resources/…`: what the caller owns.

use std::sync::Arc;

use alknet_core::{Identity, OwnershipEvent, OwnershipRecord, OwnershipStore, OwnershipWatch};
use futures_core::Stream;
use futures_util::stream;
use serde_json::{Value, json};

use super::services::list_of;
use super::{anything, spec};
use crate::{Bundle, CallError, NameTaken, OperationContext, OperationSpec, Registry};

pub(super) fn register(registry: &Registry) -> Result<(), NameTaken> {
    let Some(store) = registry.ownership().cloned() else { return Ok(()) };
    let watched = store.clone();
    registry.register(list_spec(), move |context: OperationContext, input: Value| {
        let output = owner(&context).map(|owner| list(&*store, &owner, &input));
        async { output }
    })?;
    registry.add(Bundle::subscription(watch_spec(), move |context: OperationContext, _| {
        watch(watched.clone(), owner(&context))
    }))
}

fn owner(context: &OperationContext) -> Result<Arc<Identity>, CallError> {
    let identity = context.identity.clone();
    identity.ok_or_else(|| CallError::internal("an operation on the caller's resources ran without a caller"))
}

fn list_spec() -> OperationSpec {
    let input = json!({
        "type": ["object", "null"],
        "properties": { "type": { "type": ["string", "null"], "description": "Only resources of this type" } },
    });
    let output = list_of("resources", resource_schema());
    spec("resources/list", "Lists what the caller owns on this node", input, output)
}

fn list(store: &dyn OwnershipStore, owner: &Identity, input: &Value) -> Value {
    let kind = input.get("type").and_then(Value::as_str);
    json!({ "resources": resources(&store.owned_resources(owner, kind)) })
}

fn watch_spec() -> OperationSpec {
    let output = json!({
        "type": "object",
        "properties": {
            "snapshot": { "type": "array", "items": resource_schema() },
            "recorded": resource_schema(),
            "revoked": { "type": "object", "required": ["type", "id"] },
        },
        "minProperties": 1,
        "maxProperties": 1,
    });
    spec("resources/watch", "Tells what the caller owns on this node, and each change of that", anything(), output)
}

/// Where a watch is.
enum Watch {
    Begin,
    On(OwnershipWatch),
}

fn watch(
    store: Arc<dyn OwnershipStore>,
    owner: Result<Arc<Identity>, CallError>,
) -> impl Stream<Item = Result<Value, CallError>> + Send + 'static {
    stream::try_unfold(Watch::Begin, move |mut state| {
        let (store, owner) = (store.clone(), owner.clone());
        async move {
            let owner = owner?;
            loop {
                state = match state {
                    Watch::Begin => {
                        let mut watch = store.watch(Some(&owner.id));
                        let snapshot = resources(&std::mem::take(&mut watch.snapshot));
                        return Ok(Some((json!({ "snapshot": snapshot }), Watch::On(watch))));
                    }
                    Watch::On(mut watch) => match watch.next().await {
                        Some(OwnershipEvent::Recorded(record)) => {
                            return Ok(Some((json!({ "recorded": resource(&record) }), Watch::On(watch))));
                        }
                        Some(OwnershipEvent::Revoked(record)) => {
                            let revoked = json!({ "type": &*record.kind, "id": &*record.id });
                            return Ok(Some((json!({ "revoked": revoked }), Watch::On(watch))));
                        }
                        Some(OwnershipEvent::Missed) => Watch::Begin,
                        None => return Ok(None),
                    },
                }
            }
        }
    })
}

fn resources(records: &[Arc<OwnershipRecord>]) -> Vec<Value> {
    records.iter().map(|record| resource(record)).collect()
}

/// The claim is shown because only the owner, whose claim it is, sees this.
fn resource(record: &OwnershipRecord) -> Value {
    let claim: Option<Value> = record.claim.as_ref().and_then(|claim| serde_json::from_str(claim).ok());
    json!({ "type": &*record.kind, "id": &*record.id, "claim": claim })
}

fn resource_schema() -> Value {
    json!({
        "type": "object",
        "properties": { "type": { "type": "string" }, "id": { "type": "string" }, "claim": true },
        "required": ["type", "id", "claim"],
    })
}
