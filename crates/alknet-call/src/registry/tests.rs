use super::*;
use crate::access::not_found;
use crate::testkit::{context, identity, next, owning_registry, spec};
use crate::{Capabilities, ErrorCode, JsonPointer, OperationKind, Schema, Visibility};
use alknet_core::{BoxFuture, MemoryOwnership, OwnershipProvider, OwnershipRecord};
use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

async fn echo(context: OperationContext, input: Value) -> Result<Value, CallError> {
    Ok(json!([&*context.request_id, input]))
}

async fn never(_: OperationContext, _: Value) -> Result<Value, CallError> {
    std::future::pending().await
}

async fn panics(_: OperationContext, _: Value) -> Result<Value, CallError> {
    panic!("it ran")
}

fn alice() -> Option<Identity> {
    Some(identity("alice", &[]))
}

fn id_path() -> JsonPointer {
    "/id".parse().unwrap()
}

/// An operation on a terminal, for anybody who owns it.
fn on_tty(name: &'static str) -> OperationSpec {
    spec(name, Access::Public).with_resource("tty", "write", Some(id_path()))
}

async fn own(store: &MemoryOwnership, id: &str, owner: &str) {
    store.record(OwnershipRecord::new("tty", id, owner)).await.unwrap();
}

async fn fails(registry: &Registry, name: &str, input: Value, who: Option<Identity>) -> CallError {
    registry.invoke(name, input, context(who)).await.unwrap_err()
}

fn names(registry: &Registry) -> Vec<String> {
    registry.specs().iter().map(|spec| spec.name.to_string()).collect()
}

#[tokio::test]
async fn an_async_function_is_a_handler() {
    let registry = Registry::new();
    registry.register(spec("a/echo", Access::Public), echo).unwrap();
    assert_eq!(registry.invoke("a/echo", json!(5), context(None)).await, Ok(json!(["1", 5])));
}

#[tokio::test]
async fn a_type_is_a_handler_too() {
    struct Fixed;
    impl OperationHandler for Fixed {
        fn call(&self, _: OperationContext, _: Value) -> BoxFuture<'static, Result<Value, CallError>> {
            Box::pin(async { Ok(json!(1)) })
        }
    }
    impl SubscriptionHandler for Fixed {
        fn subscribe(&self, _: OperationContext, _: Value) -> EventStream {
            Box::pin(stream::iter([Ok(json!(1))]))
        }
    }
    let registry = Registry::new();
    registry.register(spec("a/call", Access::Public), Fixed).unwrap();
    registry.add(Bundle::subscription(spec("a/sub", Access::Public), Fixed)).unwrap();
    assert_eq!(registry.invoke("a/call", Value::Null, context(None)).await, Ok(json!(1)));
    let mut events = registry.subscribe("a/sub", Value::Null, context(None)).unwrap();
    assert_eq!((next(&mut events).await, next(&mut events).await), (Some(Ok(json!(1))), None));
}

#[tokio::test]
async fn the_check_comes_before_the_handler() {
    let registry = Registry::new();
    registry.register(spec("a/b", Access::Scopes(vec!["a:b".parse().unwrap()])), panics).unwrap();
    let code = async |who| fails(&registry, "a/b", Value::Null, who).await.code;
    assert_eq!(code(None).await, ErrorCode::Unauthenticated);
    assert_eq!(code(Some(identity("alice", &["b:*"]))).await, ErrorCode::Forbidden);
    assert_eq!(code(Some(identity("alice", &["a:*"]))).await, ErrorCode::Internal, "the panic is contained");
}

#[tokio::test]
async fn authorization_comes_before_validation() {
    let (registry, store) = owning_registry();
    own(&store, "t-1", "alice").await;
    let input = json!({ "properties": { "rows": { "type": "integer" } } });
    registry.register(on_tty("tty/resize").with_input(Schema::new(input).unwrap()), panics).unwrap();
    let wrong = json!({ "id": "t-1", "rows": "many" });
    let refused = fails(&registry, "tty/resize", wrong.clone(), Some(identity("bob", &[]))).await;
    assert_eq!(refused.code, ErrorCode::Forbidden);
    let invalid = fails(&registry, "tty/resize", wrong, alice()).await;
    assert_eq!(invalid.code, ErrorCode::InvalidInput);
    assert_eq!(invalid.message, "the input is not what /tty/resize takes: /rows: value is not of type \"integer\"");
    assert_eq!(invalid.details.unwrap()["violations"][0]["path"], "/rows");
    let missing = fails(&registry, "tty/resize", json!({ "rows": "many" }), alice()).await;
    assert!(missing.message.contains("at \"/id\" of its input"), "{missing}");
}

