//! The one place where it is decided whether a caller may run an operation.
//!
//! The order is fixed: visibility, then whether the caller is known, then its scopes, then whether the resource is its own.
//! So whoever may not see an operation learns nothing of it, and whoever may not run it nothing of its resources.

use alknet_core::{Identity, OwnershipProvider, Scope};
use serde_json::Value;

use crate::spec::ResourceAccess;
use crate::wire::quoted;
use crate::{Access, CallError, ErrorCode, OperationSpec, Visibility};

/// Whether `identity` may run the operation from outside, as far as that does not depend on the input.
///
/// # Errors
/// NOT_FOUND for an internal operation, exactly as if it were not there; UNAUTHENTICATED; FORBIDDEN.
pub fn check_caller(spec: &OperationSpec, identity: Option<&Identity>) -> Result<(), CallError> {
    if spec.visibility == Visibility::Internal {
        return Err(not_found(spec.name.as_str()));
    }
    check_scopes(spec, identity)
}

/// Whether `identity` may run the operation from outside on this resource. `resource_id` is what stands in the input at
/// the operation's `id_path`; `ownership` says who owns what, and without it `identity.resources` does.
///
/// # Errors
/// As [`check_caller`], and FORBIDDEN when the resource is not the caller's. That it is somebody else's and that there is
/// none are the same answer.
pub fn check(
    spec: &OperationSpec,
    identity: Option<&Identity>,
    resource_id: Option<&str>,
    ownership: Option<&dyn OwnershipProvider>,
) -> Result<(), CallError> {
    check_caller(spec, identity)?;
    check_resource(spec, identity, resource_id, ownership)
}

/// [`check_caller`] for an operation that is called by another of this process: those see internal ones too.
pub(crate) fn check_scopes(spec: &OperationSpec, identity: Option<&Identity>) -> Result<(), CallError> {
    let required = match &spec.access {
        Access::Public => return Ok(()),
        other => other.scopes(),
    };
    let Some(identity) = identity else {
        return Err(CallError::new(
            ErrorCode::Unauthenticated,
            format!("/{} is for known peers: connect with a key or send a token that this node knows", spec.name),
        ));
    };
    match required.iter().find(|scope| !identity.has_scope(scope)) {
        Some(missing) => Err(CallError::new(ErrorCode::Forbidden, format!("/{} needs the scope {missing}", spec.name))),
        None => Ok(()),
    }
}

/// The last step of [`check`].
pub(crate) fn check_resource(
    spec: &OperationSpec,
    identity: Option<&Identity>,
    resource_id: Option<&str>,
    ownership: Option<&dyn OwnershipProvider>,
) -> Result<(), CallError> {
    let Some(resource) = spec.resource.as_ref().filter(|resource| resource.id_path.is_some()) else { return Ok(()) };
    let owned = match (identity, resource_id, ownership) {
        (Some(identity), Some(id), Some(ownership)) => ownership.owns(identity, &resource.kind, id, &resource.action),
        (Some(identity), Some(id), None) => is_listed(identity, &resource.kind, id),
        _ => false,
    };
    if owned { Ok(()) } else { Err(not_owned(spec)) }
}

fn is_listed(identity: &Identity, kind: &str, id: &str) -> bool {
    identity.resources.get(kind).is_some_and(|ids| ids.iter().any(|listed| listed == id || listed == "*"))
}

/// The resource that a call with this input is about, and its id; none if the operation is not about a single one.
pub(crate) fn resource_of<'a>(
    spec: &'a OperationSpec,
    input: &'a Value,
) -> Result<Option<(&'a ResourceAccess, &'a str)>, CallError> {
    let Some(resource) = &spec.resource else { return Ok(None) };
    let Some(path) = &resource.id_path else { return Ok(None) };
    match path.resolve(input).and_then(Value::as_str) {
        Some(id) => Ok(Some((resource, id))),
        None => Err(CallError::invalid_input(format!(
            "/{} needs the id of a {}, a string, at \"{path}\" of its input",
            spec.name, resource.kind
        ))),
    }
}

