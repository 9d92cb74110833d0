//! Which tools there are.

use super::*;

#[tokio::test]
async fn both_generations_see_the_same_tools() {
    let world = World::new();
    let discovered = world.ask("bob", "server/discover", json!({})).await;
    let versions = discovered["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!(MODERN)) && versions.contains(&json!("2025-11-25")), "{discovered}");
    let modern = world.ask("bob", "tools/list", json!({})).await;
    let legacy = world.open("bob").await.ask(1, "tools/list", json!({})).await.message().await.unwrap();
    let all = ["a.tty.list", "demo.count", "demo.endless", "demo.quiet", "demo.scoped", "node.info"];
    assert_eq!((names(&modern), names(&legacy)), (all.to_vec(), all.to_vec()));
    assert_eq!(modern["result"]["tools"], legacy["result"]["tools"]);
    assert_eq!(names(&world.ask("alice", "tools/list", json!({})).await), ["a.tty.list", "node.info"]);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let world = World::with("page_size = 4");
    let first = world.ask("bob", "tools/list", json!({})).await;
    let cursor = first["result"]["nextCursor"].as_str().unwrap();
    let second = world.ask("bob", "tools/list", json!({ "cursor": cursor })).await;
    assert_eq!((names(&first).len(), names(&second)), (4, vec!["demo.scoped", "node.info"]));
    assert!(second["result"].get("nextCursor").is_none());
    let error = world.ask("bob", "tools/list", json!({ "cursor": "no/cursor" })).await;
    assert_eq!(
        (&error["error"]["code"], &error["error"]["message"]),
        (&json!(-32602), &json!("\"no/cursor\" is no cursor of this node's"))
    );
}

#[tokio::test]
async fn a_client_is_told_when_its_tools_change_and_only_then() {
    let world = World::new();
    let client = world.open("alice").await;
    let mut legacy = client.listen().await;
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let mut modern = world.modern("alice", "subscriptions/listen", filter).await;
    assert_eq!(modern.message().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
    // What alice does not see is no news; what she sees comes after it.
    let hidden =
        OperationSpec::new("demo/more".parse().unwrap()).with_access(Access::Scopes(vec!["demo:use".parse().unwrap()]));
    world.registry.register(hidden, async |_: OperationContext, input: Value| Ok(input)).unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    world.add("demo/for-all");
    for answer in [&mut legacy, &mut modern] {
        assert_eq!(answer.message().await.unwrap()["method"], "notifications/tools/list_changed");
    }
    world.registry.remove("demo/for-all");
    for answer in [&mut legacy, &mut modern] {
        assert_eq!(answer.message().await.unwrap()["method"], "notifications/tools/list_changed");
    }
}

#[tokio::test]
async fn other_scopes_are_other_tools() {
    let world = World::new();
    let client = world.open("bob").await;
    let mut news = client.listen().await;
    demote_bob(&world.identities);
    assert_eq!(news.message().await.unwrap()["method"], "notifications/tools/list_changed");
    let list = client.ask(1, "tools/list", json!({})).await.message().await.unwrap();
    assert_eq!(names(&list), ["a.tty.list", "node.info"]);
}
