//! How a service wants to know who calls.

use std::collections::BTreeMap;

use super::documents::{Documents, Node};
use super::error::Source;
use super::servers;
use crate::openapi::import::model::{Place, SchemeUse, SecurityScheme};

/// The schemes that the description declares.
pub(super) fn schemes(documents: &Documents, source: &Source) -> BTreeMap<String, SecurityScheme> {
    let components = documents.root().get("components");
    let declared = components.into_iter().flat_map(|components| components.fields("securitySchemes"));
    let read = |(name, node): (&str, Node<'_>)| {
        let scheme = match documents.follow(node) {
            Ok(node) => scheme(node, source),
            Err(error) => SecurityScheme::Unsupported(error.to_string()),
        };
        (name.to_owned(), scheme)
    };
    declared.map(read).collect()
}

/// What a call needs: `own` is what its operation says, which stands for what the description says of all.
pub(super) fn alternatives(own: Node<'_>, root: Node<'_>) -> Vec<Vec<SchemeUse>> {
    let owner = if own.get("security").is_some() { own } else { root };
    let uses = |(scheme, scopes): (&str, Node<'_>)| SchemeUse {
        scheme: scheme.to_owned(),
        scopes: scopes.value.as_array().into_iter().flatten().filter_map(|s| s.as_str().map(str::to_owned)).collect(),
    };
    owner.items("security").filter(|one| one.value.is_object()).map(|one| one.entries().map(uses).collect()).collect()
}

fn scheme(node: Node<'_>, source: &Source) -> SecurityScheme {
    let unsupported = |text: String| SecurityScheme::Unsupported(text.chars().take(100).collect());
    let kind = node.text("type").unwrap_or_default();
    match kind.to_ascii_lowercase().as_str() {
        "http" => match node.text("scheme").unwrap_or_default().to_ascii_lowercase().as_str() {
            "bearer" => SecurityScheme::Bearer,
            "basic" => SecurityScheme::Basic,
            scheme => unsupported(format!("http {scheme}")),
        },
        "basic" => SecurityScheme::Basic,
        "apikey" => api_key(node).unwrap_or_else(|| unsupported("apiKey without a name and a place".to_owned())),
        "oauth2" => client_credentials(node, source).unwrap_or(SecurityScheme::Bearer),
        "openidconnect" => SecurityScheme::Bearer,
        _ => unsupported(kind.to_owned()),
    }
}

fn api_key(node: Node<'_>) -> Option<SecurityScheme> {
    let name = node.text("name")?.to_owned();
    let place = match node.text("in")? {
        "header" => Place::Header,
        "query" => Place::Query,
        "cookie" => Place::Cookie,
        _ => return None,
    };
    Some(SecurityScheme::ApiKey { name, place })
}

fn client_credentials(node: Node<'_>, source: &Source) -> Option<SecurityScheme> {
    let flow = node.get("flows")?.get("clientCredentials")?;
    let token_url = servers::resolve(flow.text("tokenUrl")?, source)?;
    Some(SecurityScheme::ClientCredentials { token_url })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(scheme: Value) -> SecurityScheme {
        let root = json!({ "components": { "securitySchemes": { "x": scheme } } });
        let source = Source::Url("https://example.com/openapi.json".parse().unwrap());
        schemes(&Documents::load(root, &source), &source).remove("x").unwrap()
    }

    #[test]
    fn each_type_of_scheme_is_known() {
        let token = |url: &str| SecurityScheme::ClientCredentials { token_url: url.parse().unwrap() };
        let key = |place| SecurityScheme::ApiKey { name: "k".to_owned(), place };
        let unsupported = |text: &str| SecurityScheme::Unsupported(text.to_owned());
        let flow = |flow: &str, url: &str| json!({ "type": "oauth2", "flows": { flow: { "tokenUrl": url } } });
        for (scheme, expected) in [
            (json!({ "type": "http", "scheme": "Bearer" }), SecurityScheme::Bearer),
            (json!({ "type": "http", "scheme": "basic" }), SecurityScheme::Basic),
            (json!({ "type": "http", "scheme": "digest" }), unsupported("http digest")),
            (json!({ "type": "apiKey", "name": "k", "in": "header" }), key(Place::Header)),
            (json!({ "type": "apiKey", "name": "k", "in": "query" }), key(Place::Query)),
            (json!({ "type": "apiKey", "name": "k", "in": "cookie" }), key(Place::Cookie)),
            (json!({ "type": "apiKey", "name": "k" }), unsupported("apiKey without a name and a place")),
            (flow("clientCredentials", "https://id.example/token"), token("https://id.example/token")),
            (flow("clientCredentials", "/token"), token("https://example.com/token")),
            (flow("authorizationCode", "https://id.example/token"), SecurityScheme::Bearer),
            (json!({ "type": "oauth2" }), SecurityScheme::Bearer),
            (json!({ "type": "openIdConnect" }), SecurityScheme::Bearer),
            (json!({ "type": "mutualTLS" }), unsupported("mutualTLS")),
            (json!({ "$ref": "#/nothing" }), unsupported("\"#/nothing\" cannot be followed: nothing is there")),
            (json!(1), unsupported("")),
        ] {
            assert_eq!(read(scheme.clone()), expected, "{scheme}");
        }
    }

    #[test]
    fn an_operation_s_own_needs_stand_for_those_of_all() {
        fn node(value: &Value) -> Node<'_> {
            Node { document: 0, value }
        }
        let root = json!({ "security": [{ "key": [] }] });
        let needs = |own: Value| {
            let uses = |use_: SchemeUse| format!("{}{:?}", use_.scheme, use_.scopes);
            let each = |set: Vec<SchemeUse>| set.into_iter().map(uses).collect::<Vec<_>>().join("&");
            alternatives(node(&own), node(&root)).into_iter().map(each).collect::<Vec<_>>()
        };
        assert_eq!(needs(json!({})), ["key[]"]);
        assert!(needs(json!({ "security": [] })).is_empty());
        assert_eq!(needs(json!({ "security": [{}, { "a": ["x"], "b": [] }] })), ["", r#"a["x"]&b[]"#]);
    }
}
