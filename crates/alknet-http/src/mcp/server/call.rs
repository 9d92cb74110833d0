//! One call of a tool.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use alknet_call::{
    CallError, ErrorCode, EventStream, Grant, OperationContext, OperationKind, OperationSpec, Registry, Run, Started,
};
use alknet_core::BoxFuture;
use futures_util::StreamExt as _;
use rmcp::model::{CallToolResult, ProgressNotificationParam, ProgressToken};
use rmcp::{Peer, RoleServer};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::audit::Audit;
use super::bearer::Bearer;
use super::session::Reading;
use super::{name, result, shape};
use crate::McpConfig;
use crate::server::subscription_over;

/// Why a subscription has no more events: it has ended by itself, its time is over, or there is no room for more.
pub(super) const BY_ITSELF: &str = "end";
pub(super) const TIME_LIMIT: &str = "time limit";
pub(super) const SIZE_LIMIT: &str = "size limit";

/// How a call that the client asks for may be run.
pub(super) struct Call<'a> {
    pub(super) registry: &'a Arc<Registry>,
    pub(super) config: &'a McpConfig,
    pub(super) bearer: &'a Bearer,
    /// Whether its client is there, if it may go and come back.
    pub(super) reading: Option<&'a Reading>,
    pub(super) progress: Option<Progress>,
}

/// Where the events of a subscription go at once.
pub(super) struct Progress {
    pub(super) token: ProgressToken,
    pub(super) peer: Peer<RoleServer>,
}

/// Why there is no result.
pub(super) enum NoResult {
    /// There is no such tool, or none for this bearer: it cannot tell.
    NoTool,
    /// The call failed.
    Error(CallError),
}

impl From<CallError> for NoResult {
    fn from(error: CallError) -> Self {
        Self::Error(error)
    }
}

impl Call<'_> {
    pub(super) async fn run(
        mut self,
        tool: &str,
        arguments: Option<rmcp::model::JsonObject>,
        forwarded_for: Option<Value>,
        audit: &Audit,
    ) -> Result<CallToolResult, NoResult> {
        let name = name::operation(tool).ok_or(NoResult::NoTool)?;
        let Some(identity) = self.bearer.auth.identity() else {
            let message = "the bearer token is not known to this node any more";
            return Err(CallError::new(ErrorCode::Unauthenticated, message).into());
        };
        let limit = self.config.call_timeout();
        let mut context = OperationContext::new(audit.request.clone(), Some(identity), self.bearer.peer.clone(), limit);
        context.forwarded_for = forwarded_for;
        let admitted = self.registry.admit(name.as_str(), context).map_err(not_for_you)?;
        let (spec, kind) = (admitted.spec().clone(), admitted.kind());
        let Started { grant, run, .. } = admitted.start(shape::input(&spec, arguments))?;
        let over = self.over(grant);
        match (kind, run) {
            (OperationKind::Call, Run::Call(call)) => {
                let output = tokio::select! {
                    output = tokio::time::timeout(limit, call) => output.unwrap_or_else(|_| Err(timeout(&spec, limit)))?,
                    error = over => return Err(error.into()),
                };
                Ok(result::of_output(&spec, output, self.config.max_result())?)
            }
            (OperationKind::Subscription, Run::Subscription(events)) => {
                let mut kept = Kept::new(self.config.max_result(), self.progress.is_some());
                let ended = tokio::select! {
                    ended = self.follow(events, &mut kept) => ended,
                    error = over => Err(error),
                };
                Ok(kept.into_result(ended)?)
            }
            // A kind that is made later than this.
            _ => Err(CallError::invalid_input(format!("/{} cannot be called as a tool", spec.name)).into()),
        }
    }

    /// Resolves when the bearer may no longer have it.
    fn over(&self, grant: Grant) -> BoxFuture<'static, CallError> {
        subscription_over(self.registry.clone(), grant, self.bearer.auth.clone(), self.bearer.below.clone())
    }

    /// Takes events and passes them on, until there are no more or the time is over.
    async fn follow(&mut self, mut events: EventStream, kept: &mut Kept) -> Result<&'static str, CallError> {
        let end = Instant::now() + self.config.max_subscription();
        let mut number = 0_u64;
        loop {
            if let Some(reading) = self.reading {
                // Nothing is taken for a client that is not there: it may come back.
                reading.present().await;
            }
            let event = tokio::select! {
                event = events.next() => event,
                () = sleep_until(end) => return Ok(TIME_LIMIT),
            };
            match event {
                Some(event) => {
                    number += 1;
                    self.pass_on(number, kept.keep(event?)).await;
                }
                None => return Ok(BY_ITSELF),
            }
            // Whoever gets no progress would never see what is let go of.
            if self.progress.is_none() && kept.cut > 0 {
                return Ok(SIZE_LIMIT);
            }
        }
    }

    /// Waits until the client has room for it, so that a slow one slows the subscription.
    async fn pass_on(&mut self, number: u64, event: String) {
        let Some(Progress { token, peer }) = &self.progress else { return };
        #[expect(clippy::cast_precision_loss, reason = "the protocol counts in floating point")]
        let progress = ProgressNotificationParam::new(token.clone(), number as f64).with_message(event);
        // A client that is gone gets none; the call ends with it.
        let _ = peer.notify_progress(progress).await;
    }
}

