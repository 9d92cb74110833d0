//! Whose a session is, and when it ends.

use super::*;

fn nobody(world: &World) {
    world.identities.set(Vec::new()).unwrap();
}

#[tokio::test]
async fn the_session_of_another_bearer_is_as_unknown_as_any() {
    let world = World::new();
    let client = world.open("bob").await;
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    for (method, body) in [("POST", &*list), ("GET", ""), ("DELETE", "")] {
        let answer = async |id: &str| {
            let headers = [(SESSION_ID, id), ("mcp-protocol-version", "2025-11-25")];
            let answer = world.send("alice", method, &headers, body.to_owned()).await;
            (answer.status, answer.text().await)
        };
        let unknown = answer("00000000-0000-0000-0000-000000000000").await;
        assert_eq!(answer(&client.id).await, unknown, "{method}");
        assert!(unknown.0 == 404 || method == "DELETE", "{unknown:?}");
    }
    assert!(client.ask(2, "ping", json!({})).await.message().await.unwrap().get("result").is_some());
    assert_eq!(client.request("DELETE", String::new()).await.status, 204);
    assert_eq!(client.ask(3, "ping", json!({})).await.status, 404);
    assert_eq!(world.sessions.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_taken_back_takes_its_sessions_and_calls_with_it() {
    let world = World::new();
    let client = world.open("bob").await;
    let mut news = client.listen().await;
    let mut legacy = client.call(1, "demo.quiet", json!({})).await;
    assert!(legacy.message().await.unwrap()["params"]["message"].as_str().unwrap().contains("first"));
    let meta = json!({ "name": "demo.quiet", "arguments": {}, "_meta": { "progressToken": 1 } });
    let mut modern = world.modern("bob", "tools/call", meta).await;
    modern.message().await.unwrap();
    world.until_calls(2).await;
    let start = tokio::time::Instant::now();
    nobody(&world);
    for answer in [&mut legacy, &mut modern] {
        let last = answer.message().await.unwrap();
        assert_eq!(last["result"]["_meta"]["alknet/error"]["code"], "UNAUTHENTICATED", "{last}");
    }
    assert_eq!(news.message().await, None);
    until(|| world.sessions.count() == 0 && world.sessions.under_way_of_all().calls == 0).await;
    assert!(start.elapsed() < Duration::from_secs(1), "by the clock of the test");
}

#[tokio::test]
async fn a_right_that_is_taken_back_ends_the_calls_that_need_it_and_no_session() {
    let world = World::new();
    let client = world.open("bob").await;
    let mut answer = client.call(1, "demo.quiet", json!({})).await;
    answer.message().await.unwrap();
    demote_bob(&world.identities);
    assert_eq!(answer.message().await.unwrap()["result"]["_meta"]["alknet/error"]["code"], "FORBIDDEN");
    assert!(client.call(2, "node.info", json!({})).await.message().await.unwrap()["result"]["isError"] == false);
}

#[tokio::test]
async fn there_is_room_for_so_many() {
    let world = World::with("max_sessions = 3\nmax_sessions_per_peer = 2");
    let (_a, b) = (world.open("bob").await, world.open("bob").await);
    let refused = world.initialize("bob").await;
    assert_eq!(refused.status, 429);
    assert!(refused.text().await.contains("you have 2 sessions open, and may have no more: end one with DELETE"));
    let _c = world.open("alice").await;
    let refused = world.initialize("alice").await;
    assert_eq!(refused.status, 429);
    assert!(refused.text().await.contains("this node has room for 3 sessions"));
    b.request("DELETE", String::new()).await;
    world.open("alice").await;
    assert_eq!(world.sessions.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_its_client_is_away_for_too_long_and_not_before() {
    let world = World::with("session_idle_seconds = 60");
    let client = world.open("bob").await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    client.ask(1, "ping", json!({})).await.message().await.unwrap();
    let news = client.listen().await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.sessions.count(), 1, "a client that listens is there");
    drop(news);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(world.sessions.count(), 1);
    until(|| world.sessions.count() == 0).await;
    assert_eq!(client.ask(2, "ping", json!({})).await.status, 404);
}

#[tokio::test]
async fn sessions_end_with_what_keeps_them() {
    let world = World::new();
    let client = world.open("bob").await;
    let mut news = client.listen().await;
    client.call(1, "demo.quiet", json!({})).await.message().await.unwrap();
    let (sessions, World { _kept, .. }) = (world.sessions.clone(), world);
    drop(_kept);
    assert_eq!(news.message().await, None);
    until(|| sessions.count() == 0 && sessions.under_way_of_all().calls == 0).await;
}
