//! What a caller is told of an error.

use alknet_call::access::not_owned;
use alknet_call::{CallError, ErrorCode, OperationSpec};

use super::specs::SPAWN_FAILED;
use crate::TtyError;

/// The error as a caller of the operation gets it.
pub(crate) fn call_error(spec: &OperationSpec, error: TtyError) -> CallError {
    let code = match &error {
        // It has ended since the check: to the caller that is as if it never was.
        TtyError::NotThere(_) => return not_owned(spec),
        TtyError::SpawnFailed { .. } => {
            tracing::warn!("{error}");
            return CallError::declared(SPAWN_FAILED, error.to_string());
        }
        TtyError::NotRecorded(_) | TtyError::NoRandomness | TtyError::System { .. } => {
            return CallError::internal(error);
        }
        TtyError::NoCommands => ErrorCode::Forbidden,
        TtyError::CommandNotAllowed { .. }
        | TtyError::VariableNotAllowed { .. }
        | TtyError::TooMuch { .. }
        | TtyError::NulByte { .. }
        | TtyError::BadSize { .. }
        | TtyError::OffsetAhead { .. }
        | TtyError::WriteTooLong { .. }
        | TtyError::UnknownSignal(_) => ErrorCode::InvalidInput,
        TtyError::TooManyTerminals { .. }
        | TtyError::TooManyOfOwner { .. }
        | TtyError::TooManyOfPeer { .. }
        | TtyError::TooManyAttachments { .. } => ErrorCode::ResourceExhausted,
        TtyError::StillThere(_) => ErrorCode::Timeout,
        TtyError::StoreTimedOut | TtyError::ShuttingDown => ErrorCode::Unavailable,
    };
    CallError::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::specs;
    use alknet_call::access::check;
    use alknet_core::{Identity, MemoryOwnership};

    #[test]
    fn what_has_ended_since_the_check_is_what_never_was() {
        let scopes = vec!["tty:*".parse().unwrap()];
        let alice = Identity { id: "alice".into(), scopes, resources: Default::default() };
        let spec = specs::write();
        let never = check(&spec, Some(&alice), Some("t-1"), Some(&MemoryOwnership::default())).unwrap_err();
        assert_eq!(call_error(&spec, TtyError::NotThere("t-1".into())), never);
    }

    #[test]
    fn causes_stay_here() {
        let cause = std::io::Error::other("the disk is on fire");
        let error = call_error(&specs::write(), TtyError::System { what: "write", source: cause });
        assert_eq!((error.code, &*error.message), (ErrorCode::Internal, "internal error"));
    }
}
