use super::*;
use crate::testkit::{context, identity, next, spec};
use crate::{
    Access, Bundle, Capabilities, CompositionAuthority, OperationSpec, Registry, Schema, ScopedEnvironment, Visibility,
};
use alknet_core::Identity;
use futures_util::stream;
use serde_json::json;
use std::sync::Mutex;
use tokio::sync::Notify;

fn environment(patterns: &[&str]) -> ScopedEnvironment {
    patterns.iter().map(|pattern| pattern.parse().unwrap()).collect()
}

/// An operation that calls the one that its input names, as the authority `composer` with these scopes.
fn composer(scopes: &[&str]) -> Bundle {
    let forward = async |context: OperationContext, input: Value| {
        context.call(input["name"].as_str().unwrap(), input["input"].clone()).await
    };
    Bundle::call(spec("a/compose", Access::Public), forward)
        .with_environment(environment(&["child/*"]))
        .with_authority(CompositionAuthority::new(identity("composer", scopes)))
}

async fn show(context: OperationContext, input: Value) -> Result<Value, CallError> {
    Ok(json!({
        "id": context.identity.map(|identity| identity.id.to_string()),
        "parent": context.parent_id.as_deref(),
        "for": context.forwarded_for,
        "secret": context.capabilities.secret("key").is_some(),
        "transport": context.peer.transport,
        "limit": context.time_limit.as_secs(),
        "input": input,
    }))
}

fn registry(composer: Bundle, children: Vec<OperationSpec>) -> Arc<Registry> {
    let registry = Arc::new(Registry::new());
    registry.add(composer).unwrap();
    children.into_iter().for_each(|child| registry.register(child, show).unwrap());
    registry
}

async fn compose(registry: &Registry, name: &str, who: Option<Identity>) -> Result<Value, CallError> {
    registry.invoke("a/compose", json!({ "name": name, "input": 5 }), context(who)).await
}

async fn code(registry: &Registry, name: &str, who: Option<Identity>) -> ErrorCode {
    compose(registry, name, who).await.unwrap_err().code
}

