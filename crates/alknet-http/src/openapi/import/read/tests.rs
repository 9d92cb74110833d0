use std::collections::BTreeSet;
use std::path::Path;

use alknet_call::{OperationName, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DescriptionError, Source, document, read};
use crate::openapi::import::model::{
    AnswerKind, BodyEncoding, HttpOperation, PartEncoding, Place, SecurityScheme, Service, Style,
};

fn source() -> Source {
    Source::Url("https://example.com/openapi.json".parse().unwrap())
}

fn all(text: &str) -> Service {
    read(text, &source(), &|_| true).unwrap()
}

/// A description of OpenAPI 3.1 with these paths, and components.
fn paths(paths: &str) -> Service {
    all(&format!("openapi: 3.1.0\ninfo: {{title: T, version: 1.0}}\n{paths}"))
}

fn one(text: &str) -> HttpOperation {
    let mut service = paths(text);
    assert_eq!(service.left_out, []);
    assert_eq!(service.operations.len(), 1);
    service.operations.remove(0)
}

fn input(operation: &HttpOperation) -> &Value {
    operation.input.as_ref().unwrap().as_json()
}

fn names(service: &Service) -> Vec<&str> {
    service.operations.iter().map(|operation| operation.name.as_str()).collect()
}

#[test]
fn only_openapi_3_is_read() {
    let error = |text: &str| read(text, &source(), &|_| true).unwrap_err();
    assert_eq!(error("swagger: '2.0'"), DescriptionError::Swagger("2.0".to_owned()));
    assert_eq!(error("swagger: 2.0"), DescriptionError::Swagger("2.0".to_owned()));
    assert!(error("swagger: '2.0'").to_string().contains("convert it to OpenAPI 3"));
    assert_eq!(error("{}"), DescriptionError::NotOpenApi);
    assert_eq!(error("[1]"), DescriptionError::NotOpenApi);
    assert_eq!(error("openapi: 4.0.0"), DescriptionError::Version("4.0.0".to_owned()));
    for version in ["3.0.3", "'3.0'", "3.0", "3.1.0", "3.1", "3.2.0"] {
        assert!(read(&format!("openapi: {version}"), &source(), &|_| true).is_ok(), "{version}");
    }
}

#[test]
fn a_description_says_what_the_service_is() {
    let service = paths("servers: [{url: /v1}]\ncomponents: {securitySchemes: {k: {type: http, scheme: bearer}}}");
    assert_eq!((&*service.title, &*service.version), ("T", "1.0"));
    assert_eq!(service.servers[0].as_str(), "https://example.com/v1");
    assert_eq!(service.schemes["k"], SecurityScheme::Bearer);
}

