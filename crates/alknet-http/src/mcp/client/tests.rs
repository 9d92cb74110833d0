use super::testkit::{Node, Real, answer, context, open, scripted, tool, with_tools};
use super::*;
use crate::outbound::testkit::{Mock, client, respond};
use alknet_call::{ErrorCode, OperationKind};
use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use url::Url;

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn import(url: &Url) -> FromMcp {
    FromMcp::new("m", url.clone(), open(&["**"], &[]), client()).unwrap()
}

async fn refused(mock: &Mock) -> String {
    import(&mock.url).tools().await.err().expect("it was taken").to_string()
}

#[tokio::test]
async fn a_server_of_the_new_generation_is_called_and_followed() {
    let server = Real::serve().await;
    let mut node = Node::new(&server.url).await;
    let tools = node.import.tools().await.unwrap();
    assert_eq!(tools.protocol(), "2026-07-28");
    assert_eq!(node.names(), ["m/add", "m/add-stream", "m/hang", "m/hang-stream", "m/steps", "m/steps-stream"]);
    assert_eq!(node.call("m/add", json!({ "a": 2, "b": 3 })).await.unwrap(), "5");
    let events: Vec<_> = node.subscribe("m/steps-stream", json!({})).map(Result::unwrap).collect().await;
    let (last, steps) = events.split_last().unwrap();
    assert_eq!(*last, json!({ "result": "done" }));
    assert_eq!(steps, [1.0, 2.0, 3.0].map(|step| json!({ "progress": step, "total": 3.0 })));

    server.state.tools.send_replace(vec!["add", "more"]);
    node.follow().await;
    assert_eq!(node.names(), ["m/add", "m/add-stream", "m/more", "m/more-stream"]);
    // The server knows better than its list.
    let error = node.call("m/more", json!({})).await.unwrap_err();
    assert_eq!((error.code, error.message.contains("no tool more")), (ErrorCode::InvalidInput, true));
}

#[tokio::test]
async fn an_older_server_is_recognized_however_it_answers_what_it_does_not_know() {
    type Reply = fn(&Value) -> http::Response<Body>;
    let replies: [Reply; 4] = [
        |id| answer(id, json!({})),
        |id| {
            respond(
                200,
                "application/json",
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "?" } }).to_string(),
            )
        },
        |_| respond(404, "text/html", "<html>"),
        |_| respond(405, "text/plain", ""),
    ];
    for (n, reply) in replies.into_iter().enumerate() {
        let mock =
            scripted(move |method, message, _| (method == "server/discover").then(|| reply(&message["id"]))).await;
        assert_eq!(import(&mock.url).tools().await.unwrap().protocol(), "2025-11-25", "the reply {n}");
    }
}

#[tokio::test]
async fn who_gives_a_call_up_leaves_nothing_running() {
    let server = Real::serve().await;
    let node = Node::new(&server.url).await;
    let mut hanging = server.state.hanging.subscribe();
    for _ in 0..3 {
        tokio::select! {
            _ = node.call("m/hang", json!({})) => unreachable!("it hangs"),
            running = hanging.wait_for(|running| *running == 1) => drop(running.unwrap()),
        }
        hanging.wait_for(|running| *running == 0).await.unwrap();
        let mut events = node.subscribe("m/hang-stream", json!({}));
        tokio::select! {
            _ = events.next() => unreachable!("it hangs"),
            running = hanging.wait_for(|running| *running == 1) => drop(running.unwrap()),
        }
        drop(events);
        hanging.wait_for(|running| *running == 0).await.unwrap();
    }
    // So does a time limit.
    let mut short = context(None);
    short.time_limit = Duration::from_millis(50);
    let error = node.registry.invoke("m/hang", json!({}), short).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    hanging.wait_for(|running| *running == 0).await.unwrap();
    assert_eq!(node.call("m/add", json!({})).await.unwrap(), "0");
}

