//! `tty/…`: terminals for the callers of a node.

mod attach;
mod control;
mod errors;
mod list;
mod spawn;
pub(crate) mod specs;

use std::sync::Arc;

use alknet_call::{Bundle, CallError, OperationContext, OperationSpec};
use alknet_core::Identity;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use errors::call_error;
pub use spawn::SpawnInput;

use crate::Terminals;
use crate::audit::Actor;

/// The operations on `terminals`, to be [installed](alknet_call::Registry::install) together. Their registry has to have
/// the ownership store that `terminals` records in.
///
/// | operation | scope | input | output |
/// | --- | --- | --- | --- |
/// | `tty/spawn` | `tty:spawn` | `command`, `args`, `environment`, `rows`, `cols`, all optional | `id`, `command`, `pid`, `rows`, `cols` |
/// | `tty/attach` | `tty:attach` | `id`, optional `from`, `scrollback` | events, see below |
/// | `tty/write` | `tty:write` | `id`, and `data` (base64) or `text` | `{}` |
/// | `tty/resize` | `tty:write` | `id`, `rows`, `cols` | `{}` |
/// | `tty/signal` | `tty:write` | `id`, `signal` (`INT` or `SIGINT`) | `{}` |
/// | `tty/kill` | `tty:write` | `id` | `{}`, when the terminal is gone |
/// | `tty/list` | `tty:list` | | `{"terminals": [{"id", "command", "pid", "rows", "cols", "started", "output_bytes", "attachments", "claim"}, …]}` |
///
/// Whoever types can do everything that the program can, and end it; so the operations that control a terminal need no
/// other scope than typing does.
///
/// `tty/attach` is a subscription. Its events are `{"output": base64, "offset": n, "next": n}`, where `offset` is the place of
/// the first byte in all that the terminal has put out, and `next` that behind the last; `{"skipped": n}` for output that is no longer kept; and as the last
/// one `{"exit": {"code": n}}` or `{"exit": {"signal": "TERM"}}`. Whoever comes back attaches with `from` set to the
/// last `next`. A subscriber that takes nothing for half a second after the exit gets no exit, but the error that follows.
///
/// A terminal that is not the caller's is FORBIDDEN, whether there is one or not; so is one that has just ended. A program
/// or a variable that the configuration does not allow, a size, a signal or an offset that makes no sense is
/// INVALID_INPUT; when there is no room for another terminal or attachment that is RESOURCE_EXHAUSTED; and a program that
/// the system does not start is SPAWN_FAILED.
pub fn bundles(terminals: &Terminals) -> Vec<Bundle> {
    vec![
        spawn::bundle(terminals),
        attach::bundle(terminals),
        control::write(terminals),
        control::resize(terminals),
        control::signal(terminals),
        control::kill(terminals),
        list::bundle(terminals),
    ]
}

/// A call that a function of the terminals, the description, the context and the input runs.
fn call<F, Fut>(terminals: &Terminals, spec: OperationSpec, run: F) -> Bundle
where
    F: Fn(Terminals, Arc<OperationSpec>, OperationContext, Value) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Value, CallError>> + Send + 'static,
{
    let (terminals, shared) = (terminals.clone(), Arc::new(spec.clone()));
    Bundle::call(spec, move |context: OperationContext, input: Value| {
        run(terminals.clone(), shared.clone(), context, input)
    })
}

/// The input as the operation wants it. The schema has been checked by now; what it cannot say is left, as that `1.0` is
/// an integer to a schema.
fn parse<T: DeserializeOwned>(input: Value) -> Result<T, CallError> {
    serde_json::from_value(input).map_err(|error| {
        let what: String = error.to_string().chars().take(200).collect();
        CallError::invalid_input(format!("the input cannot be read: {what}"))
    })
}

fn caller(context: &OperationContext) -> Result<&Arc<Identity>, CallError> {
    let identity = context.identity.as_ref();
    identity.ok_or_else(|| CallError::internal("an operation on terminals ran without a caller"))
}

/// Whoever calls, and for whom it says that it does, as JSON.
fn actor(context: &OperationContext) -> Actor<'_> {
    let peer = context.identity.as_ref().map_or("anonymous", |identity| &*identity.id);
    Actor::new(peer, claim(context).as_deref())
}

fn claim(context: &OperationContext) -> Option<String> {
    context.forwarded_for.as_ref().filter(|claim| !claim.is_null()).map(Value::to_string)
}