#[test]
fn parameters_are_merged_and_have_keys_of_their_own() {
    let operation = one("
paths:
  /pets/{id}/{more}:
    parameters:
      - {name: id, in: path, schema: {type: integer}, description: of the path}
      - {name: limit, in: query, schema: {type: integer}}
    get:
      parameters:
        - $ref: '#/components/parameters/Limit'
        - {name: id, in: query, schema: {type: string}}
        - {name: ID, in: header, schema: {type: string}}
        - {name: body, in: cookie, schema: {type: string}}
        - {name: Accept, in: header, schema: {type: string}}
        - {name: X-Key, in: header, required: true, schema: {type: string}}
        - {name: filter, in: query, style: deepObject, explode: true, schema: {type: object}, deprecated: true}
        - {name: tags, in: query, style: pipeDelimited, schema: {type: array}, allowReserved: true}
        - {name: json, in: query, content: {application/json: {schema: {type: object}}}}
        - {name: gone, in: path, required: true}
      security: [{key: []}]
components:
  parameters: {Limit: {name: limit, in: query, required: true, schema: {type: integer, maximum: 9}}}
  securitySchemes: {key: {type: apiKey, in: header, name: x-key}}
");
    let described = |p: &super::model::Parameter| (p.key.clone(), p.place, p.style, p.explode, p.required);
    let parameters: BTreeSet<_> = operation.parameters.iter().map(|p| format!("{:?}", described(p))).collect();
    let expected = [
        ("limit", Place::Query, Style::Form, true, true),
        ("id-query", Place::Query, Style::Form, true, false),
        ("ID", Place::Header, Style::Simple, false, false),
        ("body-cookie", Place::Cookie, Style::Form, true, false),
        ("filter", Place::Query, Style::DeepObject, true, false),
        ("tags", Place::Query, Style::PipeDelimited, false, false),
        ("json", Place::Query, Style::Json, false, false),
        ("id", Place::Path, Style::Simple, false, true),
        ("more", Place::Path, Style::Simple, false, true),
    ];
    assert_eq!(parameters, expected.iter().map(|p| format!("{p:?}")).collect());
    assert!(operation.parameters.iter().all(|p| p.allow_reserved == (p.name == "tags")));
    let input = input(&operation);
    assert_eq!(input["required"], json!(["limit", "id", "more"]));
    assert_eq!(input["additionalProperties"], false);
    assert_eq!(input["properties"]["limit"], json!({ "type": "integer", "maximum": 9 }));
    assert_eq!(input["properties"]["id"], json!({ "type": "integer", "description": "of the path" }));
    assert_eq!(input["properties"]["filter"], json!({ "type": "object", "deprecated": true }));
    let remarks = [
        "the parameter \"X-Key\" is left out: it is a credential, which comes from the vault",
        "the parameter \"gone\" is left out: the path has no place for it",
    ];
    assert_eq!(operation.remarks, remarks);
}

#[test]
fn a_query_in_a_path_is_a_parameter_with_one_value() {
    let operation = one("paths: {'/a?beta=true#x': {get: {}}}");
    assert_eq!(operation.path, "/a");
    assert_eq!(input(&operation)["properties"], json!({ "beta": { "const": "true" } }));
    assert_eq!(input(&operation)["required"], json!(["beta"]));
}

#[test]
fn the_body_is_of_the_type_that_is_written_most_easily() {
    let body = |content: &str| {
        let operation =
            one(&format!("paths: {{/a: {{post: {{requestBody: {{required: true, content: {content}}}}}}}}}"));
        let schema = input(&operation)["properties"]["body"].clone();
        assert_eq!(input(&operation)["required"], json!(["body"]));
        (operation.body.unwrap().encoding, schema)
    };
    let base64 = json!({ "type": "string", "contentEncoding": "base64" });
    let text = json!({ "type": "string" });
    for (content, encoding, schema) in [
        (
            "{multipart/form-data: {}, application/json: {schema: {type: object}}, application/vnd.x+json: {}}",
            BodyEncoding::Json("application/json".to_owned()),
            json!({ "type": "object" }),
        ),
        (
            "{application/merge-patch+json; charset=utf-8: {}}",
            BodyEncoding::Json("application/merge-patch+json; charset=utf-8".to_owned()),
            json!({}),
        ),
        (
            "{application/vnd.x: {schema: {type: object}}}",
            BodyEncoding::Json("application/vnd.x".to_owned()),
            json!({ "type": "object" }),
        ),
        (
            "{'*/*': {schema: {type: array}}}",
            BodyEncoding::Json("application/json".to_owned()),
            json!({ "type": "array" }),
        ),
        (
            "{'*/*': {schema: {type: string, format: binary}}}",
            BodyEncoding::Binary("application/octet-stream".to_owned()),
            base64.clone(),
        ),
        ("{'*/*': {schema: {type: string}}}", BodyEncoding::Text("text/plain".to_owned()), text.clone()),
        ("{image/png: {}, text/csv: {}, text/plain: {}}", BodyEncoding::Text("text/plain".to_owned()), text.clone()),
        ("{application/xml: {schema: {type: object}}}", BodyEncoding::Text("application/xml".to_owned()), text),
        ("{image/png: {}, application/zip: {}}", BodyEncoding::Binary("application/zip".to_owned()), base64.clone()),
        ("{image/*: {}}", BodyEncoding::Binary("application/octet-stream".to_owned()), base64),
    ] {
        assert_eq!(body(content), (encoding, schema), "{content}");
    }
}

#[test]
fn forms_say_how_their_fields_are_written() {
    let operation = one("
paths:
  /a:
    post:
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema: {type: object, properties: {plain: {}, deep: {}, json: {}}}
            encoding: {deep: {style: deepObject, explode: true}, json: {contentType: application/json}}
");
    let body = operation.body.unwrap();
    let BodyEncoding::Form(fields) = body.encoding else { panic!("{body:?}") };
    let styles: Vec<_> = fields.iter().map(|(name, field)| (name.as_str(), field.style, field.explode)).collect();
    assert_eq!(styles, [("deep", Style::DeepObject, true), ("json", Style::Json, false)]);
    assert!(!body.required);

    let operation = one("
paths:
  /a:
    post:
      requestBody:
        content:
          multipart/form-data:
            schema: {$ref: '#/components/schemas/Upload'}
            encoding: {meta: {contentType: application/json}, image: {contentType: 'image/*, image/png'}}
components:
  schemas:
    Upload:
      properties:
        image: {type: string, format: binary}
        more: {type: array, items: {contentMediaType: application/octet-stream}}
        meta: {type: object}
        name: {type: string}
");
    let BodyEncoding::Multipart(parts) = operation.body.clone().unwrap().encoding else { panic!("{operation:?}") };
    let part = |content_type: Option<&str>, file| PartEncoding { content_type: content_type.map(str::to_owned), file };
    assert_eq!(parts["image"], part(Some("image/png"), true));
    assert_eq!(parts["more"], part(None, true));
    assert_eq!(parts["meta"], part(Some("application/json"), false));
    assert_eq!(parts.len(), 3);
    let schema = operation.input.unwrap();
    schema.validate(&json!({ "body": { "image": { "data": "aGk=" }, "more": ["aGk="] } })).unwrap();
}

#[test]
fn an_answer_with_events_is_a_subscription() {
    let answer = |responses: &str, body: &str| {
        let text =
            format!("paths: {{/chat: {{post: {{operationId: chat, responses: {responses}, requestBody: {body}}}}}}}");
        let service = paths(&text);
        assert_eq!(service.left_out, []);
        service.operations
    };
    let json_body = "{content: {application/json: {schema: {required: [stream], properties: {stream: {type: [boolean, 'null']}, n: {}}}}}}";
    let both =
        "{200: {content: {application/json: {schema: {type: object}}, text/event-stream: {schema: {type: integer}}}}}";
    let operations = answer(both, json_body);
    let summary =
        |o: &HttpOperation| (o.name.clone(), o.answer.kind, o.answer.accept.join(","), o.answer.switch.clone());
    let (once, events) = (summary(&operations[0]), summary(&operations[1]));
    let switch = Some("stream".to_owned());
    assert_eq!(once, ("chat".to_owned(), AnswerKind::One, "application/json".to_owned(), switch.clone()));
    assert_eq!(events, ("chat-stream".to_owned(), AnswerKind::Events, "text/event-stream".to_owned(), switch));
    let outputs: Vec<_> = operations.iter().map(|o| o.output.as_ref().unwrap().as_json()["type"].clone()).collect();
    assert_eq!(outputs, ["object", "integer"]);
    for operation in &operations {
        assert_eq!(input(operation)["properties"]["body"], json!({ "properties": { "n": {} } }));
    }

    // Without a switch the answer is as it is asked for.
    let operations = answer(both, "{content: {application/json: {schema: {properties: {stream: {type: string}}}}}}");
    assert_eq!(operations.len(), 2);
    assert_eq!(operations[1].answer.switch, None);

    let operations = answer("{200: {content: {text/event-stream: {schema: {type: string}}}}}", json_body);
    assert_eq!((operations.len(), operations[0].name.as_str()), (1, "chat"));
    assert_eq!((operations[0].answer.kind, operations[0].output.as_ref()), (AnswerKind::Events, None));
    assert_eq!(operations[0].answer.switch.as_deref(), Some("stream"));
}

#[test]
fn outputs_and_errors_follow_from_the_responses() {
    let operation = one("
paths:
  /a:
    get:
      responses:
        200: {content: {text/csv: {}, application/json: {schema: {type: object}}}}
        201: {content: {application/json: {schema: {type: object}}}}
        204: {description: nothing}
        default: {content: {application/json: {schema: {type: integer}}}}
        4XX: {description: range}
        400: {description: common}
        '404': {$ref: '#/components/responses/Gone'}
        500: {description: broken}
components: {responses: {Gone: {description: not there, content: {application/json: {schema: {type: string}}}}}}
");
    let output = operation.output.unwrap();
    assert_eq!(*output.as_json(), json!({ "anyOf": [{ "type": "object" }, { "type": "null" }] }));
    assert_eq!(operation.answer.accept, ["application/json", "text/csv"]);
    let errors: Vec<_> = operation.errors.iter().map(|error| (&*error.code, error.description.as_str())).collect();
    assert_eq!(errors, [("HTTP_404", "not there"), ("HTTP_500", "broken")]);
    let details = operation.errors[0].details.as_ref().unwrap();
    details.validate(&json!({ "status": 404, "body": "x" })).unwrap();
    assert!(details.validate(&json!({ "status": 404, "body": 1 })).is_err());
    assert_eq!(operation.errors[1].details, None);
}

#[test]
fn what_cannot_be_called_is_left_out_with_the_reason() {
    let service = paths(
        "
paths:
  x-note: {get: {}}
  /none: {$ref: '#/components/pathItems/None'}
  /{a: {get: {}}
  /trace: {trace: {}, head: {}, options: {}}
  /other: {query: {}, additionalOperations: {LINK: {}}}
  /null: {get: null}
  /parameter: {get: {parameters: [{$ref: '#/nothing'}]}}
  /place: {get: {parameters: [{name: q, in: querystring, required: true}]}}
  /related: {post: {requestBody: {required: true, content: {multipart/related: {}}}}}
  /optional: {post: {requestBody: {content: {multipart/related: {}}}}}
  /body: {post: {requestBody: {$ref: '#/nothing'}}}
webhooks: {hook: {post: {}}}
",
    );
    assert_eq!(names(&service), ["optional/post", "trace/head", "trace/options"]);
    let mut left_out: Vec<_> =
        service.left_out.iter().map(|one| format!("{}: {}", one.operation, one.reason)).collect();
    left_out.sort();
    let nothing = "\"#/nothing\" cannot be followed: nothing is there";
    let expected = [
        "/none: \"#/components/pathItems/None\" cannot be followed: nothing is there".to_owned(),
        "GET /null: it is no object".to_owned(),
        format!("GET /parameter: a parameter {nothing}"),
        "GET /place: it needs the parameter \"q\" in \"querystring\", a place that is not known".to_owned(),
        "GET /{a: the braces in its path do not make sense".to_owned(),
        "LINK /other: operations of other methods are not supported".to_owned(),
        format!("POST /body: its body {nothing}"),
        "POST /related: its body is \"multipart/related\", which is not supported".to_owned(),
        "QUERY /other: operations of the method QUERY are not supported".to_owned(),
        "TRACE /trace: operations of the method TRACE are not supported".to_owned(),
    ];
    assert_eq!(left_out, expected);
    assert_eq!(service.operations[0].remarks, ["the body is left out: \"multipart/related\" is not supported"]);
}

#[test]
fn path_items_may_be_elsewhere_and_servers_may_differ() {
    let service = paths(
        "
servers: [{url: https://a.example/v1}]
paths:
  /a: {$ref: '#/components/pathItems/A'}
  b: {servers: [{url: https://path.example}], get: {}, post: {servers: [{url: /own}]}}
components: {pathItems: {A: {summary: S, parameters: [{name: q, in: query}], get: {description: D, deprecated: true}}}}
",
    );
    assert_eq!(names(&service), ["a/get", "b/get", "b/post"]);
    let [a, get, post] = &*service.operations else { panic!("{:?}", names(&service)) };
    assert_eq!((&*a.description, a.parameters.len(), a.servers.len()), ("Deprecated. S\n\nD", 1, 0));
    assert_eq!((&*get.path, get.servers[0].as_str()), ("/b", "https://path.example/"));
    assert_eq!(post.servers[0].as_str(), "https://example.com/own");
}

#[test]
fn security_is_what_the_operation_says() {
    let service = paths(
        "
security: [{k: []}]
paths:
  /a: {get: {}}
  /b: {get: {security: []}}
  /c: {get: {security: [{}, {k: [], unknown: [s]}]}}
components: {securitySchemes: {k: {type: apiKey, in: query, name: key}}}
",
    );
    let count = |n: usize| service.operations[n].security.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!((count(0), count(1), count(2)), (vec![1], vec![], vec![0, 2]));
    assert_eq!(service.schemes["k"], SecurityScheme::ApiKey { name: "key".to_owned(), place: Place::Query });
    assert!(matches!(&service.schemes["unknown"], SecurityScheme::Unsupported(_)));
}

#[test]
fn only_what_is_wanted_is_read_and_under_the_same_name() {
    let text = "openapi: 3.0.0\npaths: {/a: {get: {operationId: x}, post: {operationId: X}}, /b: {get: {}, trace: {}}}";
    let some = read(text, &source(), &|name| name.starts_with("a/")).unwrap();
    assert_eq!(names(&some), ["a/get", "a/post"]);
    assert_eq!(names(&all(text)), ["a/get", "a/post", "b/get"]);
}

#[test]
fn descriptions_may_be_made_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let main = "openapi: 3.0.0\npaths: {/a: {$ref: paths.yaml#/a}}\ncomponents: {schemas: {Name: {type: string}}}";
    write("main.yaml", main);
    write("paths.yaml", "a: {post: {requestBody: {content: {application/json: {schema: {$ref: schemas.json#/Pet}}}}}}");
    write(
        "schemas.json",
        r##"{"Pet": {"properties": {"n": {"$ref": "main.yaml#/components/schemas/Name"}, "p": {"$ref": "#/Pet"}}}}"##,
    );
    let service = read(main, &Source::File(folder.path().join("main.yaml")), &|_| true).unwrap();
    let schema = service.operations[0].input.clone().unwrap();
    assert_eq!(service.operations[0].remarks, [""; 0]);
    schema.validate(&json!({ "body": { "n": "x", "p": { "n": "y" } } })).unwrap();
    assert!(schema.validate(&json!({ "body": { "p": { "n": 1 } } })).is_err());
}

#[test]
fn fields_inherited_many_times_are_taken_out_in_a_moment() {
    let schemas: Vec<_> = (0..40)
        .map(|n| {
            format!(
                "S{n}: {{allOf: [{{$ref: '#/components/schemas/S{0}'}}, {{$ref: '#/components/schemas/S{0}'}}]}}",
                n + 1
            )
        })
        .collect();
    let text = format!(
        "
paths:
  /a:
    post:
      requestBody: {{content: {{application/json: {{schema: {{$ref: '#/components/schemas/S0'}}}}}}}}
      responses: {{200: {{content: {{application/json: {{}}, text/event-stream: {{}}}}}}}}
components: {{schemas: {{{}, S40: {{properties: {{stream: {{type: boolean}}}}}}}}}}
",
        schemas.join(", ")
    );
    let service = paths(&text);
    assert_eq!(names(&service), ["a/post", "a/post-stream"]);
    assert_eq!(service.operations[0].answer.switch.as_deref(), Some("stream"));
}

/// The descriptions beside the repository; none if they are not there, which is said.
fn shared(name: &str) -> Option<String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/openapi"));
    let text = std::fs::read_to_string(folder.join(name));
    if let Err(error) = &text {
        eprintln!("SKIPPED: {} is not there: {error}", folder.join(name).display());
    }
    text.ok()
}

/// Method and path of each operation, counted without the reader.
fn described(text: &str) -> BTreeSet<String> {
    const METHODS: [&str; 8] = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];
    let root = document::parse(text).unwrap();
    let items = root["paths"].as_object().into_iter().flatten();
    let methods = |item: &Value| METHODS.into_iter().filter(|method| item.get(method).is_some()).collect::<Vec<_>>();
    items
        .flat_map(|(path, item)| {
            methods(item).into_iter().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect()
}

#[test]
fn each_operation_of_a_real_description_is_imported_or_listed() {
    for (name, expected) in [
        ("discord.json", 242),
        ("openai.yaml", 288),
        ("v3.0-callback-example.yaml", 1),
        ("v3.0-link-example.yaml", 6),
        ("v3.0-petstore-expanded.json", 4),
        ("v3.0-uspto.yaml", 3),
        ("v3.1-non-oauth-scopes.json", 1),
        ("v3.1-tictactoe.yaml", 3),
    ] {
        let Some(text) = shared(name) else { continue };
        let service = read(&text, &Source::File(name.into()), &|_| true).unwrap();
        let described = described(&text);
        assert_eq!(described.len(), expected, "{name}");
        assert_eq!(service.left_out, [], "{name}");
        // Those that answer once or with events are there twice.
        let both = service.operations.iter().filter(|operation| operation.name.ends_with("-stream")).count();
        assert_eq!(service.operations.len(), expected + both, "{name}");
        for operation in &service.operations {
            let path = format!("{} {}", operation.method, operation.path);
            assert!(described.iter().any(|other| other.split('?').next() == Some(&path)), "{name}: {path}");
            assert!(
                operation.input.is_some() && operation.remarks.is_empty(),
                "{name}: {path} {:?}",
                operation.remarks
            );
        }
    }
}

#[test]
fn openai_s_chat_can_be_asked_once_or_for_events() {
    let Some(text) = shared("openai.yaml") else { return };
    let service =
        read(&text, &Source::File("openai.yaml".into()), &|name| name.starts_with("create-chat-completion")).unwrap();
    assert_eq!(names(&service), ["create-chat-completion", "create-chat-completion-stream"]);
    assert_eq!(service.servers[0].as_str(), "https://api.openai.com/v1");
    for (operation, kind) in service.operations.iter().zip([AnswerKind::One, AnswerKind::Events]) {
        assert_eq!((operation.answer.kind, operation.answer.switch.as_deref()), (kind, Some("stream")));
        assert_eq!(operation.path, "/chat/completions");
        let input = operation.input.as_ref().unwrap();
        let message = json!({ "role": "user", "content": "hello" });
        input.validate(&json!({ "body": { "model": "gpt-5", "messages": [message] } })).unwrap();
        for bad in
            [json!({}), json!({ "body": { "model": "gpt-5" } }), json!({ "body": { "messages": [1], "model": "x" } })]
        {
            assert!(input.validate(&bad).is_err(), "{bad}");
        }
        assert!(!input.as_json().to_string().contains("\"stream\":"), "the switch is no part of the input");
    }
}

/// Parts of descriptions, in any combination.
fn fragment() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "#/components/schemas/A",
        "#/components/schemas/B",
        "#/paths/~1a",
        "x.json",
        "string",
        "object",
        "array",
        "boolean",
        "query",
        "path",
        "header",
        "id",
        "stream",
        "application/json",
        "text/event-stream",
        "multipart/form-data",
        "deepObject",
        "binary",
    ]);
    let keys = prop::sample::select(vec![
        "$ref",
        "type",
        "properties",
        "items",
        "allOf",
        "oneOf",
        "not",
        "required",
        "enum",
        "nullable",
        "readOnly",
        "format",
        "pattern",
        "parameters",
        "requestBody",
        "responses",
        "content",
        "schema",
        "200",
        "404",
        "default",
        "name",
        "in",
        "style",
        "explode",
        "security",
        "servers",
        "url",
        "operationId",
        "application/json",
        "text/event-stream",
        "multipart/form-data",
        "encoding",
        "stream",
        "get",
        "post",
        "A",
        "/a",
        "/{id}",
        "additionalProperties",
        "prefixItems",
        "$recursiveRef",
    ]);
    let leaf = prop_oneof![
        words.prop_map(|word| json!(word)),
        any::<bool>().prop_map(|b| json!(b)),
        Just(json!(1)),
        Just(json!(null)),
        Just(json!({}))
    ];
    leaf.prop_recursive(6, 64, 5, move |inner| {
        let object = prop::collection::vec((keys.clone(), inner.clone()), 0..5);
        prop_oneof![
            3 => object.prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()),
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_description_holds_it_is_read_or_refused(
        get in fragment(), post in fragment(), item in fragment(), a in fragment(), b in fragment(), old in any::<bool>(),
    ) {
        let description = json!({
            "openapi": if old { "3.0.0" } else { "3.1.0" },
            "paths": { "/a": { "get": get, "post": { "requestBody": post, "responses": { "200": item } } }, "/{id}": item },
            "components": { "schemas": { "A": a, "B": b } },
        });
        let service = all(&description.to_string());
        let mut seen = BTreeSet::new();
        for operation in &service.operations {
            prop_assert!(format!("s/{}", operation.name).parse::<OperationName>().is_ok(), "{}", operation.name);
            prop_assert!(seen.insert(&operation.name));
            let input = operation.input.as_ref().map(Schema::as_json);
            let properties = input.and_then(|input| input["properties"].as_object());
            let keys = operation.parameters.iter().map(|p| &*p.key).chain(operation.body.as_ref().map(|_| "body"));
            let keys: BTreeSet<_> = keys.collect();
            prop_assert_eq!(properties.map(|p| p.keys().map(String::as_str).collect()), Some(keys));
        }
    }
}

#[test]
fn a_body_with_thousands_of_definitions_is_read_as_far_as_it_can_be() {
    let schema = |n: usize| {
        let next = format!("#/components/schemas/S{}", (n + 1) % 5000);
        json!({ "allOf": [{ "type": "object", "required": ["a"] }], "properties": { "a": { "$ref": next } } })
    };
    let schemas: serde_json::Map<_, _> = (0..5000).map(|n| (format!("S{n}"), schema(n))).collect();
    let body = json!({ "schema": { "$ref": "#/components/schemas/S0" } });
    let text = json!({
        "openapi": "3.1.0",
        "paths": { "/a": { "post": { "requestBody": { "content": { "application/json": body } } } } },
        "components": { "schemas": schemas },
    });
    let service = all(&text.to_string());
    let input = service.operations[0].input.as_ref().unwrap();
    assert!(input.validate(&json!({ "body": { "a": {} } })).is_err());
    input.validate(&json!({ "body": (0..20).fold(json!(1), |value, _| json!({ "a": value })) })).unwrap();
}

#[test]
fn deep_schemas_are_read_on_a_usual_stack() {
    for (open, close) in
        [("{\"items\":", "}"), ("{\"properties\":{\"a\":", "}}"), ("{\"allOf\":[", "]}"), ("{\"not\":", "}")]
    {
        let levels = 110 / open.matches(['{', '[']).count();
        let schema = format!("{}{{\"type\":\"string\"}}{}", open.repeat(levels), close.repeat(levels));
        let text = format!(
            r#"{{"openapi":"3.1.0","paths":{{"/a":{{"post":{{"requestBody":{{"content":{{"application/json":{{"schema":{schema}}}}}}}}}}}}}}}"#
        );
        let service = all(&text);
        // It is deeper than a schema may be, so not all of it is kept.
        assert!(service.operations[0].input.is_some(), "{:?}", service.operations[0].remarks);
    }
}
