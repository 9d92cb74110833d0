//! How a command that failed says so: one line, its causes, and where there is one the command to run next.

use std::io::Write as _;
use std::process::ExitCode;

use alknet_call::{CallError, ClientError, ErrorCode};
use alknet_core::DialError;
use alknet_vault::sealed::SealedError;

use super::check_config::DeniedWarnings;
use super::output::OutputError;
use crate::config::ConfigErrors;
use crate::config::edit::EditError;
use crate::init::InitError;
use crate::serve::StartError;
use crate::vault::OpenVaultError;

/// The exit code for a command line or a file that is wrong: to try again as it is changes nothing.
pub(super) const USAGE: u8 = 2;
const FAILURE: u8 = 1;
/// The exit code after Ctrl-C, as a shell has it.
pub(super) const INTERRUPTED: u8 = 128 + 2;

/// The arguments are fine one by one and make no sense together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct UsageError(pub(super) String);

/// Prints an error and chooses the exit code.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    if error.chain().filter_map(|cause| cause.downcast_ref::<OutputError>()).any(OutputError::is_closed) {
        return ExitCode::SUCCESS;
    }
    // Where standard error is gone, too, the exit code is all that is left to say it with.
    let _ = std::io::stderr().write_all(text(error).as_bytes());
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    let damage = |cause: &StartError| matches!(cause, StartError::Pairing(error) if error.is_damage());
    let usage = error.chain().any(|cause| {
        cause.is::<ConfigErrors>()
            || cause.is::<UsageError>()
            || cause.is::<DeniedWarnings>()
            || cause.downcast_ref().is_some_and(damage)
    });
    if usage { USAGE } else { FAILURE }
}

fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for (depth, cause) in error.chain().enumerate() {
        let message = cause.to_string();
        // Some errors of libraries end with their cause.
        if depth > 0 && last.ends_with(&message) {
            continue;
        }
        let start = if depth == 0 { "error: " } else { "  caused by: " };
        // Several problems of a configuration are a line each.
        message.lines().for_each(|line| text.extend([start, line, "\n"]));
        last = message;
    }
    hint(error).into_iter().for_each(|hint| text.extend(["hint: ", hint, "\n"]));
    text
}

/// What to do about it.
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        if let Some(errors) = cause.downcast_ref::<ConfigErrors>() {
            let missing = errors.iter().any(|error| error.line.is_none() && !error.file.exists());
            return missing.then_some("\"alknet init\" makes a configuration; --config FILE names another one");
        }
        if let Some(OpenVaultError::NoVault { .. }) = cause.downcast_ref() {
            return Some("\"alknet init\" makes a vault together with a configuration; if there was one, restore it from a backup");
        }
        if let Some(SealedError::WrongPassphrase) = cause.downcast_ref() {
            return Some("the vault was sealed with another passphrase; look at passphrase_file in [vault]");
        }
        if let Some(EditError::NoSuchPeer { .. }) = cause.downcast_ref() {
            return Some("\"alknet peer list\" shows the peers, \"alknet peer add\" makes one");
        }
        if let Some(DialError::Unreachable { .. } | DialError::TimedOut { .. }) = cause.downcast_ref() {
            return Some("does the node run (\"alknet serve\"), and do firewalls let its port through, UDP or TCP?");
        }
        if let Some(DialError::NoSuchAlpn { .. }) = cause.downcast_ref() {
            return Some("\"alknet status NODE\" shows what a node serves");
        }
        #[cfg(feature = "tty")]
        if let Some(hint) = super::tty::hint(cause) {
            return Some(hint);
        }
        if let Some(ClientError::Remote(CallError { code: ErrorCode::NotFound, .. })) = cause.downcast_ref() {
            return Some("\"alknet services NODE\" shows what you may call there");
        }
        if let Some(InitError::Exists { .. }) = cause.downcast_ref() {
            return Some("\"alknet id\" shows the node that is there, \"alknet serve\" runs it");
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_one_line_and_its_causes() {
        let error = Err::<(), _>(std::io::Error::other("disk on fire")).context("cannot write x").unwrap_err();
        assert_eq!(text(&error), "error: cannot write x\n  caused by: disk on fire\n");
        let error =
            Err::<(), _>(std::io::Error::other("disk on fire")).context("cannot write: disk on fire").unwrap_err();
        assert_eq!(text(&error), "error: cannot write: disk on fire\n");
        assert_eq!(code(&error), 1);
        assert_eq!(code(&UsageError("no".to_owned()).into()), 2);
    }

    #[test]
    fn each_problem_of_a_configuration_has_its_line() {
        let errors = crate::config::parse("a = 1\nb = 2\n", std::path::Path::new("x")).unwrap_err();
        let error = anyhow::Error::from(errors);
        assert_eq!((text(&error).matches("error: x:").count(), code(&error)), (2, 2));
    }
}
