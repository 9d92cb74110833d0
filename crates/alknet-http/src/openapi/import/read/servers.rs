//! Where a service is.

use url::Url;

use super::documents::Node;
use super::error::Source;

/// The servers that a node of the description lists, with the defaults of their variables. Those that are no addresses of
/// HTTP are left away.
pub(super) fn read(node: Node<'_>, source: &Source) -> Vec<Url> {
    let servers = node.items("servers").filter_map(|server| {
        let url = with_defaults(server.text("url")?, server);
        // A variable without a default is nobody's host.
        if url.contains(['{', '}']) { None } else { resolve(url.trim(), source) }
    });
    servers.collect()
}

/// The servers of the whole service: without any the one that the description is from (OpenAPI 3.1.1 §4.8.1).
pub(super) fn of_service(root: Node<'_>, source: &Source) -> Vec<Url> {
    let servers = read(root, source);
    match servers.is_empty() {
        true => resolve("/", source).into_iter().collect(),
        false => servers,
    }
}

/// An address that may be relative to where the description is from.
pub(super) fn resolve(url: &str, source: &Source) -> Option<Url> {
    let parsed = match source {
        Source::Url(base) => base.join(url),
        // A description in a file names no scheme to go by.
        Source::File(_) if url.starts_with("//") => Url::parse(&format!("https:{url}")),
        Source::File(_) => Url::parse(url),
    };
    let mut url = parsed.ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())?;
    url.set_query(None);
    url.set_fragment(None);
    // Credentials come from the vault and from nowhere else.
    url.set_username("").and_then(|()| url.set_password(None)).ok()?;
    Some(url)
}

/// Puts the defaults of the variables in their places. A variable without one has the first of its values.
fn with_defaults(url: &str, server: Node<'_>) -> String {
    let mut text = url.to_owned();
    for (name, variable) in server.fields("variables") {
        let value = variable.value.get("default").or_else(|| variable.value.get("enum")?.get(0));
        if let Some(value) = value {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text = text.replace(&format!("{{{name}}}"), &value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn urls(servers: Value, source: &Source) -> Vec<String> {
        let value = json!({ "servers": servers });
        let servers = of_service(Node { document: 0, value: &value }, source);
        servers.iter().map(Url::to_string).collect()
    }

    #[test]
    fn variables_have_their_defaults() {
        let servers = json!([{
            "url": "{scheme}://{region}.example.com:{port}/{base}",
            "variables": {
                "scheme": { "enum": ["https", "http"] },
                "region": { "default": "eu", "enum": ["us", "eu"] },
                "port": { "default": 8443 },
                "base": { "default": "v1" },
            },
        }]);
        let file = Source::File("api.yaml".into());
        assert_eq!(urls(servers, &file), ["https://eu.example.com:8443/v1"]);
    }

    #[test]
    fn relative_addresses_count_from_where_the_description_is_from() {
        let url = Source::Url("https://example.com/docs/openapi.json?v=2".parse().unwrap());
        let file = Source::File("api.yaml".into());
        let servers = json!([{ "url": "/v1" }, { "url": "v2/" }, { "url": "//other.example/x" }, { "url": "" }]);
        let expected = [
            "https://example.com/v1",
            "https://example.com/docs/v2/",
            "https://other.example/x",
            "https://example.com/docs/openapi.json",
        ];
        assert_eq!(urls(servers.clone(), &url), expected);
        assert_eq!(urls(servers, &file), ["https://other.example/x"]);
        assert_eq!(urls(Value::Null, &url), ["https://example.com/"]);
        assert!(urls(Value::Null, &file).is_empty());
    }

    #[test]
    fn only_addresses_of_http_count_and_no_credential_in_them() {
        let servers = json!([
            { "url": "ftp://example.com" }, { "url": "https://{unknown}.example.com" }, { "url": "https://" }, {}, 1,
            { "url": "https://user:password@example.com/a?b#c" },
        ]);
        assert_eq!(urls(servers, &Source::File("api.yaml".into())), ["https://example.com/a"]);
    }
}
