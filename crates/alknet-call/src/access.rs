//! The one place where it is decided whether a caller may run an operation.

use alknet_core::{Identity, Scope};

use crate::wire::quoted;
use crate::{Access, CallError, ErrorCode, OperationSpec, Visibility};

/// Whether `identity` may run the operation from outside.
///
/// The order is fixed: visibility, then whether the caller is known, then its scopes. So whoever may not see an operation
/// learns nothing of it.
///
/// # Errors
/// NOT_FOUND for an internal operation, exactly as if it were not there; UNAUTHENTICATED; FORBIDDEN.
pub fn check(spec: &OperationSpec, identity: Option<&Identity>) -> Result<(), CallError> {
    if spec.visibility == Visibility::Internal {
        return Err(not_found(spec.name.as_str()));
    }
    let required: &[Scope] = match &spec.access {
        Access::Public => return Ok(()),
        Access::Identified => &[],
        Access::Scopes(scopes) => scopes,
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

/// The answer for an operation that is not there, or not for this caller to see. `name` may be anything.
pub(crate) fn not_found(name: &str) -> CallError {
    CallError::new(ErrorCode::NotFound, format!("there is no operation {}", quoted(&format!("/{name}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::identity;

    fn spec(access: Access) -> OperationSpec {
        OperationSpec::new("tty/spawn".parse().unwrap()).with_access(access)
    }

    fn code(spec: &OperationSpec, identity: Option<&Identity>) -> Option<ErrorCode> {
        check(spec, identity).err().map(|error| error.code)
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
            let spec = spec(access);
            assert_eq!([nobody, Some(&plain), Some(&full)].map(|who| code(&spec, who)), expected, "{spec:?}");
        }
    }

    #[test]
    fn all_scopes_are_needed_and_the_missing_one_is_named() {
        let spec = spec(Access::Scopes(vec!["tty:spawn".parse().unwrap(), "ssh:exec".parse().unwrap()]));
        let error = check(&spec, Some(&identity("alice", &["tty:spawn"]))).unwrap_err();
        assert_eq!(error.message, "/tty/spawn needs the scope ssh:exec");
    }

    #[test]
    fn an_internal_operation_looks_like_none_even_to_who_has_the_scopes() {
        let spec = spec(Access::Public).with_visibility(Visibility::Internal);
        assert_eq!(check(&spec, Some(&identity("alice", &["tty:*"]))), Err(not_found("tty/spawn")));
    }
}
