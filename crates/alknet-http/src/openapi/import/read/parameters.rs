//! What goes into a request outside of its body.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::documents::{BadReference, Documents, Node};
use super::media::{Kind, MediaType};
use super::schema::{Draft, Purpose, Schemas};
use crate::openapi::import::model::{BODY, Parameter, Place, Style};

/// Headers that are no parameters: they follow from body and answer (OpenAPI 3.1.1 §4.8.12.2), from the credential, or are
/// the connection's own business (RFC 9110 §7.6.1).
const RESERVED: [&str; 13] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How many parameters an operation may have.
const MAX_PARAMETERS: usize = 500;

/// A parameter, with what its values look like.
pub(super) struct Described {
    pub(super) parameter: Parameter,
    pub(super) schema: Draft,
}

/// A path, taken apart.
pub(super) struct Template<'a> {
    /// Without what is no part of a request's path.
    pub(super) path: &'a str,
    names: BTreeSet<&'a str>,
    /// Names and values of a query that belongs to it.
    query: Vec<(String, String)>,
}

impl<'a> Template<'a> {
    /// # Errors
    /// What is wrong with the path.
    pub(super) fn new(path: &'a str) -> Result<Self, &'static str> {
        const UNCLEAR: &str = "the braces in its path do not make sense";
        // Some descriptions tell operations of one path apart by a fragment.
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut names = BTreeSet::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(UNCLEAR)?;
            if before.contains('}') || name.is_empty() || name.contains(['{', '/']) {
                return Err(UNCLEAR);
            }
            names.insert(name);
            rest = after;
        }
        if rest.contains('}') || query.contains(['{', '}']) {
            return Err(UNCLEAR);
        }
        let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { path, names, query })
    }
}

/// The parameters of an operation, those of its path among them. `credentials` are sent otherwise.
///
/// # Errors
/// Why it cannot be called.
pub(super) fn read<'a>(
    schemas: &mut Schemas<'a>,
    template: &Template<'_>,
    owners: &[Node<'a>],
    credentials: &[(Place, String)],
    remarks: &mut BTreeSet<String>,
) -> Result<Vec<Described>, String> {
    let declared = declared(schemas.documents(), owners).map_err(|error| format!("a parameter {error}"))?;
    if declared.len() > MAX_PARAMETERS {
        return Err(format!("it has more than {MAX_PARAMETERS} parameters"));
    }
    if !schemas.spend(declared.len() + 1) {
        return Err("the description is so large that it was not read to its end".to_owned());
    }
    let mut all = Vec::new();
    for node in declared {
        let Some(name) = node.text("name").filter(|name| !name.is_empty()) else {
            remarks.insert("a parameter without a name is left out".to_owned());
            continue;
        };
        let Some(place) = place(node) else {
            let place = node.text("in").unwrap_or_default();
            if node.flag("required") == Some(true) {
                return Err(format!("it needs the parameter {name:?} in {place:?}, a place that is not known"));
            }
            remarks.insert(format!("the parameter {name:?} in {place:?} is left out: the place is not known"));
            continue;
        };
        if let Some(reason) = ignored(place, name, template, credentials) {
            remarks.extend(reason.map(|reason| format!("the parameter {name:?} is left out: {reason}")));
            continue;
        }
        all.push(described(schemas, node, name, place));
    }
    add_what_the_path_needs(template, &mut all);
    name_keys(&mut all);
    Ok(all)
}

/// Merges the parameters of all owners: those of earlier ones stand for those of later ones with the same name and place.
fn declared<'a>(documents: &'a Documents, owners: &[Node<'a>]) -> Result<Vec<Node<'a>>, BadReference> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for node in owners.iter().flat_map(|owner| owner.items("parameters")) {
        let node = documents.follow(node)?;
        let place = node.text("in").unwrap_or_default();
        let name = node.text("name").unwrap_or_default();
        // RFC 9110 §5.1: the names of headers have no case.
        let name = if place == "header" { name.to_ascii_lowercase() } else { name.to_owned() };
        if seen.insert((place, name)) {
            all.push(node);
        }
    }
    Ok(all)
}

fn place(node: Node<'_>) -> Option<Place> {
    match node.text("in")? {
        "path" => Some(Place::Path),
        "query" => Some(Place::Query),
        "header" => Some(Place::Header),
        "cookie" => Some(Place::Cookie),
        _ => None,
    }
}

/// Whether a parameter is none for the caller, with the reason if that is worth a remark.
fn ignored(
    place: Place,
    name: &str,
    template: &Template<'_>,
    credentials: &[(Place, String)],
) -> Option<Option<&'static str>> {
    let same = |other: &str| match place {
        Place::Header => other.eq_ignore_ascii_case(name),
        _ => other == name,
    };
    if credentials.iter().any(|(other, key)| *other == place && same(key)) {
        return Some(Some("it is a credential, which comes from the vault"));
    }
    match place {
        Place::Header if RESERVED.contains(&&*name.to_ascii_lowercase()) => Some(None),
        Place::Header if http::HeaderName::from_bytes(name.as_bytes()).is_err() => Some(Some("it is no header's name")),
        Place::Path if !template.names.contains(name) => Some(Some("the path has no place for it")),
        _ => None,
    }
}

