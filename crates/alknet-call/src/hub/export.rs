//! The operations of a peer, as the hub's callers see them.

use std::sync::Arc;

use alknet_core::BoxFuture;
use serde_json::Value;

use super::Export;
use super::books::Books;
use super::mount::Mount;
use crate::peers::Forward;
use crate::{
    Access, Bundle, CallError, InvalidName, Lists, OperationContext, OperationHandler, OperationKind, OperationSpec,
    Provenance, ResourceAccess, Spawns, Visibility,
};

/// Makes the exported form of an operation. None, with a line in the log, of what cannot be exported without showing one
/// caller what is another's.
pub(super) fn export(spec: OperationSpec, forward: Forward, books: &Arc<Books>) -> Option<Bundle> {
    let mount = books.mount();
    let name = spec.name.clone();
    let refuse = |why: &str| {
        tracing::warn!(peer = &*mount.peer, "/{name} is not exported: {why}");
        None
    };
    let is_subscription = spec.kind == OperationKind::Subscription;
    if spec.lists.is_none() && spec.resource.as_ref().is_some_and(|resource| resource.id_path.is_none()) {
        return refuse("it works on all resources of its caller, and does not say where in its output they stand");
    }
    if is_subscription && (spec.lists.is_some() || spec.spawns.is_some()) {
        return refuse("it is a subscription that lists or spawns resources");
    }
    let translated = translate(spec, mount, mount.export(&name)?);
    let Ok(spec) = translated else { return refuse("its name is too long with the prefix") };
    let bundle = match spec.kind {
        OperationKind::Subscription => Bundle::subscription(spec, forward),
        OperationKind::Call if spec.spawns.is_none() && spec.lists.is_none() => Bundle::call(spec, forward),
        OperationKind::Call => {
            let (spawns, lists) = (spec.spawns.clone(), spec.lists.clone());
            Bundle::call(spec, Kept { forward, books: books.clone(), spawns, lists })
        }
    };
    Some(bundle.with_provenance(Provenance::FromCall).exported())
}

/// The kinds of resources that an operation says something of.
pub(super) fn kinds(spec: &OperationSpec) -> impl Iterator<Item = &Arc<str>> {
    let resource = spec.resource.as_ref().map(|resource| &resource.kind);
    let spawns = spec.spawns.as_ref().map(|spawns| &spawns.kind);
    let lists = spec.lists.as_ref().map(|lists| &lists.kind);
    resource.into_iter().chain(spawns).chain(lists)
}

/// The description with our names: of the operation, and of the kinds of resources.
fn translate(mut spec: OperationSpec, mount: &Mount, export: &Export) -> Result<OperationSpec, InvalidName> {
    spec.name = spec.name.prefixed(&mount.prefix)?;
    spec.visibility = Visibility::External;
    if !export.required_scopes.is_empty() {
        spec.access = Access::Scopes(export.required_scopes.clone());
    }
    spec.resource = spec.resource.map(|resource| ResourceAccess { kind: mount.kind(&resource.kind), ..resource });
    spec.spawns = spec.spawns.map(|spawns| Spawns { kind: mount.kind(&spawns.kind), ..spawns });
    spec.lists = spec.lists.map(|lists| Lists { kind: mount.kind(&lists.kind), ..lists });
    Ok(spec)
}

/// A call that spawns or lists. The kinds are called as they are here.
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
                books.told_of(&spawns.kind, id).await;
            }
            if let Some(lists) = lists {
                let owns = |id: &str| {
                    identity.as_ref().is_some_and(|identity| books.ownership().owns(identity, &lists.kind, id, "list"))
                };
                keep_owned(&mut output, &lists, owns)?;
            }
            Ok(output)
        })
    }
}

/// Takes everything out of a list that is not the caller's. What cannot be told whose it is goes, too.
fn keep_owned(output: &mut Value, lists: &Lists, owns: impl Fn(&str) -> bool) -> Result<(), CallError> {
    match lists.items.resolve_mut(output) {
        Some(Value::Array(items)) => {
            items.retain(|item| lists.id.resolve(item).and_then(Value::as_str).is_some_and(&owns));
            Ok(())
        }
        // It may be somewhere else, and then it is everybody's.
        _ => Err(CallError::internal(format_args!(
            "the peer has sent no list at \"{}\", where it said it is",
            lists.items
        ))),
    }
}