#[tokio::test]
async fn what_is_not_yours_and_what_is_not_there_are_one_answer() {
    let (registry, store) = owning_registry();
    own(&store, "t-1", "alice").await;
    registry.register(on_tty("tty/write"), echo).unwrap();
    let on = |id: &str| json!({ "id": id });
    assert!(registry.invoke("tty/write", on("t-1"), context(alice())).await.is_ok());
    let others = fails(&registry, "tty/write", on("t-1"), Some(identity("bob", &[]))).await;
    let absent = fails(&registry, "tty/write", on("t-9"), Some(identity("bob", &[]))).await;
    let strangers = fails(&registry, "tty/write", on("t-1"), None).await;
    store.revoke("tty", "t-1").await;
    let gone = fails(&registry, "tty/write", on("t-1"), alice()).await;
    assert_eq!(others.to_string(), "FORBIDDEN: /tty/write needs the id of a tty of yours");
    assert_eq!([&absent, &strangers, &gone], [&others; 3]);
}

#[tokio::test]
async fn a_list_needs_no_id() {
    let (registry, _store) = owning_registry();
    let list = spec("tty/list", Access::Identified).with_resource("tty", "list", None);
    registry.register(list, echo).unwrap();
    assert!(registry.invoke("tty/list", Value::Null, context(alice())).await.is_ok());
}

#[tokio::test]
async fn a_grant_is_asked_again() {
    let (registry, store) = owning_registry();
    own(&store, "t-1", "alice").await;
    let spec = on_tty("tty/read").with_access(Access::Scopes(vec!["tty:read".parse().unwrap()]));
    registry.add(Bundle::subscription(spec, |_, _| stream::pending())).unwrap();
    let alice = identity("alice", &["tty:*"]);
    let admitted = registry.admit("tty/read", context(Some(alice.clone()))).unwrap();
    let grant = admitted.start(json!({ "id": "t-1" })).unwrap().grant;
    assert_eq!(grant.resource.as_ref().map(|(kind, id)| (&**kind, &**id)), Some(("tty", "t-1")));
    let code = |who: Option<&Identity>| registry.still_allowed(&grant, who).err().map(|error| error.code);
    assert_eq!(code(Some(&alice)), None);
    assert_eq!(code(Some(&identity("alice", &[]))), Some(ErrorCode::Forbidden));
    assert_eq!(code(Some(&identity("bob", &["tty:*"]))), Some(ErrorCode::Forbidden));
    assert_eq!(code(None), Some(ErrorCode::Unauthenticated));
    store.revoke("tty", "t-1").await;
    assert_eq!(code(Some(&alice)), Some(ErrorCode::Forbidden));
}

#[tokio::test]
async fn a_name_is_taken_once_and_free_after_removal() {
    let registry = Registry::new();
    registry.register(spec("b/b", Access::Public), echo).unwrap();
    registry.register(spec("a/a", Access::Public), echo).unwrap();
    assert_eq!(
        registry.register(spec("a/a", Access::Public), echo).unwrap_err().to_string(),
        "there is an operation a/a already; remove it first"
    );
    assert_eq!(names(&registry), ["a/a", "b/b"]);
    assert!(registry.remove("a/a").is_some() && registry.remove("a/a").is_none());
    assert!(registry.spec("a/a").is_none());
    assert_eq!(fails(&registry, "a/a", Value::Null, None).await, not_found("a/a"));
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_its_time() {
    let registry = Registry::new();
    registry.register(spec("a/hang", Access::Public), never).unwrap();
    let mut context = context(None);
    context.time_limit = Duration::from_millis(1500);
    let error = registry.invoke("a/hang", Value::Null, context).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (ErrorCode::Timeout, true));
    assert_eq!(error.message, "/a/hang did not answer within 1.5s");
}

#[tokio::test]
async fn a_call_is_no_subscription_and_the_other_way_round() {
    let registry = Registry::new();
    registry.register(spec("a/call", Access::Public), panics).unwrap();
    let sub = |_, _| -> stream::Empty<Result<Value, CallError>> { panic!("it ran") };
    registry.add(Bundle::subscription(spec("a/sub", Access::Public), sub)).unwrap();
    let error = fails(&registry, "a/sub", Value::Null, None).await;
    assert_eq!(error, CallError::invalid_input("/a/sub is a subscription: subscribe to it"));
    let error = registry.subscribe("a/call", Value::Null, context(None)).err().unwrap();
    assert_eq!(error, CallError::invalid_input("/a/call is a call: call it, there is nothing to subscribe to"));
    let kind = |name| registry.admit(name, context(None)).unwrap().kind();
    assert_eq!((kind("a/call"), kind("a/sub")), (OperationKind::Call, OperationKind::Subscription));
}

