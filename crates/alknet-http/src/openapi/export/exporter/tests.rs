use alknet_call::{Access, OperationContext, OperationSpec};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn spec(name: &str, access: Access) -> OperationSpec {
    OperationSpec::new(name.parse().unwrap()).with_access(access)
}

fn add(registry: &Registry, spec: OperationSpec) {
    registry.register(spec, async |_: OperationContext, input: Value| Ok(input)).unwrap();
}

fn scoped(scope: &str) -> Access {
    Access::Scopes(vec![scope.parse().unwrap()])
}

fn identity(id: &str, scopes: &[&str]) -> Arc<Identity> {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    Arc::new(Identity { id: id.into(), scopes, resources: Default::default() })
}

fn exporter() -> Exporter {
    let registry = Arc::new(Registry::new());
    add(&registry, spec("a/all", Access::Identified));
    add(&registry, spec("b/some", scoped("b:use")));
    add(&registry, spec("c/none", Access::Public).with_visibility(Visibility::Internal));
    Exporter::new(registry, &ApiInfo::default())
}

async fn get(exporter: &Exporter, who: &Arc<Identity>, tags: &[&str]) -> (u16, HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    for tag in tags {
        headers.append(IF_NONE_MATCH, tag.parse().unwrap());
    }
    let (head, body) = exporter.respond(who, &headers).into_parts();
    (head.status.as_u16(), head.headers, axum::body::to_bytes(body, 1_000_000).await.unwrap())
}

