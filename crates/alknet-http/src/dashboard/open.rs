//! `dashboard/open`.

use std::sync::Arc;

use alknet_call::{Access, Bundle, CallError, ErrorCode, OperationContext, OperationName, OperationSpec, Schema};
use alknet_core::Scope;
use serde_json::{Value, json};

use super::PATH;
use super::sessions::{LINK_LIFETIME, OpenError, Sessions};

pub(super) fn bundle(sessions: &Arc<Sessions>) -> Bundle {
    let sessions = sessions.clone();
    Bundle::call(spec(), move |context: OperationContext, _: Value| {
        let output = open(&sessions, &context);
        async { output }
    })
}

fn spec() -> OperationSpec {
    let output = json!({
        "type": "object",
        "properties": { "path": { "type": "string" }, "expires_seconds": { "type": "integer" } },
        "required": ["path", "expires_seconds"],
    });
    OperationSpec::new(OperationName::from_static("dashboard/open"))
        .with_description("Makes a link that opens this node's dashboard in a browser, once and within a minute")
        .with_access(Access::Scopes(vec![Scope::dashboard_use()]))
        .with_input(Schema::new(Value::Bool(true)).ok())
        .with_output(Schema::new(output).ok())
}

fn open(sessions: &Arc<Sessions>, context: &OperationContext) -> Result<Value, CallError> {
    // What calls from within the process has no credential that could be taken back.
    let Some(auth) = &context.auth else { return Err(refused(&OpenError::NoCredential)) };
    let link = sessions.open(auth).map_err(|error| refused(&error))?;
    Ok(json!({ "path": format!("{PATH}{}", link.reveal()), "expires_seconds": LINK_LIFETIME.as_secs() }))
}

fn refused(error: &OpenError) -> CallError {
    let code = match error {
        OpenError::NoCredential => ErrorCode::Forbidden,
        OpenError::TooMany => ErrorCode::ResourceExhausted,
        OpenError::NoRandomness(_) => return CallError::internal(error),
    };
    CallError::new(code, error.to_string())
}
