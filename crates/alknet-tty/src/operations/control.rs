//! `tty/write`, `tty/resize`, `tty/signal` and `tty/kill`.

use alknet_call::{Bundle, CallError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{actor, call, call_error, parse, specs};
use crate::audit::{KILL, SIGNAL, audit};
use crate::{Signal, Terminals};

#[derive(Deserialize)]
struct Write {
    id: String,
    data: Option<String>,
    text: Option<String>,
}

impl Write {
    fn bytes(&self) -> Result<Vec<u8>, CallError> {
        match (&self.data, &self.text) {
            (Some(data), None) => STANDARD
                .decode(data)
                .map_err(|error| CallError::invalid_input(format!("data is not base64 with padding: {error}"))),
            (None, Some(text)) => Ok(text.clone().into_bytes()),
            _ => Err(CallError::invalid_input("a write has either data or text")),
        }
    }
}

pub(super) fn write(terminals: &Terminals) -> Bundle {
    call(terminals, specs::write(), |terminals, spec, _, input| async move {
        let input: Write = parse(input)?;
        let written = terminals.write(&input.id, &input.bytes()?).await;
        written.map(nothing).map_err(|error| call_error(&spec, error))
    })
}

#[derive(Deserialize)]
struct Resize {
    id: String,
    rows: u16,
    cols: u16,
}

pub(super) fn resize(terminals: &Terminals) -> Bundle {
    call(terminals, specs::resize(), |terminals, spec, _, input| async move {
        let Resize { id, rows, cols } = parse(input)?;
        terminals.resize(&id, rows, cols).map(nothing).map_err(|error| call_error(&spec, error))
    })
}

#[derive(Deserialize)]
struct SendSignal {
    id: String,
    signal: Signal,
}

pub(super) fn signal(terminals: &Terminals) -> Bundle {
    call(terminals, specs::signal(), |terminals, spec, context, input| async move {
        let SendSignal { id, signal } = parse(input)?;
        terminals.signal(&id, signal).await.map_err(|error| call_error(&spec, error))?;
        audit!(SIGNAL, &*id, actor(&context), signal = signal.to_string(); "terminal signalled");
        Ok(nothing(()))
    })
}

#[derive(Deserialize)]
struct Kill {
    id: String,
}

pub(super) fn kill(terminals: &Terminals) -> Bundle {
    call(terminals, specs::kill(), |terminals, spec, context, input| async move {
        let Kill { id } = parse(input)?;
        terminals.get(&id).map_err(|error| call_error(&spec, error))?;
        // Before it is waited for: a caller that goes away meanwhile has killed it all the same.
        audit!(KILL, &*id, actor(&context); "terminal killed");
        terminals.kill(&id).await.map(nothing).map_err(|error| call_error(&spec, error))
    })
}

/// The output of what has none.
fn nothing((): ()) -> Value {
    json!({})
}