/// The answer for a resource that is not the caller's, whether there is one or not. A handler gives it, too, when it finds
/// that a resource has ended since the check.
pub fn not_owned(spec: &OperationSpec) -> CallError {
    let kind = spec.resource.as_ref().map_or("resource", |resource| &resource.kind);
    CallError::new(ErrorCode::Forbidden, format!("/{} needs the id of a {kind} of yours", spec.name))
}

/// The answer for an operation that is not there, or not for this caller to see. `name` may be anything.
pub(crate) fn not_found(name: &str) -> CallError {
    CallError::new(ErrorCode::NotFound, format!("there is no operation {}", quoted(&format!("/{name}"))))
}

impl Access {
    /// Whether `identity` is what is asked for.
    pub fn permits(&self, identity: Option<&Identity>) -> bool {
        match (self, identity) {
            (Self::Public, _) => true,
            (_, None) => false,
            (other, Some(identity)) => other.scopes().iter().all(|scope| identity.has_scope(scope)),
        }
    }

    fn scopes(&self) -> &[Scope] {
        match self {
            Self::Public | Self::Identified => &[],
            Self::Scopes(scopes) => scopes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::identity;
    use alknet_core::{MemoryOwnership, OwnershipRecord, OwnershipStore};
    use proptest::prelude::*;

    fn spec(access: Access) -> OperationSpec {
        OperationSpec::new("tty/spawn".parse().unwrap()).with_access(access)
    }

    fn write() -> OperationSpec {
        spec(Access::Public).with_resource("tty", "write", Some("/id".parse().unwrap()))
    }

    async fn store(owner: &str) -> MemoryOwnership {
        let store = MemoryOwnership::default();
        store.record(OwnershipRecord::new("tty", "t-1", owner)).await.unwrap();
        store
    }

    fn code(spec: &OperationSpec, identity: Option<&Identity>) -> Option<ErrorCode> {
        check(spec, identity, None, None).err().map(|error| error.code)
    }

    #[test]
    fn each_requirement_lets_in_whom_it_names() {
        let (nobody, plain) = (None, identity("alice", &[]));
        let full = identity("bob", &["tty:*", "ssh:exec"]);
        let scopes = Access::Scopes(vec!["tty:spawn".parse().unwrap(), "ssh:exec".parse().unwrap()]);
        for (access, expected) in [
            (Access::Public, [None, None, None]),
            (Access::Identified, [Some(ErrorCode::Unauthenticated), None, None]),
            (scopes, [Some(ErrorCode::Unauthenticated), Some(ErrorCode::Forbidden), None]),
        ] {
            let spec = spec(access.clone());
            let all = [nobody, Some(&plain), Some(&full)];
            assert_eq!(all.map(|who| code(&spec, who)), expected, "{spec:?}");
            assert_eq!(all.map(|who| access.permits(who)), expected.map(|code| code.is_none()), "{access:?}");
        }
    }

    #[test]
    fn all_scopes_are_needed_and_the_missing_one_is_named() {
        let spec = spec(Access::Scopes(vec!["tty:spawn".parse().unwrap(), "ssh:exec".parse().unwrap()]));
        let error = check_caller(&spec, Some(&identity("alice", &["tty:spawn"]))).unwrap_err();
        assert_eq!(error.message, "/tty/spawn needs the scope ssh:exec");
    }

    #[test]
    fn an_internal_operation_looks_like_none_even_to_who_has_the_scopes() {
        let spec = spec(Access::Public).with_visibility(Visibility::Internal);
        let alice = identity("alice", &["tty:*"]);
        assert_eq!(check_caller(&spec, Some(&alice)), Err(not_found("tty/spawn")));
        assert_eq!(check_scopes(&spec, Some(&alice)), Ok(()));
    }

    #[tokio::test]
    async fn only_the_owner_passes_and_the_others_cannot_tell_what_is_there() {
        let (store, spec) = (store("alice").await, write());
        let check = |who: Option<&Identity>, id| check(&spec, who, Some(id), Some(&store));
        let (alice, bob) = (identity("alice", &[]), identity("bob", &["tty:*"]));
        assert_eq!(check(Some(&alice), "t-1"), Ok(()));
        let refused = check(Some(&bob), "t-1").unwrap_err();
        assert_eq!(refused.code, ErrorCode::Forbidden);
        for (who, id) in [(Some(&bob), "t-2"), (Some(&alice), "t-2"), (None, "t-1"), (None, "t-2")] {
            assert_eq!(check(who, id).unwrap_err(), refused, "{who:?} {id}");
        }
        store.revoke("tty", "t-1").await;
        assert_eq!(check(Some(&alice), "t-1").unwrap_err(), refused);
    }

    #[tokio::test]
    async fn a_list_needs_no_ownership_and_a_missing_id_is_no_list() {
        let store = store("alice").await;
        let list = spec(Access::Identified).with_resource("tty", "list", None);
        let bob = identity("bob", &[]);
        assert_eq!(check(&list, Some(&bob), None, Some(&store)), Ok(()));
        assert!(check(&write(), Some(&identity("alice", &[])), None, Some(&store)).is_err());
    }

    #[test]
    fn without_a_store_the_peers_own_list_counts() {
        let mut alice = identity("alice", &[]);
        alice.resources.insert("tty".to_owned(), vec!["t-1".to_owned()]);
        let passes = |who: &Identity, id| check(&write(), Some(who), Some(id), None).is_ok();
        assert!(passes(&alice, "t-1") && !passes(&alice, "t-2"));
        alice.resources.insert("tty".to_owned(), vec!["*".to_owned()]);
        assert!(passes(&alice, "t-2"));
        assert!(!passes(&identity("bob", &[]), "t-1"));
    }

    #[tokio::test]
    async fn with_a_store_the_peers_own_list_does_not_count() {
        let mut bob = identity("bob", &[]);
        bob.resources.insert("tty".to_owned(), vec!["*".to_owned()]);
        assert!(check(&write(), Some(&bob), Some("t-1"), Some(&store("alice").await)).is_err());
    }

    #[test]
    fn the_place_of_a_missing_id_is_named() {
        let spec = write();
        let error = resource_of(&spec, &serde_json::json!({ "id": 5 })).unwrap_err();
        assert_eq!(
            (&error.code, &*error.message),
            (&ErrorCode::InvalidInput, "/tty/spawn needs the id of a tty, a string, at \"/id\" of its input")
        );
    }

    proptest! {
        /// The rules in the words of the design, against the order of the code.
        #[test]
        fn the_check_is_what_the_rules_say(
            internal: bool,
            needed in 0usize..3,
            known: bool,
            held: bool,
            id_path: bool,
            wired: bool,
            owned in 0usize..4,
        ) {
            let scopes = vec!["tty:spawn".parse().unwrap()];
            let access = [Access::Public, Access::Identified, Access::Scopes(scopes)][needed].clone();
            let visibility = if internal { Visibility::Internal } else { Visibility::External };
            let path = id_path.then(|| "/id".parse().unwrap());
            let spec = spec(access).with_visibility(visibility).with_resource("tty", "write", path);
            let mut alice = identity("alice", if held { &["tty:*"] } else { &["ssh:*"] });
            if owned & 1 == 1 {
                alice.resources.insert("tty".to_owned(), vec!["t-1".to_owned()]);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let store = runtime.block_on(store(if owned & 2 == 2 { "alice" } else { "bob" }));
            let owns = known && if wired { owned & 2 == 2 } else { owned & 1 == 1 };
            let expected = if internal {
                Some(ErrorCode::NotFound)
            } else if needed > 0 && !known {
                Some(ErrorCode::Unauthenticated)
            } else if (needed == 2 && !held) || (id_path && !owns) {
                Some(ErrorCode::Forbidden)
            } else {
                None
            };
            let provider: Option<&dyn OwnershipProvider> = if wired { Some(&store) } else { None };
            let result = check(&spec, known.then_some(&alice), Some("t-1"), provider);
            prop_assert_eq!(result.err().map(|error| error.code), expected);
        }
    }
}
