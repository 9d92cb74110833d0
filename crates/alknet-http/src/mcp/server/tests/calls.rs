//! What a tool does.

use super::*;

#[tokio::test]
async fn an_output_is_structured_and_text() {
    let world = World::new();
    let answer = world.call("alice", "node.info", json!({ "a": 1 })).await;
    let expected = json!({ "caller": "alice", "input": { "a": 1 } });
    assert_eq!(answer["result"]["structuredContent"], expected);
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    assert_eq!(world.call("bob", "demo.scoped", json!({})).await["result"]["structuredContent"]["output"], "done");
}

#[tokio::test]
async fn what_is_not_for_a_bearer_is_not_there() {
    let world = World::new();
    let answer = async |who: &str, tool: &str| {
        let text = world.modern(who, "tools/call", json!({ "name": tool, "arguments": {} })).await.text().await;
        text.replace(tool, "TOOL")
    };
    let nothing = answer("alice", "demo.nothing").await;
    assert!(nothing.contains("-32602") && nothing.contains("Unknown tool: TOOL"), "{nothing}");
    assert_eq!(answer("alice", "demo.scoped").await, nothing);
    assert_eq!(answer("alice", "demo/scoped").await, nothing);
    assert_eq!(answer("alice", "DEMO").await, nothing);
    assert!(answer("bob", "demo.scoped").await.contains("done"));
}

#[tokio::test]
async fn a_failure_is_told_to_whoever_called() {
    let world = World::new();
    // An error of the operation's own, out of an input that is no object.
    let spec = OperationSpec::new("demo/busy".parse().unwrap());
    let busy = async |_: OperationContext, _: Value| Err(CallError::declared("BUSY", "later").with_details(json!([7])));
    world.registry.register(spec, busy).unwrap();
    let answer = world.call("alice", "demo.busy", json!({})).await;
    assert_eq!(answer["result"]["isError"], true);
    assert_eq!(answer["result"]["content"][0]["text"], "BUSY: later\n[7]");
    let expected = json!({ "code": "BUSY", "message": "later", "retryable": false, "details": [7] });
    assert_eq!(answer["result"]["_meta"]["alknet/error"], expected);
}

#[tokio::test]
async fn an_input_that_does_not_fit_is_named_with_its_place() {
    let world = World::new();
    let answer = world.call("bob", "demo.count", json!({ "to": 3, "from": "one" })).await;
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(answer["result"]["isError"] == true && text.starts_with("INVALID_INPUT: "), "{text}");
    assert!(text.contains("/from: value is not of type \"integer\""), "{text}");
}

#[tokio::test]
async fn the_events_of_a_subscription_come_as_progress_and_in_the_result() {
    let world = World::new();
    let modern = json!({ "name": "demo.count", "arguments": { "to": 3 }, "_meta": { "progressToken": "p" } });
    let client = world.open("bob").await;
    for (mut answer, token) in [
        (world.modern("bob", "tools/call", modern).await, json!("p")),
        (client.call(7, "demo.count", json!({ "to": 3 })).await, json!(7)),
    ] {
        for number in 0..3 {
            let event = answer.message().await.unwrap();
            assert_eq!(
                (&event["method"], &event["params"]["progressToken"]),
                (&json!("notifications/progress"), &token)
            );
            assert_eq!(event["params"]["progress"], json!(f64::from(number + 1)));
            let output: Value = serde_json::from_str(event["params"]["message"].as_str().unwrap()).unwrap();
            assert_eq!(output, json!({ "number": number, "next": number + 1 }));
        }
        let content = &answer.message().await.unwrap()["result"]["structuredContent"];
        assert_eq!((&content["cut"], &content["ended"]), (&json!(0), &json!("end")));
        assert_eq!(content["events"][2], json!({ "number": 2, "next": 3 }));
        assert_eq!(answer.message().await, None);
    }
}

#[tokio::test]
async fn a_subscription_that_fails_has_what_came_before() {
    let world = World::new();
    let answer = world.call("bob", "demo.count", json!({ "from": 11, "to": 20 })).await;
    let error = &answer["result"]["_meta"]["alknet/error"];
    assert_eq!((&error["code"], &error["details"]["events"][1]["number"]), (&json!("UNAVAILABLE"), &json!(12)));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_without_an_end_answers_in_time_with_the_last_events() {
    let world = World::with("max_subscription_seconds = 3\nmax_result_bytes = 1024");
    let ticks = |_: OperationContext, _: Value| {
        futures_util::stream::unfold(0, |number| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok(json!(number)), number + 1))
        })
    };
    world
        .registry
        .add(alknet_call::Bundle::subscription(OperationSpec::new("demo/ticks".parse().unwrap()), ticks))
        .unwrap();
    let mut answer = world.open("bob").await.call(1, "demo.ticks", json!({})).await;
    let mut last = answer.message().await.unwrap();
    while last.get("result").is_none() {
        last = answer.message().await.unwrap();
    }
    let content = last["result"]["structuredContent"].clone();
    let events = content["events"].as_array().unwrap();
    assert_eq!(content["ended"], "time limit");
    assert_eq!(content["cut"].as_u64().unwrap() + events.len() as u64, events.last().unwrap().as_u64().unwrap() + 1);
    assert!(content["cut"].as_u64().unwrap() > 0 && content.to_string().len() <= 1024);
    // Who sees nothing of what comes gets as much as there is room for, and no more is taken.
    let content = world.call("bob", "demo.ticks", json!({})).await["result"]["structuredContent"].clone();
    assert_eq!(
        (&content["ended"], &content["cut"], &content["events"][0]),
        (&json!("size limit"), &json!(1), &json!(0))
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_time_limit_and_may_take_longer_than_a_request() {
    let config: HttpConfig =
        toml::from_str("request_timeout_seconds = 4\nmcp = { call_timeout_seconds = 20 }").unwrap();
    let world = World::of(&config);
    let hang = async |_: OperationContext, _: Value| std::future::pending().await;
    world.registry.register(OperationSpec::new("demo/hang".parse().unwrap()), hang).unwrap();
    let client = world.open("alice").await;
    let legacy = client.call(1, "demo.hang", json!({})).await.message().await.unwrap();
    for answer in [world.call("alice", "demo.hang", json!({})).await, legacy] {
        assert_eq!(answer["result"]["content"][0]["text"], "TIMEOUT: /demo/hang did not answer within 20s");
    }
}

#[tokio::test]
async fn a_bearer_has_so_many_calls_at_once() {
    let world = World::with("max_calls_per_peer = 2");
    let _two = [
        world.open("bob").await.call(1, "demo.quiet", json!({})).await,
        world.open("bob").await.call(1, "demo.quiet", json!({})).await,
    ];
    world.until_calls(2).await;
    let answer = world.call("bob", "demo.scoped", json!({})).await;
    assert_eq!(answer["result"]["_meta"]["alknet/error"]["code"], "RESOURCE_EXHAUSTED");
    assert!(world.call("alice", "node.info", json!({})).await["result"]["isError"] == false);
}