#[tokio::test]
async fn an_older_server_is_told_that_a_call_was_given_up_and_its_request_is_closed() {
    let (open_bodies, cancelled) = (watch::Sender::new(0), watch::Sender::new(Value::Null));
    let (bodies, seen) = (open_bodies.clone(), cancelled.clone());
    let mock = scripted(move |method, message, _| match method {
        "tools/list" => Some(answer(&message["id"], json!({ "tools": [tool("hang")] }))),
        "tools/call" => {
            bodies.send_modify(|open| *open += 1);
            let guard = Dropped(bodies.clone());
            let never = stream::once(std::future::pending::<Result<bytes::Bytes, Infallible>>());
            let body = never.map(move |never| (&guard, never).1);
            Some(respond(200, "text/event-stream", Body::from_stream(body)))
        }
        "notifications/cancelled" => {
            seen.send_replace(message["params"]["requestId"].clone());
            None
        }
        _ => None,
    })
    .await;
    let node = Node::new(&mock.url).await;
    let (mut open_bodies, mut cancelled) = (open_bodies.subscribe(), cancelled.subscribe());
    tokio::select! {
        _ = node.call("m/hang", json!({})) => unreachable!("it hangs"),
        open = open_bodies.wait_for(|open| *open == 1) => drop(open.unwrap()),
    }
    open_bodies.wait_for(|open| *open == 0).await.unwrap();
    let id = cancelled.wait_for(|id| !id.is_null()).await.unwrap().clone();
    let calls = mock.requests();
    let call = calls.iter().map(|call| serde_json::from_slice::<Value>(&call.body).unwrap_or_default());
    assert!(call.into_iter().any(|call| call["method"] == "tools/call" && call["id"] == id));
}

