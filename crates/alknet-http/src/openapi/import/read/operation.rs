//! One operation, read whole.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use serde_json::{Map, Value, json};

use super::documents::Node;
use super::error::Source;
use super::parameters::{self, Template};
use super::paths::Named;
use super::schema::{Draft, Schemas, merged};
use super::{answer, body, security, servers};
use crate::openapi::import::model::{Answer, AnswerKind, BODY, HttpOperation, Place, SchemeUse, SecurityScheme};

/// How long the description of an operation may be, in characters.
const MAX_DESCRIPTION: usize = 4096;

/// Reads operations of one description.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) schemas: Schemas<'a>,
    pub(super) schemes: BTreeMap<String, SecurityScheme>,
}

impl<'a> Reader<'a> {
    /// # Errors
    /// Why the operation cannot be called.
    pub(super) fn operation(&mut self, (name, kind, found): &Named<'a>) -> Result<HttpOperation, String> {
        let template = Template::new(found.path)?;
        let mut remarks = BTreeSet::new();
        let root = self.schemas.documents().root();
        let security = security::alternatives(found.node, root);
        let credentials = self.credentials(&security);

        let mut owners = vec![found.node];
        owners.extend(&found.items);
        let parameters = parameters::read(&mut self.schemas, &template, &owners, &credentials, &mut remarks)?;
        // Where there is a choice the switch makes it; where there is none, an operation may have to be told all the same.
        let switch = match found.kinds {
            answer::Kinds::Once => None,
            _ => body::switch(&self.schemas, found.node),
        };
        let body = body::read(&mut self.schemas, found.node, switch, &mut remarks)?;

        let input = input(&parameters, body.as_ref());
        let (input, more) = self.schemas.fit_input(input);
        remarks.extend(more);
        let output = match found.method {
            // Its answer has no content, whatever the description says of that.
            Method::HEAD => None,
            _ => answer::output(&mut self.schemas, found.node, *kind),
        };
        let (output, more) = output.map(|draft| self.schemas.fit_shared(draft)).unwrap_or_default();
        remarks.extend(more.into_iter().map(|remark| format!("output: {remark}")));
        Ok(HttpOperation {
            name: name.clone(),
            method: found.method.clone(),
            path: absolute(template.path),
            servers: own_servers(&owners, self.source),
            description: description(found.node, &found.items),
            parameters: parameters.into_iter().map(|described| described.parameter).collect(),
            body: body.map(|described| described.body),
            answer: answer(&self.schemas, found.node, *kind, switch),
            security,
            input,
            output,
            errors: answer::errors(&mut self.schemas, found.node),
            remarks: remarks.into_iter().collect(),
        })
    }

    /// Where the credentials go that an operation may need.
    fn credentials(&mut self, alternatives: &[Vec<SchemeUse>]) -> Vec<(Place, String)> {
        let mut places = Vec::new();
        for used in alternatives.iter().flatten() {
            let undeclared = || SecurityScheme::Unsupported("one that the description does not declare".to_owned());
            match self.schemes.entry(used.scheme.clone()).or_insert_with(undeclared) {
                SecurityScheme::ApiKey { name, place } => places.push((*place, name.clone())),
                SecurityScheme::Unsupported(_) => {}
                _ => places.push((Place::Header, "authorization".to_owned())),
            }
        }
        places
    }
}

fn answer(schemas: &Schemas<'_>, node: Node<'_>, kind: AnswerKind, switch: Option<&str>) -> Answer {
    Answer { kind, accept: answer::accept(schemas.documents(), node, kind), switch: switch.map(str::to_owned) }
}

/// The object that a caller gives.
fn input(parameters: &[parameters::Described], body: Option<&body::Described>) -> Draft {
    let keys = parameters.iter().map(|one| one.parameter.key.clone());
    let keys: Vec<String> = keys.chain(body.map(|_| BODY.to_owned())).collect();
    let needed = parameters.iter().filter(|one| one.parameter.required).map(|one| one.parameter.key.clone());
    let needed: Vec<String> = needed.chain(body.filter(|one| one.body.required).map(|_| BODY.to_owned())).collect();
    let drafts = parameters.iter().map(|one| &one.schema).chain(body.map(|one| &one.schema));
    merged(drafts.cloned().collect(), |schemas| {
        let properties: Map<String, Value> = keys.into_iter().zip(schemas).collect();
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if let (Value::Object(schema), false) = (&mut schema, needed.is_empty()) {
            schema.insert("required".to_owned(), needed.into());
        }
        schema
    })
}

/// The servers of the operation, or those of its path; none if it has those of the service.
fn own_servers(owners: &[Node<'_>], source: &Source) -> Vec<url::Url> {
    let lists = owners.iter().map(|owner| servers::read(*owner, source));
    lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
}

/// Paths begin with a slash; some descriptions leave it away.
fn absolute(path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

fn description(node: Node<'_>, items: &[Node<'_>]) -> String {
    let text = |key| {
        let owners = std::iter::once(&node).chain(items);
        owners.filter_map(|owner| owner.text(key)).map(str::trim).find(|text| !text.is_empty())
    };
    let parts = match (text("summary"), text("description")) {
        (Some(summary), Some(description)) if summary != description => format!("{summary}\n\n{description}"),
        (summary, description) => description.or(summary).unwrap_or_default().to_owned(),
    };
    let deprecated = if node.flag("deprecated") == Some(true) { "Deprecated. " } else { "" };
    let mut description = format!("{deprecated}{parts}");
    if let Some((end, _)) = description.char_indices().nth(MAX_DESCRIPTION) {
        description.truncate(end);
        description.push('…');
    }
    description.truncate(description.trim_end().len());
    description
}
