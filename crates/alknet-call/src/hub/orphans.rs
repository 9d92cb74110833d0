//! What is left of callers who are no longer known.

use std::sync::{Arc, Weak};
use std::time::Duration;

use alknet_core::{Identity, IdentityProvider, OwnershipEvent, OwnershipRecord};
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value};

use crate::{Access, CallerInfo, OperationContext, OperationKind, OperationSpec, Registry};

/// The action of an operation that ends its resource.
const END: &str = "end";

/// How many are ended at the same time, and how long each may take.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_secs(30);

/// Ends the resources of peers whose owners are removed or disabled here, for as long as there is the registry: by the
/// exported operation whose action is `end`, in the name of who owned them. What cannot be reached is ended when it can.
pub async fn end_orphans(registry: Weak<Registry>, identities: Arc<dyn IdentityProvider>) {
    let Some((store, mut operations)) = registry.upgrade().and_then(|registry| {
        let changes = registry.changes();
        registry.ownership().cloned().map(|store| (store, changes))
    }) else {
        return;
    };
    let mut changes = identities.changes();
    loop {
        // Before the look, so that whatever comes after it is another reason to look.
        changes.mark_unchanged();
        operations.mark_unchanged();
        let mut watch = store.watch(None);
        end_those_of_nobody(&registry, &*identities, std::mem::take(&mut watch.snapshot)).await;
        loop {
            tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                changed = operations.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                event = watch.next() => match event {
                    Some(OwnershipEvent::Recorded(record)) => {
                        end_those_of_nobody(&registry, &*identities, vec![record]).await;
                    }
                    Some(OwnershipEvent::Revoked(_)) => {}
                    Some(OwnershipEvent::Missed) => break,
                    None => return,
                },
            }
        }
    }
}

async fn end_those_of_nobody(
    registry: &Weak<Registry>,
    identities: &dyn IdentityProvider,
    records: Vec<Arc<OwnershipRecord>>,
) {
    // Kinds without a prefix are those of our own handlers, which see to it themselves.
    let orphans = records.into_iter().filter(|record| record.kind.contains('/') && !identities.is_known(&record.owner));
    let ends = orphans.map(|record| end(registry.clone(), record));
    stream::iter(ends).for_each_concurrent(AT_ONCE, |ended| ended).await;
}

async fn end(registry: Weak<Registry>, record: Arc<OwnershipRecord>) {
    let Some(registry) = registry.upgrade() else { return };
    let ending = registry.specs().into_iter().find_map(|spec| input(&spec, &record).map(|input| (spec, input)));
    // The peer is away, or nothing that ends it is exported.
    let Some((spec, input)) = ending else { return };
    let scopes = match &spec.access {
        Access::Scopes(scopes) => scopes.clone(),
        _ => Vec::new(),
    };
    let owner = Identity { id: record.owner.clone(), scopes, resources: Default::default() };
    let context = OperationContext::new("orphan", Some(Arc::new(owner)), CallerInfo::in_process(), PATIENCE);
    let (id, peer) = (&*record.id, &*record.owner);
    match registry.invoke(spec.name.as_str(), input, context).await {
        Ok(_) => tracing::info!(peer, resource = id, kind = &*record.kind, "ended, as its owner is no longer a peer"),
        Err(error) => tracing::warn!(peer, resource = id, kind = &*record.kind, %error, "cannot end what has no owner"),
    }
}

/// What the operation gets to end this resource, if it is one that does.
fn input(spec: &OperationSpec, record: &OwnershipRecord) -> Option<Value> {
    let resource =
        spec.resource.as_ref().filter(|resource| resource.kind == record.kind && *resource.action == *END)?;
    let path = resource.id_path.as_ref().filter(|_| spec.kind == OperationKind::Call)?.to_string();
    let key = path.strip_prefix('/').filter(|key| !key.contains(['/', '~']))?;
    Some(Value::Object(Map::from_iter([(key.to_owned(), Value::from(&*record.id))])))
}
