//! The operations of a peer, as the hub's callers see them.

use std::sync::Arc;

use alknet_core::BoxFuture;
use serde_json::Value;

use super::books::Books;
use crate::peers::Forward;
use crate::{
    Access, Bundle, CallError, Lists, OperationContext, OperationHandler, OperationKind, OperationSpec, Provenance,
    ResourceAccess, Spawns, Visibility,
};

/// Makes the exported form of an operation. None, with a line in the log, of what cannot be exported without showing one
/// caller what is another's.
pub(super) fn export(spec: OperationSpec, forward: Forward, books: &Arc<Books>) -> Option<Bundle> {
    let name = spec.name.clone();
    let refuse = |why: &str| {
        tracing::warn!(peer = &*books.export().peer, "/{name} is not exported: {why}");
        None
    };
    let lists_all = spec.resource.as_ref().is_some_and(|resource| resource.id_path.is_none());
    if lists_all && (spec.lists.is_none() || spec.kind == OperationKind::Subscription) {
        return refuse("it works on all resources of its caller, and does not say where in its output they stand");
    }
    let (spawns, lists) = (spec.spawns.clone(), spec.lists.clone());
    if spawns.is_some() && spec.kind == OperationKind::Subscription {
        return refuse("it is a subscription that spawns");
    }
    let Ok(spec) = translate(spec, books) else { return refuse("its name is too long with the prefix") };
    let bundle = match spec.kind {
        OperationKind::Subscription => Bundle::subscription(spec, forward),
        OperationKind::Call if spawns.is_none() && lists.is_none() => Bundle::call(spec, forward),
        OperationKind::Call => Bundle::call(spec, Kept { forward, books: books.clone(), spawns, lists }),
    };
    Some(bundle.with_provenance(Provenance::FromCall).exported())
}

/// The description with our names: of the operation, and of the kinds of resources.
fn translate(mut spec: OperationSpec, books: &Books) -> Result<OperationSpec, crate::InvalidName> {
    let export = books.export();
    spec.name = spec.name.prefixed(&export.prefix)?;
    spec.visibility = Visibility::External;
    if !export.required_scopes.is_empty() {
        spec.access = Access::Scopes(export.required_scopes.clone());
    }
    spec.resource = spec.resource.map(|resource| ResourceAccess { kind: export.kind(&resource.kind), ..resource });
    spec.spawns = spec.spawns.map(|spawns| Spawns { kind: export.kind(&spawns.kind), ..spawns });
    spec.lists = spec.lists.map(|lists| Lists { kind: export.kind(&lists.kind), ..lists });
    Ok(spec)
}

/// A call that spawns or lists.
struct Kept {
    forward: Forward,
    books: Arc<Books>,
    spawns: Option<Spawns>,
    lists: Option<Lists>,
}

impl OperationHandler for Kept {
    fn call(&self, context: OperationContext, input: Value) -> BoxFuture<'static, Result<Value, CallError>> {
        let (forward, books) = (self.forward.clone(), self.books.clone());
        let (spawns, lists) = (self.spawns.clone(), self.lists.clone());
        Box::pin(async move {
            let identity = context.identity.clone();
            let mut output = forward.run(context, input).await?;
            if let Some(spawns) = spawns
                && let Some(id) = spawns.id_path.resolve(&output).and_then(Value::as_str)
            {
                books.told_of(&books.export().kind(&spawns.kind), id).await;
            }
            if let Some(lists) = lists {
                let kind = books.export().kind(&lists.kind);
                let owns = |id: &str| {
                    identity.as_ref().is_some_and(|identity| books.ownership().owns(identity, &kind, id, "list"))
                };
                keep_owned(&mut output, &lists, owns);
            }
            Ok(output)
        })
    }
}

/// Takes everything out of a list that is not the caller's. What cannot be told whose it is goes, too.
fn keep_owned(output: &mut Value, lists: &Lists, owns: impl Fn(&str) -> bool) {
    let items = match lists.items.resolve_mut(output) {
        Some(Value::Array(items)) => items,
        Some(other) => return *other = Value::Array(Vec::new()),
        None => return,
    };
    items.retain(|item| lists.id.resolve(item).and_then(Value::as_str).is_some_and(&owns));
}