fn described<'a>(schemas: &mut Schemas<'a>, node: Node<'a>, name: &str, place: Place) -> Described {
    let content = node.fields("content").next();
    let json = content.is_some_and(|(text, _)| MediaType::new(text).is_none_or(|media| media.kind == Kind::Json));
    let style = if json { Style::Json } else { style(node, place) };
    let schema = content.map_or_else(|| node.get("schema"), |(_, content)| content.get("schema"));
    let draft = match schema {
        Some(schema) => schemas.draft(schema, Purpose::Input),
        None => Draft::plain(json!({})),
    };
    let parameter = Parameter {
        name: name.to_owned(),
        key: name.to_owned(),
        place,
        style,
        explode: node.flag("explode").unwrap_or(style == Style::Form),
        allow_reserved: place == Place::Query && node.flag("allowReserved") == Some(true),
        required: place == Place::Path || node.flag("required") == Some(true),
    };
    let description = node.text("description").map(str::to_owned);
    let deprecated = node.flag("deprecated") == Some(true);
    Described { parameter, schema: draft.map(|schema| annotated(schema, description, deprecated)) }
}

fn annotated(schema: Value, description: Option<String>, deprecated: bool) -> Value {
    let mut schema = match schema {
        Value::Object(fields) => fields,
        Value::Bool(false) => [("not".to_owned(), json!({}))].into_iter().collect(),
        _ => serde_json::Map::new(),
    };
    schema.extend(description.map(|text| ("description".to_owned(), text.into())));
    schema.extend(deprecated.then(|| ("deprecated".to_owned(), true.into())));
    Value::Object(schema)
}

/// The style of a parameter (OpenAPI 3.1.1 §4.8.12.2); one that its place does not have is as good as none.
fn style(node: Node<'_>, place: Place) -> Style {
    match (place, node.text("style").unwrap_or_default()) {
        (Place::Path, "label") => Style::Label,
        (Place::Path, "matrix") => Style::Matrix,
        (Place::Path | Place::Header, _) => Style::Simple,
        (Place::Query, style) => query_style(style),
        (Place::Cookie, _) => Style::Form,
    }
}

/// The style of a parameter in a query, or of a field in a form.
pub(super) fn query_style(style: &str) -> Style {
    match style {
        "spaceDelimited" => Style::SpaceDelimited,
        "pipeDelimited" => Style::PipeDelimited,
        "deepObject" => Style::DeepObject,
        _ => Style::Form,
    }
}

/// A place in the path that nothing is declared for takes a text. A query that belongs to the path has the one value.
fn add_what_the_path_needs(template: &Template<'_>, all: &mut Vec<Described>) {
    let has = |all: &[Described], place, name: &str| {
        all.iter().any(|one| one.parameter.place == place && one.parameter.name == name)
    };
    let needed = |name: &str, place, style, schema| Described {
        parameter: Parameter {
            name: name.to_owned(),
            key: name.to_owned(),
            place,
            style,
            explode: style == Style::Form,
            allow_reserved: false,
            required: true,
        },
        schema: Draft::plain(schema),
    };
    for name in &template.names {
        if !has(all, Place::Path, name) {
            all.push(needed(name, Place::Path, Style::Simple, json!({ "type": "string" })));
        }
    }
    for (name, value) in &template.query {
        if !has(all, Place::Query, name) {
            all.push(needed(name, Place::Query, Style::Form, json!({ "const": value })));
        }
    }
}

/// Gives each parameter a key of its own. Of several with one name the first in the order of places has it, and the others
/// have their place behind it.
fn name_keys(all: &mut [Described]) {
    let mut by_name: BTreeMap<String, Vec<(Place, usize)>> = BTreeMap::new();
    for (index, one) in all.iter().enumerate() {
        by_name.entry(one.parameter.name.clone()).or_default().push((one.parameter.place, index));
    }
    let mut taken: BTreeSet<String> = by_name.keys().cloned().collect();
    taken.insert(BODY.to_owned());
    let mut keys = HashMap::new();
    for (name, mut places) in by_name {
        places.sort_unstable();
        let kept = usize::from(name != BODY);
        for (place, index) in places.into_iter().skip(kept) {
            let mut key = format!("{name}-{}", word(place));
            while !taken.insert(key.clone()) {
                key.push_str("-2");
            }
            keys.insert(index, key);
        }
    }
    for (index, one) in all.iter_mut().enumerate() {
        if let Some(key) = keys.remove(&index) {
            one.parameter.key = key;
        }
    }
}

fn word(place: Place) -> &'static str {
    match place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
        Place::Cookie => "cookie",
    }
}
