//! `tty/list`.

use std::collections::HashSet;

use alknet_call::Bundle;
use alknet_core::Identity;
use serde_json::{Value, json};

use super::{call, caller, specs};
use crate::{KIND, TerminalInfo, Terminals};

pub(super) fn bundle(terminals: &Terminals) -> Bundle {
    call(terminals, specs::list(), |terminals, _, context, _| async move {
        let own = own(&terminals, caller(&context)?);
        Ok(json!({ "terminals": own.iter().map(json_of).collect::<Vec<_>>() }))
    })
}

fn own(terminals: &Terminals, owner: &Identity) -> Vec<TerminalInfo> {
    let records = terminals.store().owned_resources(owner, Some(KIND));
    let ids: HashSet<_> = records.iter().map(|record| &record.id).collect();
    terminals.list().into_iter().filter(|info| ids.contains(&info.id)).collect()
}

fn json_of(info: &TerminalInfo) -> Value {
    let claim: Option<Value> = info.claim.as_ref().and_then(|claim| serde_json::from_str(claim).ok());
    json!({
        "id": &*info.id,
        "command": info.command,
        "pid": info.pid,
        "rows": info.rows,
        "cols": info.cols,
        "started": info.started_unix(),
        "output_bytes": info.output_bytes,
        "attachments": info.attachments,
        "claim": claim,
    })
}
