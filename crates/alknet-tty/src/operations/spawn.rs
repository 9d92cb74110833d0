//! `tty/spawn`.

use std::collections::BTreeMap;
use std::sync::Arc;

use alknet_call::{Bundle, CallError, OperationContext};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{call, call_error, caller, claim, parse, specs};
use crate::{SpawnRequest, Terminals};

/// How long a claim may be, in bytes of JSON: what a hub may send.
const MAX_CLAIM: usize = 2048;

/// What `tty/spawn` takes. Whatever is left out is as in [`SpawnRequest::of`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SpawnInput {
    /// The program, exactly as the configuration of the node has it; none stands for the first one there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    /// Variables for its environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<BTreeMap<String, String>>,
    /// The rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u16>,
    /// The columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cols: Option<u16>,
}

impl SpawnInput {
    pub(crate) fn into_request(self, owner: Arc<str>, claim: Option<Arc<str>>) -> SpawnRequest {
        let base = SpawnRequest::of(owner);
        SpawnRequest {
            command: self.command,
            args: self.args.unwrap_or_default(),
            env: self.environment.unwrap_or_default(),
            rows: self.rows.unwrap_or(base.rows),
            cols: self.cols.unwrap_or(base.cols),
            claim,
            ..base
        }
    }
}

pub(super) fn bundle(terminals: &Terminals) -> Bundle {
    call(terminals, specs::spawn(), |terminals, spec, context, input| async move {
        let request = request(&context, input)?;
        let info = terminals.spawn(request).await.map_err(|error| call_error(&spec, error))?;
        Ok(json!({
            "id": &*info.id,
            "command": info.command,
            "pid": info.pid,
            "rows": info.rows,
            "cols": info.cols,
        }))
    })
}

fn request(context: &OperationContext, input: Value) -> Result<SpawnRequest, CallError> {
    let input = parse::<Option<SpawnInput>>(input)?.unwrap_or_default();
    let claim = claim(context);
    // A part of it would be somebody else's claim, or nobody's.
    if let Some(length) = claim.as_ref().map(String::len).filter(|length| *length > MAX_CLAIM) {
        let message = format!("forwarded_for has {length} bytes; the most is {MAX_CLAIM}");
        return Err(CallError::invalid_input(message));
    }
    Ok(input.into_request(caller(context)?.id.clone(), claim.map(Into::into)))
}
