use serde_json::json;

use super::*;
use alknet_call::Access;

fn specs(names: &[&str]) -> Vec<Arc<OperationSpec>> {
    names.iter().map(|name| Arc::new(OperationSpec::new(name.parse().unwrap()))).collect()
}

#[test]
fn a_description_does_not_depend_on_the_order_of_the_operations() {
    let (one, other) = (specs(&["a/b", "c/d", "a/b/c"]), specs(&["c/d", "a/b/c", "a/b"]));
    let info = ApiInfo::new("Test").with_description("First.");
    let document = to_openapi(&one, &info);
    assert_eq!(document, to_openapi(&other, &info));
    assert_eq!(document["tags"], json!([{ "name": "a" }, { "name": "a.b" }, { "name": "c" }]));
    assert!(document["info"]["description"].as_str().unwrap().starts_with("First.\n\nEach operation "));
}

#[test]
fn the_version_is_semver_and_changes_with_the_operations() {
    let version = |names: &[&str]| {
        let document = to_openapi(&specs(names), &ApiInfo::default());
        document["info"]["version"].as_str().unwrap().to_owned()
    };
    let digits = |version: &str| version.strip_prefix("1.0.0+").unwrap().to_owned();
    let one = digits(&version(&["a/b"]));
    assert!(one.len() == 12 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_ne!(one, digits(&version(&["a/b", "a/c"])));
    assert_ne!(one, digits(&version(&["a/c"])));
}

#[test]
fn without_an_identity_only_what_is_public_is_described() {
    let registry = Registry::new();
    for (name, access) in [("a/public", Access::Public), ("a/known", Access::Identified)] {
        let spec = OperationSpec::new(name.parse().unwrap()).with_access(access);
        registry.register(spec, async |_: alknet_call::OperationContext, input: Value| Ok(input)).unwrap();
    }
    let document = openapi_for(&registry, None, &ApiInfo::default());
    assert_eq!(document["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/a/public"]);
}