#[tokio::test]
async fn an_error_ends_a_subscription_and_so_does_a_panic_wherever_it_is() {
    let registry = Registry::new();
    let busy = || CallError::declared("BUSY", "");
    let fails = move |_, _| stream::iter([Ok(json!(1)), Err(busy()), Ok(json!(2))]);
    let panics = |_, _| panicking();
    let at_once = |_, _| -> stream::Empty<Result<Value, CallError>> { panic!("at once") };
    registry.add(Bundle::subscription(spec("a/fails", Access::Public), fails)).unwrap();
    registry.add(Bundle::subscription(spec("a/panics", Access::Public), panics)).unwrap();
    registry.add(Bundle::subscription(spec("a/at-once", Access::Public), at_once)).unwrap();
    let subscribe = |name| registry.subscribe(name, Value::Null, context(None));
    let mut events = subscribe("a/fails").unwrap();
    assert_eq!(next(&mut events).await, Some(Ok(json!(1))));
    assert_eq!((next(&mut events).await, next(&mut events).await), (Some(Err(busy())), None));
    let mut events = subscribe("a/panics").unwrap();
    assert_eq!(next(&mut events).await, Some(Ok(json!(1))));
    assert_eq!(next(&mut events).await.unwrap().unwrap_err().code, ErrorCode::Internal);
    assert_eq!(next(&mut events).await, None);
    assert_eq!(subscribe("a/at-once").err().unwrap().code, ErrorCode::Internal);
}

/// A stream whose second output is a panic.
fn panicking() -> impl futures_core::Stream<Item = Result<Value, CallError>> + Send + 'static {
    stream::iter([1, 2]).map(|n| if n == 1 { Ok(json!(n)) } else { panic!("at {n}") })
}

#[tokio::test]
async fn a_panic_while_a_call_is_made_is_contained() {
    let registry = Registry::new();
    let at_once = |_, _| -> std::future::Ready<Result<Value, CallError>> { panic!("at once") };
    registry.register(spec("a/at-once", Access::Public), at_once).unwrap();
    assert_eq!(fails(&registry, "a/at-once", Value::Null, None).await.code, ErrorCode::Internal);
}

#[tokio::test(start_paused = true)]
async fn revocation_ends_an_open_stream_within_a_second() {
    let (registry, store) = owning_registry();
    own(&store, "t-1", "alice").await;
    registry.register(on_tty("tty/write"), never).unwrap();
    let quiet = Bundle::subscription(on_tty("tty/quiet"), |_, _| stream::pending());
    let busy = Bundle::subscription(on_tty("tty/busy"), |_, _| stream::repeat_with(|| Ok(json!(1))));
    let _overlay = registry.install(vec![quiet, busy]).unwrap();
    let input = json!({ "id": "t-1" });
    let mut quiet = registry.subscribe("tty/quiet", input.clone(), context(alice())).unwrap();
    let mut busy = registry.subscribe("tty/busy", input.clone(), context(alice())).unwrap();
    let call = registry.invoke("tty/write", input.clone(), context(alice()));
    let revoked = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        store.revoke("tty", "t-1").await;
        Instant::now()
    };
    let ended = async {
        while let Some(event) = next(&mut busy).await {
            if let Err(error) = event {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it ended without an error")
    };
    let (revoked, quiet_ended, busy_ended, call) = tokio::join!(revoked, next(&mut quiet), ended, call);
    assert!(revoked.elapsed() < Duration::from_secs(1));
    let others = fails(&registry, "tty/quiet", input, Some(identity("bob", &[]))).await;
    assert_eq!(others.code, ErrorCode::InvalidInput);
    let forbidden = |name| CallError::new(ErrorCode::Forbidden, format!("/tty/{name} needs the id of a tty of yours"));
    assert_eq!(quiet_ended, Some(Err(forbidden("quiet"))));
    assert_eq!(next(&mut quiet).await, None);
    assert_eq!((busy_ended, call), (forbidden("busy"), Err(forbidden("write"))));
}

#[tokio::test(start_paused = true)]
async fn a_handler_has_time_for_its_last_words() {
    let (registry, store) = owning_registry();
    own(&store, "t-1", "alice").await;
    let revoked = store.revocation("tty", "t-1");
    let wait = move |_: OperationContext, _: Value| {
        let revoked = revoked.clone();
        async move {
            revoked.cancelled().await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            Ok(json!("exit status 0"))
        }
    };
    registry.register(on_tty("tty/wait"), wait).unwrap();
    let call = registry.invoke("tty/wait", json!({ "id": "t-1" }), context(alice()));
    let (result, _) = tokio::join!(call, async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.revoke("tty", "t-1").await
    });
    assert_eq!(result, Ok(json!("exit status 0")));
}

