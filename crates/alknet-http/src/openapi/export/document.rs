//! A description as a whole.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::operation::{Described, raw};
use super::{ApiInfo, problem};

/// How operations are put into words of HTTP: a change of that which breaks clients is another first number.
const MAPPING: &str = "1.0.0";

/// How much of a digest stands in the version, and how much is the marker, in hexadecimal digits.
const IN_VERSION: usize = 12;
const IN_MARKER: usize = 32;

/// What is the same in the description for everybody.
pub(super) struct Frame {
    title: String,
    description: String,
    responses: Box<RawValue>,
    headers: Box<RawValue>,
    problem: Box<RawValue>,
    security_schemes: Box<RawValue>,
    /// The beginning of every digest.
    digest: Context,
}

impl Frame {
    pub(super) fn new(info: &ApiInfo) -> Self {
        let mut frame = Self {
            title: info.title.clone(),
            description: format!("{}\n\n{CONVENTIONS}", info.description).trim_start().to_owned(),
            responses: raw(&problem::responses()),
            headers: raw(&headers()),
            problem: raw(&problem::problem()),
            security_schemes: raw(&json!({ "bearerAuth": { "type": "http", "scheme": "bearer" } })),
            digest: Context::new(&SHA256),
        };
        let empty = raw(&frame.document(&[], MAPPING));
        frame.digest.update(empty.get().as_bytes());
        frame
    }

    /// What tells a description of these operations from every other one. It is made of their own digests, so that nothing
    /// is written anew to find out whether anything has changed.
    pub(super) fn marker(&self, operations: &[&Described]) -> String {
        let mut digest = self.digest.clone();
        operations.iter().for_each(|operation| digest.update(&operation.digest));
        let hex = |byte: &u8| format!("{byte:02x}");
        let mut hex: String = digest.finish().as_ref().iter().map(hex).collect();
        hex.truncate(IN_MARKER);
        hex
    }

    /// The description of operations, whose marker is `marker`.
    pub(super) fn with<'a>(&'a self, operations: &'a [&'a Described], marker: &str) -> impl Serialize + 'a {
        let version = format!("{MAPPING}+{}", marker.get(..IN_VERSION).unwrap_or(marker));
        self.document(operations, &version)
    }

    fn document<'a>(&'a self, operations: &[&'a Described], version: &str) -> Document<'a> {
        let info = Info { title: &self.title, version: version.to_owned(), description: &self.description };
        let tags: BTreeSet<_> = operations.iter().map(|operation| operation.tag.as_str()).collect();
        let own = operations.iter().flat_map(|operation| &operation.schemas);
        let own = own.map(|(name, schema)| (name.as_str(), &**schema));
        let components = Components {
            schemas: own.chain([("Problem", &*self.problem)]).collect(),
            responses: &self.responses,
            headers: &self.headers,
            security_schemes: &self.security_schemes,
        };
        Document {
            openapi: "3.1.1",
            info,
            servers: json!([{ "url": "/" }]),
            security: json!([{ "bearerAuth": [] }]),
            tags: tags.into_iter().map(|name| Tag { name }).collect(),
            paths: operations.iter().map(|operation| (operation.path.as_str(), &*operation.item)).collect(),
            components,
        }
    }
}

/// What there is to say of all operations.
const CONVENTIONS: &str = "Each operation takes one JSON value as the body of a `POST`, and no body is `null`. It answers \
                           with one JSON value, or with server-sent events if it is a subscription. Errors are problem \
                           documents (RFC 9457) with the `code` of the failure. Here are the operations that the bearer of \
                           the token may call. The header `x-alknet-api` of an answer changes when this description does.";

fn headers() -> Value {
    let description = "Changes when the description of the operations that the caller may call does.";
    json!({ "Api": { "description": description, "schema": { "type": "string" } } })
}

#[derive(Serialize)]
struct Document<'a> {
    openapi: &'static str,
    info: Info<'a>,
    servers: Value,
    security: Value,
    tags: Vec<Tag<'a>>,
    paths: BTreeMap<&'a str, &'a RawValue>,
    components: Components<'a>,
}

#[derive(Serialize)]
struct Info<'a> {
    title: &'a str,
    version: String,
    description: &'a str,
}

#[derive(Serialize)]
struct Tag<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Components<'a> {
    schemas: BTreeMap<&'a str, &'a RawValue>,
    responses: &'a RawValue,
    headers: &'a RawValue,
    #[serde(rename = "securitySchemes")]
    security_schemes: &'a RawValue,
}