#[tokio::test(start_paused = true)]
async fn a_child_knows_its_parent_and_nothing_of_the_request() {
    let composer = composer(&[]).with_capabilities(Capabilities::default().with("key", "k".to_owned()));
    let registry = registry(composer, vec![spec("child/show", Access::Identified)]);
    let mut context = context(Some(identity("alice", &[])));
    context.forwarded_for = Some(json!("bob"));
    context.request_id = "req-7".into();
    let shown = registry.invoke("a/compose", json!({ "name": "/child/show", "input": 5 }), context).await.unwrap();
    let expected = json!({
        "id": "composer", "parent": "req-7", "for": null, "secret": false, "transport": "process", "limit": 30, "input": 5,
    });
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn only_what_the_environment_names_is_reached() {
    let registry =
        registry(composer(&["x:*"]), vec![spec("child/show", Access::Public), spec("other/show", Access::Public)]);
    assert!(compose(&registry, "child/show", None).await.is_ok());
    assert_eq!(compose(&registry, "other/show", None).await, Err(not_found("other/show")));
    assert_eq!(compose(&registry, "child/none", None).await, Err(not_found("child/none")));
    let bare = Bundle::call(spec("b/compose", Access::Public), async |context: OperationContext, _| {
        context.call("child/show", Value::Null).await
    });
    registry.add(bare).unwrap();
    let error = registry.invoke("b/compose", Value::Null, context(None)).await.unwrap_err();
    assert_eq!(error, not_found("child/show"), "no environment, nothing to reach");
}

#[tokio::test]
async fn a_child_is_checked_against_the_handlers_authority_and_never_against_the_caller() {
    let scoped = spec("child/scoped", Access::Scopes(vec!["child:use".parse().unwrap()]));
    let hidden = spec("child/hidden", Access::Identified).with_visibility(Visibility::Internal);
    let children = || vec![scoped.clone(), hidden.clone()];
    let powerful = || Some(identity("root", &["child:*", "node:*"]));
    let weak = registry(composer(&[]), children());
    assert_eq!(code(&weak, "child/scoped", powerful()).await, ErrorCode::Forbidden);
    assert!(compose(&weak, "child/hidden", None).await.is_ok(), "internal operations are there for this");
    let strong = registry(composer(&["child:use"]), children());
    assert!(compose(&strong, "child/scoped", None).await.is_ok());
    let forward = async |context: OperationContext, _| context.call("child/hidden", Value::Null).await;
    let nobody = Bundle::call(spec("a/compose", Access::Public), forward).with_environment(environment(&["**"]));
    let nobody = registry(nobody, children());
    assert_eq!(code(&nobody, "child/hidden", powerful()).await, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn a_childs_input_is_validated_and_its_resource_is_the_authoritys() {
    let integer = Schema::new(json!({ "type": "string" })).unwrap();
    let on_tty = spec("child/tty", Access::Public).with_resource("tty", "write", Some("".parse().unwrap()));
    let children = vec![spec("child/text", Access::Public).with_input(integer), on_tty];
    let mut authority = identity("composer", &[]);
    authority.resources.insert("tty".to_owned(), vec!["t-1".to_owned()]);
    let composer = composer(&[]).with_authority(CompositionAuthority::new(authority));
    let registry = registry(composer, children);
    assert_eq!(code(&registry, "child/text", None).await, ErrorCode::InvalidInput);
    let mut alice = identity("alice", &[]);
    alice.resources.insert("tty".to_owned(), vec!["t-2".to_owned()]);
    let call = async |id: &str| {
        let input = json!({ "name": "child/tty", "input": id });
        registry.invoke("a/compose", input, context(Some(alice.clone()))).await
    };
    assert!(call("t-1").await.is_ok());
    assert_eq!(call("t-2").await.unwrap_err().code, ErrorCode::Forbidden);
}

#[tokio::test(start_paused = true)]
async fn a_child_has_no_more_time_than_its_parent_has_left() {
    let slow = async |context: OperationContext, _: Value| {
        tokio::time::sleep(Duration::from_secs(20)).await;
        context.call("child/show", Value::Null).await
    };
    let slow = Bundle::call(spec("a/compose", Access::Public), slow).with_environment(environment(&["child/*"]));
    let registry = registry(slow, vec![spec("child/show", Access::Public)]);
    assert_eq!(compose(&registry, "", None).await.unwrap()["limit"], 10);
}

#[tokio::test]
async fn operations_do_not_call_each_other_without_an_end() {
    let again = async |context: OperationContext, input: Value| {
        let depth = input["input"].as_u64().unwrap() + 1;
        context.call("a/compose", json!({ "input": depth })).await.map_err(|error| match error.code {
            ErrorCode::ResourceExhausted if error.details.is_none() => error.with_details(json!(depth)),
            _ => error,
        })
    };
    let again = Bundle::call(spec("a/compose", Access::Public), again).with_environment(environment(&["**"]));
    let error = compose(&registry(again, vec![]), "", None).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (ErrorCode::ResourceExhausted, false));
    assert_eq!(error.details, Some(json!(5 + 33)), "32 calls below the first one");
}

/// A child that says when it begins, and when it is dropped before its end.
struct Probe {
    begun: Arc<Notify>,
    dropped: Arc<Notify>,
    go_on: Arc<Notify>,
    done: Arc<Mutex<Vec<Value>>>,
}

impl Probe {
    fn add_to(registry: &Registry) -> Self {
        let probe =
            Self { begun: Arc::default(), dropped: Arc::default(), go_on: Arc::default(), done: Arc::default() };
        let (begun, dropped, go_on) = (probe.begun.clone(), probe.dropped.clone(), probe.go_on.clone());
        let done = probe.done.clone();
        let child = move |_: OperationContext, input: Value| {
            let (begun, dropped, go_on, done) = (begun.clone(), dropped.clone(), go_on.clone(), done.clone());
            async move {
                struct Tell(Arc<Notify>);
                impl Drop for Tell {
                    fn drop(&mut self) {
                        self.0.notify_one();
                    }
                }
                let _tell = Tell(dropped);
                begun.notify_one();
                go_on.notified().await;
                done.lock().unwrap().push(input.clone());
                Ok(input)
            }
        };
        registry.register(spec("child/probe", Access::Public), child).unwrap();
        probe
    }
}

#[tokio::test]
async fn a_dropped_parent_drops_its_child() {
    let registry = registry(composer(&[]), vec![]);
    let probe = Probe::add_to(&registry);
    let parent = tokio::spawn(async move { compose(&registry, "child/probe", None).await });
    probe.begun.notified().await;
    parent.abort();
    probe.dropped.notified().await;
    assert!(probe.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_detached_child_goes_on_without_its_parent() {
    let detach = async |context: OperationContext, input: Value| {
        context.call_detached("child/probe", input["input"].clone(), Duration::from_secs(60)).await
    };
    let detach = Bundle::call(spec("a/compose", Access::Public), detach).with_environment(environment(&["child/*"]));
    let registry = registry(detach, vec![]);
    let probe = Probe::add_to(&registry);
    let parent = tokio::spawn({
        let registry = registry.clone();
        async move { compose(&registry, "", None).await }
    });
    probe.begun.notified().await;
    parent.abort();
    assert!(parent.await.unwrap_err().is_cancelled());
    probe.go_on.notify_one();
    probe.dropped.notified().await;
    assert_eq!(*probe.done.lock().unwrap(), [json!(5)]);
    probe.go_on.notify_one();
    assert_eq!(compose(&registry, "", None).await, Ok(json!(5)), "its output can be waited for");
}

#[tokio::test(start_paused = true)]
async fn a_detached_child_has_a_time_limit_of_its_own_and_their_number_is_limited() {
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let detach = move |context: OperationContext, _: Value| {
        let call = context.call_detached("child/hang", Value::Null, Duration::from_secs(1000));
        sender.send(call).unwrap();
        async { Ok(Value::Null) }
    };
    let detach = Bundle::call(spec("a/compose", Access::Public), detach).with_environment(environment(&["child/*"]));
    let registry = registry(detach, vec![]);
    let hang = async |_: OperationContext, _: Value| std::future::pending().await;
    registry.register(spec("child/hang", Access::Public), hang).unwrap();
    for _ in 0..1025 {
        compose(&registry, "", None).await.unwrap();
    }
    let mut codes = vec![];
    let begin = Instant::now();
    for _ in 0..1025 {
        codes.push(calls.recv().await.unwrap().await.unwrap_err().code);
    }
    assert_eq!(begin.elapsed().as_secs(), 1000, "longer than its parent had");
    assert_eq!(codes.iter().filter(|code| **code == ErrorCode::Timeout).count(), 1024);
    assert_eq!(codes[1024], ErrorCode::ResourceExhausted);
}

#[tokio::test]
async fn a_handler_subscribes_as_it_calls() {
    let subscribe = async |context: OperationContext, input: Value| {
        let mut events = context.subscribe(input["name"].as_str().unwrap(), Value::Null)?;
        let mut all = vec![];
        while let Some(event) = next(&mut events).await {
            all.push(event?);
        }
        Ok(Value::from(all))
    };
    let subscribe =
        Bundle::call(spec("a/compose", Access::Public), subscribe).with_environment(environment(&["child/*"]));
    let registry = registry(subscribe, vec![spec("child/call", Access::Public)]);
    let numbers = |_, _| stream::iter([Ok(json!(1)), Ok(json!(2))]);
    registry.add(Bundle::subscription(spec("child/numbers", Access::Public), numbers)).unwrap();
    registry.add(Bundle::subscription(spec("other/numbers", Access::Public), numbers)).unwrap();
    assert_eq!(compose(&registry, "child/numbers", None).await, Ok(json!([1, 2])));
    assert_eq!(code(&registry, "other/numbers", None).await, ErrorCode::NotFound);
    assert_eq!(code(&registry, "child/call", None).await, ErrorCode::InvalidInput);
}
