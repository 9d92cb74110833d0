//! Clients that give up, go away, or should not be there.

use super::*;

#[tokio::test]
async fn a_call_that_is_cancelled_is_dropped() {
    let world = World::new();
    let client = world.open("bob").await;
    let mut answer = client.call(1, "demo.quiet", json!({})).await;
    answer.message().await.unwrap();
    world.until_calls(1).await;
    client.cancel(1).await;
    world.until_calls(0).await;
    assert_eq!(answer.message().await, None, "nothing is answered to a request that was cancelled");
    assert!(client.ask(2, "ping", json!({})).await.message().await.unwrap().get("result").is_some());
}

#[tokio::test]
async fn without_a_session_to_go_away_is_to_cancel() {
    let world = World::new();
    for method in ["demo.quiet", "demo.endless"] {
        let params = json!({ "name": method, "arguments": {}, "_meta": { "progressToken": 1 } });
        let mut answer = world.modern("bob", "tools/call", params).await;
        answer.message().await.unwrap();
        world.until_calls(1).await;
        drop(answer);
        world.until_calls(0).await;
    }
    let listener =
        world.modern("bob", "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })).await;
    until(|| world.sessions.under_way_of_all().listeners == 1).await;
    drop(listener);
    until(|| world.sessions.under_way_of_all().listeners == 0).await;
}

#[tokio::test]
async fn a_client_that_goes_away_before_there_is_an_answer_leaves_no_call() {
    let world = World::new();
    let hang = async |_: OperationContext, _: Value| std::future::pending().await;
    world.registry.register(OperationSpec::new("demo/hang".parse().unwrap()), hang).unwrap();
    let mut call = Box::pin(world.call("alice", "demo.hang", json!({})));
    tokio::select! {
        _ = &mut call => panic!("it hangs"),
        () = world.until_calls(1) => {}
    }
    drop(call);
    world.until_calls(0).await;
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_session_end_soon_after_its_client_unless_it_comes_back() {
    let world = World::with("resume_seconds = 15\nsession_idle_seconds = 60");
    let client = world.open("bob").await;
    for tool in ["demo.quiet", "demo.endless"] {
        let mut answer = client.call(1, tool, json!({})).await;
        let event = answer.event().await;
        assert!(event.contains("notifications/progress"), "{event}");
        let id = event.lines().find_map(|line| line.strip_prefix("id:")).unwrap().trim().to_owned();
        world.until_calls(1).await;
        drop(answer);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(world.sessions.under_way_of_all().calls, 1, "it may come back");
        let headers = [(SESSION_ID, &*client.id), ("mcp-protocol-version", "2025-11-25"), ("last-event-id", &*id)];
        let resumed = world.send("bob", "GET", &headers, String::new()).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(world.sessions.under_way_of_all().calls, 1, "it is there");
        drop(resumed);
        // That the client listens for something else is no matter.
        let news = client.listen().await;
        world.until_calls(0).await;
        drop(news);
    }
    assert_eq!(world.sessions.count(), 1);
    until(|| world.sessions.count() == 0).await;
}

#[tokio::test]
async fn a_page_of_another_site_has_no_business_here() {
    let world = World::new();
    let status = async |world: &World, origin: &str| {
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
        world.send("alice", "POST", &[("origin", origin)], list).await.status
    };
    for origin in ["https://evil.example", "null", "https://node.example:4433", "x"] {
        assert_eq!(status(&world, origin).await, 403, "{origin}");
    }
    let world = World::of(&toml::from_str("cors = { origins = [\"https://console.example\"] }").unwrap());
    assert_ne!(status(&world, "https://console.example").await, 403);
    assert_eq!(status(&world, "https://evil.example").await, 403);
    // With a decoy nobody is to see that there is CORS.
    let decoy = "decoy = { imitate = \"nginx\" }\ncors = { origins = [\"https://console.example\"] }";
    assert_eq!(status(&World::of(&toml::from_str(decoy).unwrap()), "https://console.example").await, 403);
}

#[tokio::test]
async fn a_node_that_has_names_answers_to_no_other() {
    let status = async |hosts: &str| {
        let world = World::with(&format!("hosts = {hosts}"));
        world.modern("alice", "tools/list", json!({})).await.status
    };
    for hosts in ["[]", "[\"node.example\"]", "[\"other.example\", \"node.example:4433\"]"] {
        assert_eq!(status(hosts).await, 200, "{hosts}");
    }
    for hosts in ["[\"other.example\"]", "[\"node.example:443\"]"] {
        assert_eq!(status(hosts).await, 403, "{hosts}");
    }
}

#[tokio::test]
async fn without_a_token_there_is_nothing() {
    let world = World::new();
    let answer = world.modern("mallory", "tools/list", json!({})).await;
    assert_eq!(
        (answer.status, &answer.headers["www-authenticate"]),
        (StatusCode::UNAUTHORIZED, &"Bearer error=\"invalid_token\"".parse().unwrap())
    );
    assert_eq!(world.sessions.count(), 0);
}

#[tokio::test]
async fn a_body_has_the_limit_of_all_bodies() {
    let world = World::of(&toml::from_str("max_body_bytes = 4096").unwrap());
    let params = json!({ "name": "node.info", "arguments": { "x": "y".repeat(5000) } });
    assert_eq!(world.modern("alice", "tools/call", params).await.status, 413);
}