struct Dropped(watch::Sender<i32>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

#[tokio::test]
async fn tools_are_operations_with_their_schemas() {
    let tools = json!([
        { "name": "getWeather", "description": "Tells the weather", "inputSchema":
            { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
          "outputSchema": { "type": "object", "properties": { "degrees": { "type": "number" } }, "required": ["degrees"] } },
        { "name": "remote", "inputSchema": { "$ref": "https://elsewhere.example/schema.json" } },
        { "name": "schemaless" },
        "no tool",
        tool("twice"), tool("twice"),
    ]);
    let mock = with_tools(tools, |name, arguments| match (name, arguments["city"].as_str()) {
        ("getWeather", Some("Rome")) => json!({ "content": [], "structuredContent": { "degrees": 20.5 } }),
        ("getWeather", Some("Oslo")) => json!({ "content": [], "structuredContent": { "degrees": "cold" } }),
        ("getWeather", _) => json!({ "isError": true, "content": [{ "type": "text", "text": "no such city" }] }),
        _ => text("fine"),
    })
    .await;
    let node = Node::new(&mock.url).await;
    let tools = node.import.tools().await.unwrap();
    assert_eq!((tools.title(), tools.version(), tools.protocol()), ("scripted", "1", "2025-11-25"));
    let left_out: Vec<_> = tools.left_out().collect();
    assert_eq!(left_out.iter().map(|(tool, _)| *tool).collect::<Vec<_>>(), ["schemaless", "?", "twice", "remote"]);
    assert!(left_out[3].1.contains("elsewhere.example"), "{left_out:?}");
    let remarks: Vec<_> = tools.remarks().map(|(name, remark)| format!("{name}: {remark}")).collect();
    assert_eq!(remarks[0], "m/get-weather: the tool is called \"getWeather\"");

    let spec = node.registry.spec("m/get-weather").unwrap();
    assert_eq!((&*spec.description, spec.kind), ("Tells the weather", OperationKind::Call));
    let call = async |city: Value| node.call("m/get-weather", json!({ "city": city })).await;
    assert_eq!(call(json!("Rome")).await.unwrap(), json!({ "degrees": 20.5 }));
    let lie = call(json!("Oslo")).await.unwrap_err();
    assert!(lie.message.contains("\"m\" to its tool \"getWeather\"") && lie.message.contains("/degrees"), "{lie}");
    let failed = call(json!("Atlantis")).await.unwrap_err();
    assert_eq!((failed.wire_code(), &*failed.message), ("TOOL_ERROR", "no such city"));
    let asked = mock.requests().len();
    assert_eq!(call(json!(5)).await.unwrap_err().code, ErrorCode::InvalidInput);
    assert_eq!(mock.requests().len(), asked, "an input that does not fit was sent");
    assert_eq!(node.call("m/twice", json!({})).await.unwrap(), "fine");
}

#[tokio::test]
async fn patterns_choose_and_progress_is_only_for_those_who_ask() {
    let mock = with_tools(json!([tool("a"), tool("b"), tool("b-stream")]), |_, _| text("")).await;
    let named = async |patterns: &[&str]| Node::with(&mock.url, open(patterns, &[])).await.names();
    assert_eq!(named(&["**"]).await, ["m/a", "m/b", "m/b-stream"]);
    assert_eq!(named(&["m/a"]).await, ["m/a"]);
    assert_eq!(named(&["m/a-stream"]).await, ["m/a-stream"]);
    let node = Node::with(&mock.url, open(&["m/*", "m/*-stream", "m/typo"], &[])).await;
    assert_eq!(node.names(), ["m/a", "m/a-stream", "m/b", "m/b-stream", "m/b-stream-stream"]);
    // The tool of that name stands.
    assert_eq!(node.registry.spec("m/b-stream").unwrap().kind, OperationKind::Call);
    let tools = node.import.tools().await.unwrap();
    assert_eq!(tools.unmatched().iter().map(ToString::to_string).collect::<Vec<_>>(), ["m/typo"]);
}

#[tokio::test]
async fn each_caller_has_its_own_credential_and_nobody_anothers() {
    let tools = json!([tool("who")]);
    let mock = scripted(move |method, message, request| match method {
        "tools/list" => Some(answer(&message["id"], json!({ "tools": tools }))),
        // A server that repeats what it was sent.
        "tools/call" => Some(answer(&message["id"], text(&format!("you are {}", request.header("authorization"))))),
        _ => None,
    })
    .await;
    let capabilities = [("*", "t0ken-of-all"), ("@alice", "t0ken-of-alice"), ("@mallory", "t0ken-of-mallory")];
    let node = Node::with(&mock.url, open(&["**"], &capabilities)).await;
    let sent = async |who: Option<&str>| {
        let before = mock.requests().len();
        let result = match who {
            Some(who) => node.call_as(who, "m/who", json!({})).await,
            None => node.call("m/who", json!({})).await,
        };
        // It is masked, whoever's it is.
        assert_eq!(result.unwrap(), "you are Bearer ***");
        let requests = mock.requests();
        let new: std::collections::BTreeSet<_> =
            requests[before..].iter().map(|request| request.header("authorization").to_owned()).collect();
        new.into_iter().collect::<Vec<_>>().join(", ")
    };
    assert_eq!(sent(Some("alice")).await, "Bearer t0ken-of-alice");
    assert_eq!(sent(Some("bob")).await, "Bearer t0ken-of-all");
    // Who is called for (mallory, in each of these calls) does not matter.
    assert_eq!(sent(None).await, "Bearer t0ken-of-all");
    assert_eq!(sent(Some("alice")).await, "Bearer t0ken-of-alice");
    assert!(!mock.requests().iter().any(|request| request.header("authorization").contains("mallory")));
}

#[tokio::test]
async fn a_list_has_an_end_or_is_none() {
    let endless = scripted(|method, message, _| {
        let page = message["params"]["cursor"].as_str().map_or(0, |cursor| cursor.parse::<u32>().unwrap());
        let tools = json!({ "tools": [tool(&format!("t{page}"))], "nextCursor": (page + 1).to_string() });
        (method == "tools/list").then(|| answer(&message["id"], tools))
    })
    .await;
    assert!(refused(&endless).await.contains("more than 100 pages"));
    let circle = scripted(|method, message, _| {
        (method == "tools/list").then(|| answer(&message["id"], json!({ "tools": [], "nextCursor": "again" })))
    })
    .await;
    assert!(refused(&circle).await.contains("the same page"));
    let many: Vec<_> = (0..1001).map(|n| tool(&format!("t{n}"))).collect();
    assert!(refused(&with_tools(json!(many), |_, _| text("")).await).await.contains("more than 1000 tools"));
    let mut large = tool("large");
    large["description"] = "x".repeat(4 * 1024 * 1024).into();
    assert!(refused(&with_tools(json!([large]), |_, _| text("")).await).await.contains("bytes of tools"));
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "properties": { "x": inner } }));
    let deep = with_tools(json!([{ "name": "deep", "inputSchema": deep }, tool("fine")]), |_, _| text("")).await;
    let tools = import(&deep.url).tools().await;
    // So deep it is no JSON to begin with.
    assert!(tools.is_err() || tools.is_ok_and(|tools| tools.left_out().count() == 1));
}