#[tokio::test]
async fn an_overlay_comes_and_goes_while_calls_run() {
    let registry = Arc::new(Registry::new());
    let gate = Arc::new(tokio::sync::Notify::new());
    let waits = {
        let gate = gate.clone();
        move |_: OperationContext, input: Value| {
            let gate = gate.clone();
            async move {
                gate.notified().await;
                Ok(input)
            }
        }
    };
    let overlay = registry
        .install(vec![
            Bundle::call(spec("peer/wait", Access::Public), waits),
            Bundle::call(spec("peer/echo", Access::Public), echo),
        ])
        .unwrap();
    assert_eq!(names(&registry), ["peer/echo", "peer/wait"]);
    let admitted = registry.admit("peer/wait", context(None)).unwrap();
    let Run::Call(call) = admitted.start(json!(7)).unwrap().run else { panic!() };
    drop(overlay);
    assert!(names(&registry).is_empty());
    gate.notify_one();
    assert_eq!(call.await, Ok(json!(7)));
}

#[test]
fn an_overlay_is_all_or_nothing_and_takes_only_its_own_away() {
    let registry = Registry::new();
    registry.register(spec("a/b", Access::Public), echo).unwrap();
    let bundle = |name| Bundle::call(spec(name, Access::Public), echo);
    assert_eq!(registry.install(vec![bundle("c/d"), bundle("a/b")]).err().unwrap().0.as_str(), "a/b");
    assert_eq!(registry.install(vec![bundle("c/d"), bundle("c/d")]).err().unwrap().0.as_str(), "c/d");
    assert_eq!(names(&registry), ["a/b"]);
    let overlay = registry.install(vec![bundle("c/d"), bundle("c/e")]).unwrap();
    registry.remove("c/d").unwrap();
    registry.register(spec("c/d", Access::Public), echo).unwrap();
    drop(overlay);
    assert_eq!(names(&registry), ["a/b", "c/d"], "this one is another's by now");
}

#[test]
fn an_overlay_is_replaced_at_once_or_stays() {
    let registry = Registry::new();
    registry.register(spec("a/b", Access::Public), echo).unwrap();
    let bundle = |name| Bundle::call(spec(name, Access::Public), echo);
    let mut overlay = registry.install(vec![bundle("c/d"), bundle("c/e")]).unwrap();
    let changes = registry.changes();
    overlay.replace(vec![bundle("c/e"), bundle("c/f")]).unwrap();
    assert_eq!(*changes.borrow(), *registry.changes().borrow());
    assert_eq!(names(&registry), ["a/b", "c/e", "c/f"]);
    assert!(overlay.replace(vec![bundle("c/g"), bundle("a/b")]).is_err());
    assert_eq!(names(&registry), ["a/b", "c/e", "c/f"]);
    assert_eq!(overlay.specs().count(), 2);
    drop(overlay);
    assert_eq!(names(&registry), ["a/b"]);
}

#[tokio::test]
async fn what_is_imported_is_internal_unless_it_is_exported() {
    for (provenance, seen) in [
        (Provenance::Local, true),
        (Provenance::Session, true),
        (Provenance::FromCall, false),
        (Provenance::FromMcp, false),
        (Provenance::FromOpenApi, false),
        (Provenance::FromJsonSchema, false),
    ] {
        let registry = Registry::new();
        let bundle = |name| Bundle::call(spec(name, Access::Public), echo).with_provenance(provenance);
        registry.add(bundle("a/plain")).unwrap();
        registry.add(bundle("a/exported").exported()).unwrap();
        let hidden = Bundle::call(spec("a/hidden", Access::Public).with_visibility(Visibility::Internal), echo);
        registry.add(hidden.with_provenance(provenance).exported()).unwrap();
        let runs = async |name| registry.invoke(name, Value::Null, context(None)).await.is_ok();
        assert_eq!(runs("a/plain").await, seen, "{provenance:?}");
        assert!(runs("a/exported").await && !runs("a/hidden").await, "{provenance:?}");
        assert_eq!(registry.provenance("a/plain"), Some(provenance));
    }
}

