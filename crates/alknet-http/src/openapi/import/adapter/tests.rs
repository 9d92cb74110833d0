use super::*;
use crate::openapi::import::model::{Place, Style};
use crate::openapi::import::run::testkit::{operation, service};
use crate::outbound::testkit::{Mock, client, respond};
use alknet_call::{CallerInfo, ErrorCode, Registry, Visibility};
use http::Method;
use serde_json::json;
use std::time::Duration;

fn nowhere() -> Url {
    "https://pets.example/v1".parse().unwrap()
}

fn names(import: &FromOpenApi) -> Vec<&str> {
    import.operations().map(|spec| spec.name.as_str()).collect()
}

fn import(operations: Vec<HttpOperation>, options: ImportOptions) -> FromOpenApi {
    FromOpenApi::of("pets", service(&nowhere(), operations), options, client()).unwrap()
}

fn get(name: &str) -> HttpOperation {
    operation(name, Method::GET, "/")
}

#[test]
fn operations_are_chosen_by_patterns_with_the_name_of_the_source_or_without() {
    let choose = |patterns: &[&str]| {
        let operations = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
        let options = ImportOptions { operations, ..ImportOptions::default() };
        let import = import(vec![get("cats/list"), get("cats/get"), get("health")], options);
        let unmatched: Vec<_> = import.unmatched().iter().map(ToString::to_string).collect();
        (names(&import).join(" "), unmatched.join(" "))
    };
    let expect = |names: &str, unmatched: &str| (names.to_owned(), unmatched.to_owned());
    assert_eq!(choose(&["cats/*"]), expect("pets/cats/list pets/cats/get", ""));
    assert_eq!(choose(&["pets/health", "*/get", "dogs/*"]), expect("pets/cats/get pets/health", "dogs/*"));
    assert_eq!(choose(&["**"]).0, "pets/cats/list pets/cats/get pets/health");
    assert_eq!(choose(&[]).0, "");
    assert_eq!(import(vec![get("a")], ImportOptions::default()).operations().count(), 1);
}

#[test]
fn what_cannot_be_called_is_listed_with_the_reason() {
    let operations = vec![
        operation("a", Method::GET, "/{id}"),
        get("b").with_schemes(&["mtls"]),
        get("c").with_schemes(&["unknown"]),
        HttpOperation { name: "Bad".into(), ..get("d") },
        HttpOperation {
            remarks: vec!["the output's schema is left out".into()],
            ..get("e").with_schemes(&["mtls"]).with_schemes(&[])
        },
    ];
    let mut described = service(&nowhere(), operations);
    described.left_out.push(LeftOut { operation: "TRACE /".into(), reason: "it traces".into() });
    let import = FromOpenApi::of("pets", described, ImportOptions::default(), client()).unwrap();
    assert_eq!((names(&import), import.title(), import.version()), (vec!["pets/e"], "Pets", "1.2"));
    let left_out: Vec<_> = import.left_out().map(|(operation, reason)| format!("{operation}: {reason}")).collect();
    assert_eq!(
        left_out,
        [
            "TRACE /: it traces",
            "GET /{id}: the path has {id}, which is no parameter",
            "GET /: the scheme \"mtls\" is of the kind \"mutualTLS\", which is not supported",
            "GET /: the scheme \"unknown\" is not described",
        ]
    );
    let remarks: Vec<_> = import.remarks().map(|(name, remark)| format!("{name}: {remark}")).collect();
    assert_eq!(remarks, ["pets/e: the output's schema is left out"]);
}

#[test]
fn a_source_has_a_name_and_a_service_a_place() {
    let of = |source: &str, servers: Vec<Url>| {
        let service = Service { servers, ..service(&nowhere(), vec![get("a")]) };
        FromOpenApi::of(source, service, ImportOptions::default(), client())
    };
    let error = of("My Pets", vec![nowhere()]).err().unwrap();
    assert!(error.to_string().contains("the name of the source makes no names of operations"), "{error}");
    let import = of("pets", vec![]).ok().unwrap();
    assert_eq!(
        import.left_out().collect::<Vec<_>>(),
        [("GET /", "it names no server, and none was given: server = \"https://…\"")]
    );
}

#[tokio::test]
async fn an_operation_is_described_and_run_where_it_is_exported() {
    let mock = Mock::serve(|_| respond(200, "application/json", r#"{"name":"tom"}"#)).await;
    let described = || {
        let mut operation = operation("get", Method::GET, "/{id}").with_parameter("id", Place::Path, Style::Simple);
        operation.description = "Gets a pet".into();
        operation.input = Some(alknet_call::Schema::new(json!({ "type": "object", "required": ["id"] })).unwrap());
        operation.errors = vec![alknet_call::ErrorSpec::new("HTTP_404", "No such pet")];
        operation.servers = vec![nowhere()];
        service(&nowhere(), vec![operation, get("watch").with_events(None)])
    };
    let import = |exported| {
        // The server of the options stands in for all others.
        let server = Some(mock.url.join("v2/").unwrap());
        let options = ImportOptions { exported, server, access: Access::Public, ..ImportOptions::default() };
        FromOpenApi::of("pets", described(), options, client()).unwrap()
    };
    let context = || OperationContext::new("1", None, CallerInfo::in_process(), Duration::from_secs(30));
    let registry = Registry::new();

    let overlay = registry.install(import(false).import().await.unwrap()).unwrap();
    assert_eq!(registry.spec("pets/get").unwrap().visibility, Visibility::Internal);
    assert_eq!(registry.invoke("pets/get", json!({ "id": 7 }), context()).await.unwrap_err().code, ErrorCode::NotFound);
    drop(overlay);

    let _overlay = registry.install(import(true).import().await.unwrap()).unwrap();
    assert_eq!(registry.provenance("pets/get"), Some(Provenance::FromOpenApi));
    let spec = registry.spec("pets/get").unwrap();
    assert_eq!((spec.description.as_str(), &*spec.errors[0].code), ("Gets a pet", "HTTP_404"));
    assert_eq!(registry.spec("pets/watch").unwrap().kind, OperationKind::Subscription);
    assert_eq!(registry.invoke("pets/get", json!({ "id": 7 }), context()).await.unwrap(), json!({ "name": "tom" }));
    assert_eq!(registry.invoke("pets/get", json!({}), context()).await.unwrap_err().code, ErrorCode::InvalidInput);
    assert_eq!(mock.request().uri, "/v2/7");
}
