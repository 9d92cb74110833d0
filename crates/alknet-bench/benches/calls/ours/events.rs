//! The subscription that gives events as fast as it can.

use alknet_call::{Bundle, CallClient, OperationContext, OperationSpec, Registry};
use futures_util::stream;
use serde_json::Value;

use crate::note::Note;

const EVENTS: &str = "bench/events";

/// Registers the operation that gives as many events as its input says.
pub(super) fn register(registry: &Registry) {
    let events = |_: OperationContext, count: Value| {
        let notes = Note::events(count.as_u64().unwrap_or_default());
        stream::iter(notes.map(|note| Ok(serde_json::to_value(note).unwrap_or_default())))
    };
    registry.add(Bundle::subscription(OperationSpec::new(EVENTS.parse().unwrap()), events)).unwrap();
}

/// Reads so many events.
pub(super) async fn read(client: &CallClient, count: u64) -> Result<(), String> {
    let mut events = client.subscribe(EVENTS, &count).await.map_err(|error| error.to_string())?;
    let mut seen = 0;
    while let Some(event) = events.next().await {
        event.map_err(|error| error.to_string())?;
        seen += 1;
    }
    if seen == count { Ok(()) } else { Err(format!("{seen} of {count} events came")) }
}