async fn paths(exporter: &Exporter, who: &Arc<Identity>) -> Vec<String> {
    let document: Value = serde_json::from_slice(&get(exporter, who, &[]).await.2).unwrap();
    document["paths"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn each_caller_sees_what_it_may_call() {
    let exporter = exporter();
    assert_eq!(paths(&exporter, &identity("alice", &[])).await, ["/a/all"]);
    assert_eq!(paths(&exporter, &identity("bob", &["b:*"])).await, ["/a/all", "/b/some"]);
    // The scopes count, not the id.
    assert_eq!(paths(&exporter, &identity("alice", &["b:use"])).await, ["/a/all", "/b/some"]);
}

#[tokio::test]
async fn the_version_and_the_tag_are_the_markers() {
    let (exporter, alice) = (exporter(), identity("alice", &[]));
    let (status, headers, body) = get(&exporter, &alice, &[]).await;
    let marker = exporter.marker(&alice);
    let text = marker.to_str().unwrap();
    assert_eq!((status, &headers["x-alknet-api"], text.len()), (200, &marker, 32));
    assert_eq!(headers[ETAG], format!("\"{text}\""));
    assert!(headers[CONTENT_TYPE] == "application/json" && headers[VARY] == "authorization");
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["info"]["version"], format!("1.0.0+{}", &text[..12]));
    assert_eq!(super::super::openapi_for(&exporter.registry, Some(&alice), &ApiInfo::default()), document);
}

#[tokio::test]
async fn a_client_that_has_the_description_is_told_so() {
    let (exporter, alice) = (exporter(), identity("alice", &[]));
    let tag = get(&exporter, &alice, &[]).await.1[ETAG].to_str().unwrap().to_owned();
    let weak = format!("W/{tag}");
    let listed = format!("\"other\", {tag}");
    for tags in [&[tag.as_str()][..], &[&weak], &["*"], &[&listed], &["\"other\"", &tag]] {
        let (status, headers, body) = get(&exporter, &alice, tags).await;
        assert_eq!((status, headers[ETAG].to_str().unwrap(), &*body), (304, tag.as_str(), &b""[..]), "{tags:?}");
        assert!(headers.contains_key("x-alknet-api") && !headers.contains_key(CONTENT_TYPE));
    }
    for tags in [&["\"other\""][..], &[tag.trim_matches('"')], &[""]] {
        assert_eq!(get(&exporter, &alice, tags).await.0, 200, "{tags:?}");
    }
    assert_eq!(get(&exporter, &identity("bob", &["b:use"]), &[&tag]).await.0, 200);
}

#[tokio::test]
async fn who_may_call_the_same_has_the_same_marker_and_a_change_is_seen_by_those_it_is_for() {
    let exporter = exporter();
    let (alice, carol, bob) = (identity("alice", &[]), identity("carol", &["x:y"]), identity("bob", &["b:use"]));
    let markers = || [&alice, &carol, &bob].map(|who| exporter.marker(who));
    let first = markers();
    assert!(first[0] == first[1] && first[0] != first[2]);
    add(&exporter.registry, spec("b/more", scoped("b:use")));
    let second = markers();
    assert!(second[0] == first[0] && second[2] != first[2]);
    exporter.registry.remove("b/more").unwrap();
    assert_eq!(markers(), first);
    // One of the same name that is described otherwise is a change.
    exporter.registry.remove("a/all").unwrap();
    add(&exporter.registry, spec("a/all", Access::Identified).with_description("All"));
    let third = markers();
    assert!(third[0] != first[0] && third[2] != first[2] && third[0] == third[1]);
}

#[test]
fn only_what_is_new_is_written() {
    let exporter = exporter();
    let first = exporter.current();
    assert!(Arc::ptr_eq(&first, &exporter.current()));
    add(&exporter.registry, spec("a/more", Access::Public));
    let second = exporter.current();
    assert_eq!((first.operations.len(), second.operations.len()), (2, 3));
    assert!(Arc::ptr_eq(&first.operations[0], &second.operations[0]));
    assert!(Arc::ptr_eq(&first.operations[1], &second.operations[2]));
}

#[test]
fn markers_are_kept_for_a_limited_number_of_callers() {
    let exporter = exporter();
    let who: Vec<_> = (0..MAX_MARKERS + 10).map(|n| identity(&n.to_string(), &[])).collect();
    let expected = exporter.marker(&who[0]);
    assert!(who.iter().all(|who| exporter.marker(who) == expected));
    assert!(exporter.current().markers.load().len() <= MAX_MARKERS);
}

#[test]
fn callers_on_many_threads_see_the_last_change() {
    let exporter = exporter();
    let bob = identity("bob", &["b:use"]);
    std::thread::scope(|scope| {
        for reader in 0..4 {
            let (exporter, bob) = (&exporter, &bob);
            scope.spawn(move || {
                for n in 0..50 {
                    add(&exporter.registry, spec(&format!("r{reader}/n{n}"), Access::Public));
                    exporter.marker(bob);
                }
            });
        }
    });
    assert_eq!(exporter.current().operations.len(), 202);
    let fresh = Exporter::new(exporter.registry.clone(), &ApiInfo::default());
    assert_eq!(fresh.marker(&bob), exporter.marker(&bob));
}

proptest! {
    /// The marker is that of the set, however it came about.
    #[test]
    fn a_marker_depends_on_nothing_but_the_set(changes in prop::collection::vec((0..6usize, any::<bool>()), 0..20)) {
        let registry = Arc::new(Registry::new());
        let exporter = Exporter::new(registry.clone(), &ApiInfo::default());
        let alice = identity("alice", &[]);
        let mut markers: HashMap<Vec<usize>, HeaderValue> = HashMap::new();
        for (which, there) in changes {
            let name = format!("s/op{which}");
            registry.remove(&name);
            if there {
                add(&registry, spec(&name, Access::Public));
            }
            let set: Vec<_> = (0..6).filter(|which| registry.spec(&format!("s/op{which}")).is_some()).collect();
            let marker = exporter.marker(&alice);
            prop_assert_eq!(markers.entry(set).or_insert_with(|| marker.clone()), &marker);
        }
        let different: std::collections::HashSet<_> = markers.values().collect();
        prop_assert_eq!(different.len(), markers.len());
    }
}