#[tokio::test]
async fn a_reserved_name_is_away_to_those_who_may_and_not_there_to_others() {
    let registry = Registry::new();
    let access = Access::Scopes(vec!["tty:use".parse().unwrap()]);
    let reservation = registry.reserve("a/tty/*".parse().unwrap(), access);
    let user = || Some(identity("alice", &["tty:use"]));
    let error = fails(&registry, "a/tty/spawn", Value::Null, user()).await;
    assert_eq!((error.code, error.retryable), (ErrorCode::Unavailable, true));
    assert_eq!(error.message, "the node that serves /a/tty/spawn is not connected at present");
    for (name, who) in [
        ("a/tty/spawn", alice()),
        ("a/tty/spawn", None),
        ("a/fs/read", user()),
        ("a/tty/NO", user()),
        ("tty/x", user()),
    ] {
        assert_eq!(fails(&registry, name, Value::Null, who).await, not_found(name), "{name}");
    }
    registry.register(spec("a/tty/spawn", Access::Public), echo).unwrap();
    assert!(registry.invoke("a/tty/spawn", Value::Null, context(None)).await.is_ok(), "it is back");
    drop(reservation);
    assert_eq!(fails(&registry, "a/tty/write", Value::Null, user()).await, not_found("a/tty/write"));
}

#[tokio::test]
async fn every_change_is_told() {
    let registry = Registry::new();
    let mut changes = registry.changes();
    let mut changed = || {
        let changed = changes.has_changed().unwrap();
        changes.mark_unchanged();
        changed
    };
    assert!(!changed());
    registry.register(spec("a/b", Access::Public), echo).unwrap();
    assert!(changed());
    assert!(registry.register(spec("a/b", Access::Public), echo).is_err() && !changed());
    let overlay = registry.install(vec![Bundle::call(spec("a/c", Access::Public), echo)]).unwrap();
    assert!(changed());
    drop(overlay);
    assert!(changed());
    drop(registry.reserve("**".parse().unwrap(), Access::Public));
    assert!(changed() && !changed());
    registry.remove("a/b").unwrap();
    assert!(changed());
}

#[tokio::test]
async fn a_handler_gets_its_secrets_and_no_others() {
    let registry = Registry::new();
    let reveal = async |context: OperationContext, _: Value| {
        Ok(json!(context.capabilities.secret("github").map(|secret| secret.reveal().to_owned())))
    };
    let capabilities = Capabilities::default().with("github", "ghp".to_owned());
    registry.add(Bundle::call(spec("a/with", Access::Public), reveal).with_capabilities(capabilities.clone())).unwrap();
    registry.add(Bundle::call(spec("a/without", Access::Public), reveal)).unwrap();
    assert_eq!(registry.invoke("a/with", Value::Null, context(None)).await, Ok(json!("ghp")));
    let mut context = context(None);
    context.capabilities = capabilities;
    assert_eq!(registry.invoke("a/without", Value::Null, context.clone()).await, Ok(json!(null)));
    assert!(!format!("{context:?}").contains("ghp"));
}

#[tokio::test]
async fn what_happens_is_counted() {
    let (registry, store) = owning_registry();
    registry.register(spec("a/echo", Access::Public), echo).unwrap();
    registry.register(spec("a/never", Access::Public), never).unwrap();
    registry.register(spec("a/panics", Access::Public), panics).unwrap();
    registry.add(Bundle::subscription(spec("a/sub", Access::Public), |_, _| stream::pending())).unwrap();
    let count = |name: &str, labels: &[&str]| {
        let metrics = registry.metrics();
        let fits = |m: &&Metric| m.name == name && m.labels.iter().map(|(_, value)| value).eq(labels);
        metrics.iter().find(fits).map(|metric| metric.value)
    };
    assert!(registry.invoke("a/echo", Value::Null, context(None)).await.is_ok());
    assert_eq!(fails(&registry, "a/panics", Value::Null, None).await.code, ErrorCode::Internal);
    assert_eq!(fails(&registry, "a/no", Value::Null, None).await.code, ErrorCode::NotFound);
    let running = registry.admit("a/never", context(None)).unwrap().start(Value::Null).unwrap();
    let stream = registry.subscribe("a/sub", Value::Null, context(None)).unwrap();
    own(&store, "t-1", "alice").await;
    assert_eq!(count("alknet_runs_started_total", &["call"]), Some(3));
    assert_eq!(count("alknet_runs_running", &["call"]), Some(1));
    assert_eq!(count("alknet_runs_running", &["subscription"]), Some(1));
    assert_eq!(count("alknet_resources_owned", &["tty"]), Some(1));
    drop((running, stream));
    assert_eq!(count("alknet_runs_running", &["call"]), Some(0));
    assert_eq!(count("alknet_runs_running", &["subscription"]), Some(0));
    for (code, expected) in [("OK", 1), ("INTERNAL", 1), ("ABORTED", 1), ("TIMEOUT", 0)] {
        assert_eq!(count("alknet_runs_ended_total", &["call", code]), Some(expected), "{code}");
    }
    assert_eq!(count("alknet_runs_ended_total", &["subscription", "ABORTED"]), Some(1));
    assert_eq!(count("alknet_requests_refused_total", &["NOT_FOUND"]), Some(1));
}