#[tokio::test]
async fn what_is_no_server_of_the_protocol_is_told_apart() {
    for (response, expected) in [
        ((401, "application/json", "{}"), "give the import a credential"),
        ((403, "text/plain", "go away"), "403 Forbidden: go away"),
        ((500, "text/plain", "oops"), "500 Internal Server Error: oops"),
        ((200, "text/html", "<html>"), "neither JSON nor events"),
        ((200, "application/json", "[1, 2"), "no message of the protocol"),
        ((302, "text/plain", ""), "302 Found"),
        ((429, "text/plain", ""), "429"),
    ] {
        let mock = Mock::serve(move |_| respond(response.0, response.1, response.2)).await;
        let error = refused(&mock).await;
        assert!(error.contains(expected), "{response:?}: {error}");
    }
    let error = FromMcp::new("m", "http://mcp.example/mcp".parse().unwrap(), McpOptions::default(), client());
    assert!(matches!(error, Err(McpError::Insecure { .. })));
    let error = FromMcp::new("M m", "https://mcp.example/mcp".parse().unwrap(), McpOptions::default(), client());
    assert!(matches!(error, Err(McpError::Name(_))));
}

#[tokio::test]
async fn a_credential_follows_no_redirect() {
    let other = Mock::serve(|_| respond(200, "text/plain", "")).await;
    let elsewhere = other.url.to_string();
    let mock = Mock::serve(move |_| {
        let mut response = respond(307, "text/plain", "");
        response.headers_mut().insert("location", elsewhere.parse().unwrap());
        response
    })
    .await;
    let import = FromMcp::new("m", mock.url.clone(), open(&["**"], &[("*", "s3cret-token")]), client()).unwrap();
    let error = import.tools().await.err().unwrap().to_string();
    assert!(error.contains("307") && !error.contains("s3cret"), "{error}");
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_result_has_a_limit_however_it_comes() {
    for kind in ["application/json", "text/event-stream"] {
        let mock = scripted(move |method, message, _| match method {
            "tools/list" => Some(answer(&message["id"], json!({ "tools": [tool("huge"), tool("fine")] }))),
            "tools/call" => {
                let size = if message["params"]["name"] == "huge" { 3_000_000 } else { 10 };
                let result = json!({ "jsonrpc": "2.0", "id": message["id"], "result": text(&"x".repeat(size)) });
                let body = if kind == "application/json" { result.to_string() } else { format!("data: {result}\n\n") };
                Some(respond(200, kind, body))
            }
            _ => None,
        })
        .await;
        let config = crate::OutboundConfig { max_response_bytes: 1_000_000, ..Default::default() };
        let client = crate::HttpClient::new(&config).unwrap();
        let import = FromMcp::new("m", mock.url.clone(), open(&["**"], &[]), client).unwrap();
        let registry = alknet_call::Registry::new();
        let _overlay = registry.install(import.tools().await.unwrap().bundles()).unwrap();
        let error = registry.invoke("m/huge", json!({}), context(None)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unavailable, "{kind}: {error}");
        let fine = registry.invoke("m/fine", json!({}), context(None)).await.unwrap();
        assert_eq!(fine, "x".repeat(10), "{kind}");
    }
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_begun_anew() {
    let (sessions, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (begun, called) = (sessions.clone(), calls.clone());
    let mock = scripted(move |method, message, request| match method {
        "initialize" => {
            let session = begun.fetch_add(1, Ordering::Relaxed) + 1;
            let result = json!({ "protocolVersion": "2025-06-18", "capabilities": { "tools": {} },
                "serverInfo": { "name": "s", "version": "1" } });
            let mut response = answer(&message["id"], result);
            response.headers_mut().insert("mcp-session-id", session.to_string().parse().unwrap());
            Some(response)
        }
        "tools/list" => Some(answer(&message["id"], json!({ "tools": [tool("a")] }))),
        // It was restarted after the list.
        "tools/call" if request.header("mcp-session-id") == "1" => Some(respond(404, "text/plain", "")),
        "tools/call" => {
            called.fetch_add(1, Ordering::Relaxed);
            Some(answer(&message["id"], text("done")))
        }
        _ => None,
    })
    .await;
    let node = Node::new(&mock.url).await;
    assert_eq!(node.call("m/a", json!({})).await.unwrap(), "done");
    assert_eq!((sessions.load(Ordering::Relaxed), calls.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test]
async fn while_a_server_is_away_calls_are_unavailable_at_once() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = down.clone();
    let mock = scripted(move |method, message, _| match method {
        _ if is_down.load(Ordering::Relaxed) => Some(respond(502, "text/plain", "down")),
        "tools/list" => Some(answer(&message["id"], json!({ "tools": [tool("a")] }))),
        "tools/call" => Some(answer(&message["id"], text("here"))),
        _ => None,
    })
    .await;
    let node = Node::new(&mock.url).await;
    assert_eq!(node.call("m/a", json!({})).await.unwrap(), "here");
    down.store(true, Ordering::Relaxed);
    let error = node.call("m/a", json!({})).await.unwrap_err();
    assert!(error.code == ErrorCode::Unavailable && error.retryable, "{error}");
    assert!(matches!(node.import.news().await, Err(McpError::Away(_))));
    let asked = mock.requests().len();
    let error = node.call("m/a", json!({})).await.unwrap_err();
    assert!(error.code == ErrorCode::Unavailable && error.retryable && error.message.contains("502"), "{error}");
    assert_eq!(mock.requests().len(), asked, "a server that is away was asked");
    down.store(false, Ordering::Relaxed);
    assert!(node.import.news().await.unwrap().is_none(), "it has the same tools as before");
    assert_eq!(node.call("m/a", json!({})).await.unwrap(), "here");
}

#[tokio::test]
async fn a_list_that_changes_is_told_by_an_older_server_too() {
    let tools = Arc::new(Mutex::new(json!([tool("a")])));
    let (events, listed) = (watch::Sender::new(0), tools.clone());
    let told = events.clone();
    let mock = scripted(move |method, message, request| match method {
        "" if request.header("accept") == "text/event-stream" => {
            let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
            let stream = stream::unfold(told.subscribe(), move |mut told| {
                let event = format!("data: {changed}\n\n");
                async move { told.changed().await.ok().map(|()| (Ok::<_, Infallible>(event), told)) }
            });
            Some(respond(200, "text/event-stream", Body::from_stream(stream)))
        }
        "tools/list" => Some(answer(&message["id"], json!({ "tools": *listed.lock().unwrap() }))),
        _ => None,
    })
    .await;
    let mut node = Node::with(&mock.url, open(&["**"], &[])).await;
    assert_eq!(node.names(), ["m/a"]);
    while events.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    *tools.lock().unwrap() = json!([tool("b")]);
    events.send_modify(|told| *told += 1);
    node.follow().await;
    assert_eq!(node.names(), ["m/b"]);
}

#[tokio::test]
async fn another_import_of_the_same_server_knows_what_the_earlier_knew() {
    let mock = with_tools(json!([tool("a"), tool("b")]), |_, _| text("")).await;
    let earlier = import(&mock.url);
    earlier.tools().await.unwrap();
    let asked = mock.requests().len();
    let later = FromMcp::new("m", mock.url.clone(), open(&["m/a"], &[]), client()).unwrap();
    let tools = later.inherit(&earlier).unwrap();
    assert_eq!(tools.offered().map(|offered| offered.tool).collect::<Vec<_>>(), ["a"]);
    assert_eq!(mock.requests().len(), asked);
    let other = FromMcp::new("m", mock.url.join("/other").unwrap(), open(&["m/a"], &[]), client()).unwrap();
    assert!(other.inherit(&earlier).is_none());
}
