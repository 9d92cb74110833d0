//! `tty/attach`.

use std::sync::Arc;

use alknet_call::{Bundle, CallError, OperationContext, OperationSpec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{Stream, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{actor, call_error, parse, specs};
use crate::audit::{ATTACH, audit};
use crate::{AttachEvent, AttachOptions, Attachment, Terminals};

#[derive(Deserialize)]
struct Input {
    id: String,
    from: Option<u64>,
    scrollback: Option<bool>,
}

pub(super) fn bundle(terminals: &Terminals) -> Bundle {
    let (terminals, spec) = (terminals.clone(), specs::attach());
    let shared = Arc::new(spec.clone());
    Bundle::subscription(spec, move |context: OperationContext, input: Value| {
        let attached = begin(&terminals, &shared, &context, input);
        stream::once(std::future::ready(attached)).map_ok(events).try_flatten()
    })
}

fn begin(
    terminals: &Terminals,
    spec: &OperationSpec,
    context: &OperationContext,
    input: Value,
) -> Result<Attachment, CallError> {
    let Input { id, from, scrollback } = parse(input)?;
    let options = AttachOptions { from, scrollback: scrollback.unwrap_or(true) };
    let attachment = terminals.attach(&id, options).map_err(|error| call_error(spec, error))?;
    audit!(ATTACH, &**attachment.id(), actor(context); "terminal attached");
    Ok(attachment)
}

fn events(attachment: Attachment) -> impl Stream<Item = Result<Value, CallError>> {
    stream::unfold(attachment, |mut attachment| async {
        let event = json_of(attachment.next().await?);
        Some((Ok(event), attachment))
    })
}

fn json_of(event: AttachEvent) -> Value {
    match event {
        AttachEvent::Output { offset, bytes } => {
            let next = offset + bytes.len() as u64;
            json!({ "output": STANDARD.encode(bytes), "offset": offset, "next": next })
        }
        AttachEvent::Skipped { bytes } => json!({ "skipped": bytes }),
        AttachEvent::Exit(status) => json!({ "exit": status }),
    }
}