#[test]
fn every_code_has_its_own_counter() {
    let registry = Registry::new();
    use ErrorCode::*;
    for code in
        [NotFound, Forbidden, Unauthenticated, InvalidInput, Timeout, Aborted, Unavailable, ResourceExhausted, Internal]
    {
        registry.shared.metrics.refuse(&CallError::new(code, ""));
    }
    registry.shared.metrics.refuse(&CallError::declared("BUSY", ""));
    let refused = registry.metrics().into_iter().filter(|m| m.name == "alknet_requests_refused_total");
    assert_eq!(refused.map(|metric| metric.value).collect::<Vec<_>>(), [1; 10]);
}

/// A registry does not live on because of an operation that is running or a context that is kept.
#[tokio::test]
async fn nothing_that_runs_keeps_the_registry() {
    let (kept, dropped) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let registry = Registry::new();
    let handler = {
        let (kept, counted) = (kept.clone(), Counted(dropped.clone()));
        move |context: OperationContext, _: Value| {
            let _ = &counted;
            kept.lock().unwrap().push(context);
            std::future::pending()
        }
    };
    let bundle = Bundle::call(spec("a/b", Access::Public), handler);
    registry.add(bundle.with_environment(["**".parse().unwrap()].into_iter().collect())).unwrap();
    let weak = Arc::downgrade(&registry.shared);
    let started = registry.admit("a/b", context(None)).unwrap().start(Value::Null).unwrap();
    drop(registry);
    assert!(weak.upgrade().is_none(), "neither the run nor its context holds it");
    let context = kept.lock().unwrap().pop().unwrap();
    assert_eq!(context.call("a/b", Value::Null).await.unwrap_err().code, ErrorCode::Unavailable);
    drop((started, context));
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "and the operation goes with its last use");
}

proptest! {
    /// Whatever is added and removed, the registry has what a set would have.
    #[test]
    fn it_holds_what_a_set_would(steps in prop::collection::vec((0usize..4, 0usize..5), 0..40)) {
        const NAMES: [&str; 5] = ["a/a", "a/b", "b/a", "a/b/c", "c/c"];
        let bundle = |name: &str| Bundle::call(OperationSpec::new(name.parse().unwrap()), echo);
        let registry = Registry::new();
        let mut model = BTreeSet::new();
        let mut overlay: Option<(Overlay, Vec<&str>)> = None;
        for (step, n) in steps {
            let name = NAMES[n];
            match step {
                0 => prop_assert_eq!(registry.add(bundle(name)).is_ok(), model.insert(name)),
                1 => {
                    prop_assert_eq!(registry.remove(name).is_some(), model.remove(name));
                    if let Some((_, names)) = &mut overlay {
                        names.retain(|other| *other != name);
                    }
                }
                2 if overlay.is_none() => {
                    let names = vec![name, NAMES[(n + 1) % 5]];
                    match registry.install(names.iter().map(|name| bundle(name)).collect()) {
                        Ok(new) => {
                            prop_assert!(names.iter().all(|name| model.insert(name)));
                            overlay = Some((new, names));
                        }
                        Err(_) => prop_assert!(names.iter().any(|name| model.contains(name))),
                    }
                }
                _ => for name in overlay.take().map(|(_, names)| names).unwrap_or_default() {
                    model.remove(name);
                },
            }
            prop_assert!(names(&registry).iter().eq(&model));
        }
    }
}