/// A caller cannot tell what it may not call from what is not there.
fn not_for_you(error: CallError) -> NoResult {
    match error.code {
        ErrorCode::NotFound | ErrorCode::Forbidden | ErrorCode::Unauthenticated => NoResult::NoTool,
        _ => NoResult::Error(error),
    }
}

fn timeout(spec: &OperationSpec, limit: Duration) -> CallError {
    CallError::new(ErrorCode::Timeout, format!("/{} did not answer within {limit:?}", spec.name))
}

/// The last events of a subscription, or the first ones.
struct Kept {
    /// Whether the last ones count.
    last: bool,
    events: VecDeque<(Value, usize)>,
    bytes: usize,
    most: usize,
    cut: u64,
}

impl Kept {
    fn new(most: usize, last: bool) -> Self {
        // What stands around the events has room, too.
        Self { last, events: VecDeque::new(), bytes: 0, most: most.saturating_sub(128), cut: 0 }
    }

    /// Keeps an event, and lets go of others if there are too many; gives it as text.
    fn keep(&mut self, event: Value) -> String {
        let text = event.to_string();
        // And a comma.
        let size = text.len() + 1;
        self.bytes += size;
        self.events.push_back((event, size));
        while self.bytes > self.most {
            let gone = if self.last { self.events.pop_front() } else { self.events.pop_back() };
            let Some((_, size)) = gone else { break };
            self.bytes -= size;
            self.cut += 1;
        }
        text
    }

    fn into_result(self, ended: Result<&'static str, CallError>) -> Result<CallToolResult, CallError> {
        let events: Vec<_> = self.events.into_iter().map(|(event, _)| event).collect();
        match ended {
            Ok(ended) => {
                let content = json!({ "events": events, "cut": self.cut, "ended": ended });
                result::of_structured(content, usize::MAX)
            }
            // What came before it is not lost.
            Err(error) if !events.is_empty() => {
                let mut details = json!({ "events": events, "cut": self.cut });
                if let (Some(fields), Some(more)) = (details.as_object_mut(), error.details.clone()) {
                    fields.insert("details".to_owned(), more);
                }
                Err(error.with_details(details))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn structured(kept: Kept) -> Value {
        kept.into_result(Ok(BY_ITSELF)).map(|result| result.structured_content.unwrap()).unwrap()
    }

    #[test]
    fn an_error_has_what_came_before_it() {
        let mut kept = Kept::new(1000, true);
        kept.keep(json!(1));
        let error = kept.into_result(Err(CallError::declared("BUSY", "later").with_details(json!("x")))).unwrap_err();
        assert_eq!(error.details, Some(json!({ "events": [1], "cut": 0, "details": "x" })));
        let plain = CallError::declared("BUSY", "later");
        assert_eq!(Kept::new(1000, true).into_result(Err(plain.clone())).unwrap_err(), plain);
    }

    proptest! {
        #[test]
        fn the_last_or_the_first_events_are_kept_and_the_others_counted(
            sizes in prop::collection::vec(0usize..200, 0..50),
            most in 128usize..2000,
            last: bool,
        ) {
            let (mut kept, mut taken) = (Kept::new(most, last), 0);
            for size in &sizes {
                kept.keep(json!([taken, "x".repeat(*size)]));
                taken += 1;
                // As it is done for a client that gets no progress.
                if !last && kept.cut > 0 {
                    break;
                }
            }
            let result = structured(kept);
            let events = result["events"].as_array().unwrap();
            prop_assert!(result.to_string().len() <= most.max(128));
            prop_assert_eq!(result["cut"].as_u64().unwrap() as usize + events.len(), taken);
            let numbers = events.iter().map(|event| event[0].as_u64().unwrap() as usize);
            let first = if last { taken - events.len() } else { 0 };
            prop_assert!(numbers.eq(first..first + events.len()));
        }
    }
}
