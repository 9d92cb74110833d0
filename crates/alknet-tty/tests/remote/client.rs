//! Callers.

use alknet_call::{CallClient, CallError, CallOptions, ClientError, Subscription};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::common::within;

/// Somebody who calls a node.
#[derive(Clone)]
pub(crate) struct Client(pub(crate) CallClient);

impl Client {
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        self.call_for(operation, input, None).await.unwrap()
    }

    pub(crate) async fn refusal(&self, operation: &str, input: Value) -> CallError {
        self.call_for(operation, input, None).await.unwrap_err()
    }

    pub(crate) async fn call_for(&self, operation: &str, input: Value, whom: Option<&str>) -> Result<Value, CallError> {
        let mut options = CallOptions::new();
        if let Some(whom) = whom {
            options = options.forwarded_for(json!({ "id": whom }));
        }
        remote(within(self.0.call_with(operation, &input, options)).await)
    }

    /// Starts a script of `sh`, and gives the id.
    pub(crate) async fn sh(&self, script: &str) -> String {
        let spawned = self.call("tty/spawn", json!({ "args": ["-c", script] })).await;
        spawned["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn write(&self, id: &str, text: &str) {
        assert_eq!(self.call("tty/write", json!({ "id": id, "text": text })).await, json!({}));
    }

    pub(crate) async fn follow(&self, input: Value) -> Follower {
        let subscription = within(self.0.subscribe("tty/attach", &input)).await.unwrap();
        Follower { subscription, seen: Vec::new(), offset: None }
    }

    pub(crate) async fn list(&self) -> Vec<Value> {
        self.call("tty/list", Value::Null).await["terminals"].as_array().unwrap().clone()
    }

    /// The first event, or the refusal, of a subscription.
    pub(crate) async fn first(&self, input: &Value) -> Result<Value, CallError> {
        let mut subscription = within(self.0.subscribe("tty/attach", input)).await.unwrap();
        remote(within(subscription.next()).await.unwrap())
    }
}

fn remote(result: Result<Value, ClientError>) -> Result<Value, CallError> {
    result.map_err(|error| match error {
        ClientError::Remote(error) => error,
        other => panic!("{other}"),
    })
}

/// What somebody who is attached has seen.
pub(crate) struct Follower {
    pub(crate) subscription: Subscription,
    pub(crate) seen: Vec<u8>,
    /// Where the next output is to begin.
    pub(crate) offset: Option<u64>,
}

impl Follower {
    /// Takes one event; gives what is no output.
    pub(crate) async fn step(&mut self) -> Option<Value> {
        let event = remote(within(self.subscription.next()).await?).unwrap();
        let Some(output) = event.get("output") else { return Some(event) };
        let (offset, bytes) = (event["offset"].as_u64().unwrap(), STANDARD.decode(output.as_str().unwrap()).unwrap());
        assert!(self.offset.is_none_or(|expected| expected == offset), "something is missing");
        self.offset = Some(offset + bytes.len() as u64);
        assert_eq!(event["next"].as_u64(), self.offset);
        self.seen.extend(bytes);
        Some(Value::Null)
    }

    pub(crate) async fn until(&mut self, text: &str) -> String {
        while !self.text().contains(text) {
            let event = self.step().await;
            assert_eq!(event, Some(Value::Null), "instead of {text:?}, after {}", self.text());
        }
        let end = self.text().find(text).unwrap() + text.len();
        String::from_utf8(self.seen.drain(..end).collect()).unwrap()
    }

    /// Reads to the end, and gives the last event.
    pub(crate) async fn end(&mut self) -> Value {
        let mut last = Value::Null;
        while let Some(event) = self.step().await {
            assert!(last.is_null(), "{event} comes after {last}");
            last = event;
        }
        last
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}
