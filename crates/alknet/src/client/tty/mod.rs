//! Terminals of a node, from the side of those who use them.
//!
//! [`TtyClient`] calls the operations `tty/*` over a connection; [`attach`] connects a terminal to local streams, and
//! comes back to it when the connection is lost. What has to do with the local terminal is apart: [`RawMode`], its size,
//! the keys that are for this side ([`Escape`]) and what programs leave switched on in it ([`Modes`]).

mod error;
mod escape;
mod event;
mod keys;
mod modes;
mod raw;
mod screen;
mod session;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use alknet_call::{CallClient, CallOptions, ClientError, OperationName, Subscription};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use error::AttachError;
pub use escape::{Command, Escape, EscapeChar};
pub use event::Exit;
pub use keys::{Input, Keys};
pub use modes::Modes;
pub use raw::{RawMode, local_size};
pub use screen::Screen;
pub use session::{Host, Notice, Outcome, Session, attach};

/// The most bytes of one write. A node takes more, but what is written may wait for its reader, and the less there is, the
/// sooner it has gone in; and a key that is typed behind it waits less.
pub const MAX_WRITE: usize = 16 * 1024;

/// A write waits until the program reads; nodes allow no longer.
const WRITE_LIMIT: Duration = Duration::from_secs(300);

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// The rows, 1 to [`MAX_SIDE`](Self::MAX_SIDE).
    pub rows: u16,
    /// The columns, 1 to [`MAX_SIDE`](Self::MAX_SIDE).
    pub cols: u16,
}

impl Size {
    /// The most rows, and the most columns, that a terminal of a node may have.
    pub const MAX_SIDE: u16 = alknet_tty::MAX_SIDE;
}

/// What a new terminal is to be; the node decides what is left out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Spawn {
    /// The program, as the node's configuration has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Variables of its environment, as far as the node allows them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Its size.
    #[serde(flatten)]
    pub size: Option<Size>,
}

/// A terminal that has been spawned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// Its id.
    pub id: String,
    /// The program that runs in it.
    pub command: String,
    /// Its rows.
    pub rows: u16,
    /// Its columns.
    pub cols: u16,
}

/// Where the operations of terminals are on a node, and how they are called.
#[derive(Debug, Clone)]
pub struct TtyService {
    prefix: String,
    options: CallOptions,
}

impl TtyService {
    /// The node's own terminals, if `prefix` is empty, or those that it re-exports under a prefix: `a` for `a/tty/spawn`.
    pub fn new(prefix: &str, options: CallOptions) -> Self {
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { prefix, options }
    }

    /// The operations over a connection.
    pub fn over(&self, client: CallClient) -> TtyClient {
        TtyClient { client, service: self.clone() }
    }

    fn name(&self, operation: &OperationName) -> String {
        format!("/{}{operation}", self.prefix)
    }
}

/// The operations of terminals over one connection. Each fails as its call does.
#[derive(Clone)]
pub struct TtyClient {
    client: CallClient,
    service: TtyService,
}

const SPAWN: OperationName = OperationName::from_static("tty/spawn");
const ATTACH: OperationName = OperationName::from_static("tty/attach");
const WRITE: OperationName = OperationName::from_static("tty/write");
const RESIZE: OperationName = OperationName::from_static("tty/resize");
const SIGNAL: OperationName = OperationName::from_static("tty/signal");
const KILL: OperationName = OperationName::from_static("tty/kill");
const LIST: OperationName = OperationName::from_static("tty/list");

impl TtyClient {
    /// Starts a program in a new terminal.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn spawn(&self, spawn: &Spawn) -> Result<Spawned, ClientError> {
        let spawned = self.call(&SPAWN, spawn).await?;
        serde_json::from_value(spawned).map_err(|error| misbehaved(&SPAWN, error))
    }

    /// All terminals that are the caller's, as the node describes them.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn list(&self) -> Result<Vec<Value>, ClientError> {
        match self.call(&LIST, &json!({})).await?.get_mut("terminals").map(Value::take) {
            Some(Value::Array(terminals)) => Ok(terminals),
            _ => Err(misbehaved(&LIST, "there are no \"terminals\" in its output")),
        }
    }

    /// Types into a terminal, at most [`MAX_WRITE`] bytes; waits until they have gone in.
    ///
    /// # Errors
    /// As [`ClientError`] lists them. A time-out tells that the program does not read; a part may have gone in.
    pub async fn write(&self, id: &str, bytes: &[u8]) -> Result<(), ClientError> {
        let input = json!({ "id": id, "data": BASE64.encode(bytes) });
        let options = self.service.options.clone().timeout(WRITE_LIMIT);
        self.client.call_with(&self.service.name(&WRITE), &input, options).await.map(drop)
    }

    /// Gives a terminal another size.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn resize(&self, id: &str, Size { rows, cols }: Size) -> Result<(), ClientError> {
        self.call(&RESIZE, &json!({ "id": id, "rows": rows, "cols": cols })).await.map(drop)
    }

    /// Sends a signal to what runs in the foreground.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn signal(&self, id: &str, signal: &str) -> Result<(), ClientError> {
        self.call(&SIGNAL, &json!({ "id": id, "signal": signal })).await.map(drop)
    }

    /// Ends a terminal with everything in it.
    ///
    /// # Errors
    /// As [`ClientError`] lists them.
    pub async fn kill(&self, id: &str) -> Result<(), ClientError> {
        self.call(&KILL, &json!({ "id": id })).await.map(drop)
    }

    /// Follows the output: from the byte `from` on, or else with what is kept of it (`scrollback`) or without.
    async fn output(&self, id: &str, from: Option<u64>, scrollback: bool) -> Result<Subscription, ClientError> {
        let input = match from {
            Some(from) => json!({ "id": id, "from": from }),
            None => json!({ "id": id, "scrollback": scrollback }),
        };
        self.client.subscribe_with(&self.service.name(&ATTACH), &input, self.service.options.clone()).await
    }

    async fn call(&self, operation: &OperationName, input: &impl Serialize) -> Result<Value, ClientError> {
        self.client.call_with(&self.service.name(operation), input, self.service.options.clone()).await
    }
}

fn misbehaved(operation: &OperationName, what: impl std::fmt::Display) -> ClientError {
    ClientError::PeerMisbehaved(format!("{operation} answered something else than a terminal's: {what}"))
}
