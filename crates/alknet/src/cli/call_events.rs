//! What an operation answers: one output of a call, or the events of a subscription. Only the answers tell which it is.

use std::num::NonZeroU64;
use std::time::Duration;

use alknet_call::{CallClient, CallOptions, ClientError, ErrorCode, OperationKind, Subscription};
use serde_json::{Value, json};

/// What to ask for.
pub(super) struct Request<'a> {
    pub(super) operation: &'a str,
    pub(super) input: &'a Value,
    /// Without a time-out.
    pub(super) options: CallOptions,
}

/// When to stop.
#[derive(Clone, Copy)]
pub(super) struct EventLimits {
    /// The time for all of it, if somebody has said so.
    pub(super) timeout: Option<Duration>,
    /// How long a call may take if nobody has.
    pub(super) patience: Duration,
    pub(super) count: Option<NonZeroU64>,
}

/// Hands each event to `print`, until there are no more or as many as wanted.
pub(super) async fn print_events(
    client: &CallClient,
    request: Request<'_>,
    limits: EventLimits,
    print: &mut impl FnMut(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut options = request.options.clone();
    // Without one the node gives a call the time that it gives to all, and a subscription any time.
    if let Some(timeout) = limits.timeout {
        options = options.timeout(timeout);
    }
    let mut events = client.subscribe_with(request.operation, request.input, options).await?;
    let mut next = first(client, &request, limits.patience, &mut events).await?;
    let mut count = 0;
    while let Some(event) = next {
        match event {
            // Nobody wanted to listen for longer.
            Err(error) if count > 0 && limits.timeout.is_some() && is_timeout(&error) => break,
            event => print(&event?)?,
        }
        count += 1;
        if limits.count.is_some_and(|wanted| count >= wanted.get()) {
            break;
        }
        next = events.next().await;
    }
    Ok(())
}

/// The first event. A call has to answer within its time; a subscription need not.
async fn first(
    client: &CallClient,
    request: &Request<'_>,
    limit: Duration,
    events: &mut Subscription,
) -> Result<Option<Result<Value, ClientError>>, ClientError> {
    match tokio::time::timeout(limit, events.next()).await {
        Ok(event) => Ok(event),
        Err(_) if is_subscription(client, request, limit).await => Ok(events.next().await),
        Err(_) => Err(ClientError::TimedOut { limit }),
    }
}

async fn is_subscription(client: &CallClient, request: &Request<'_>, limit: Duration) -> bool {
    let (which, options) = (json!({ "name": request.operation }), request.options.clone().timeout(limit));
    let described = client.call_with("services/schema", &which, options).await;
    let kind = described.ok().and_then(|output| Some(output.pointer("/operations/0/kind")?.as_str()?.to_owned()));
    kind.is_some_and(|kind| kind == OperationKind::Subscription.as_str())
}

fn is_timeout(error: &ClientError) -> bool {
    match error {
        ClientError::Remote(told) => told.code == ErrorCode::Timeout,
        other => matches!(other, ClientError::TimedOut { .. }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use alknet_call::{
        ALPN, Access, Bundle, CallHandler, CallLimits, OperationContext, OperationName, OperationSpec, Registry,
    };
    use alknet_core::{Alpn, AuthContext, Connection, MemoryIdentities, ProtocolHandler, SingleStream};
    use futures_util::stream;
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A node with a call that takes, and a subscription that waits before each event, as many seconds as the input says.
    fn node() -> CallClient {
        let spec = |name| OperationSpec::new(OperationName::from_static(name)).with_access(Access::Public);
        let call = async |_: OperationContext, input: Value| {
            tokio::time::sleep(SECOND * input.as_u64().unwrap() as u32).await;
            Ok(input)
        };
        let ticks = |_: OperationContext, input: Value| {
            stream::unfold(0, move |n| {
                let wait = SECOND * input.as_u64().unwrap() as u32;
                async move {
                    tokio::time::sleep(wait).await;
                    (n < 5).then(|| (Ok(json!(n)), n + 1))
                }
            })
        };
        let schema = async |_: OperationContext, input: Value| {
            let kind = if input["name"] == "/t/ticks" { "subscription" } else { "call" };
            Ok(json!({ "operations": [{ "kind": kind }] }))
        };
        let registry = Registry::new();
        registry.register(spec("t/call"), call).unwrap();
        registry.register(spec("services/schema"), schema).unwrap();
        registry.add(Bundle::subscription(spec("t/ticks"), ticks)).unwrap();
        let handler = Arc::new(CallHandler::new(
            Arc::new(registry),
            CallLimits { call_timeout_seconds: 100, ..CallLimits::default() },
        ));
        let (near, far) = duplex(4096);
        let connection = |io: DuplexStream| Connection::new(SingleStream::new("pipe", io), Alpn::new(ALPN).unwrap());
        tokio::spawn(handler.handle(connection(far), AuthContext::new([], Arc::new(MemoryIdentities::default()))));
        CallClient::new(connection(near))
    }

    async fn printed(
        operation: &str,
        input: Value,
        timeout: Option<u32>,
        count: Option<u64>,
    ) -> (Vec<Value>, Option<String>) {
        let mut printed = Vec::new();
        let mut print = |event: &Value| {
            printed.push(event.clone());
            Ok(())
        };
        let timeout = timeout.map(|seconds| SECOND * seconds);
        let patience = timeout.unwrap_or(30 * SECOND);
        let limits = EventLimits { timeout, patience, count: count.map(|count| count.try_into().unwrap()) };
        let request = Request { operation, input: &input, options: CallOptions::new() };
        let result = print_events(&node(), request, limits, &mut print).await;
        (printed, result.err().map(|error| error.to_string()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_one_output_and_a_subscription_all_its_events() {
        assert_eq!(printed("/t/call", json!(1), None, None).await, (vec![json!(1)], None));
        let all: Vec<Value> = (0..5).map(Value::from).collect();
        assert_eq!(printed("/t/ticks", json!(0), None, None).await, (all.clone(), None));
        assert_eq!(printed("/t/ticks", json!(3600), None, None).await, (all, None), "however long it takes");
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_events_are_printed_as_wanted() {
        assert_eq!(printed("/t/ticks", json!(1), None, Some(2)).await, (vec![json!(0), json!(1)], None));
        assert_eq!(printed("/t/call", json!(1), None, Some(2)).await, (vec![json!(1)], None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_answer_fails_in_time() {
        assert_eq!(printed("/t/call", json!(60), None, None).await, (vec![], Some("no answer came within 30s".into())));
        assert_eq!(printed("/t/call", json!(60), Some(90), None).await, (vec![json!(60)], None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_to_listen_ends_a_subscription_in_order_if_anything_was_heard() {
        assert_eq!(printed("/t/ticks", json!(2), Some(5), None).await, (vec![json!(0), json!(1)], None));
        let (events, error) = printed("/t/ticks", json!(20), Some(5), None).await;
        assert!(events.is_empty() && error.is_some(), "{error:?}");
    }
}
