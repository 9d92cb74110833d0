//! What a server lists.
//!
//! The list is read as JSON, tool by tool: one that is broken takes none of the others with it.

use rmcp::model::{ClientRequest, ListToolsRequest, PaginatedRequestParams};
use serde_json::{Map, Value};

use super::error::McpError;
use super::session::Session;
use crate::openapi::import::Scrub;

/// How many pages, tools and bytes a server may list.
const MAX_PAGES: usize = 100;
const MAX_TOOLS: usize = 1000;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The longest name of a tool, and how much of its description is told, in characters.
const MAX_NAME: usize = 256;
const MAX_DESCRIPTION: usize = 8 * 1024;

/// A tool as its server describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) input: Value,
    pub(super) output: Option<Value>,
}

/// What a server lists, each as a tool or with the reason why it is none.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Listing {
    pub(super) tools: Vec<Tool>,
    pub(super) broken: Vec<(String, String)>,
}

/// Asks for all pages.
pub(super) async fn list(session: &Session, scrub: &Scrub) -> Result<Listing, McpError> {
    let (mut listing, mut bytes, mut cursor) = (Listing::default(), 0, None::<String>);
    for _ in 0..MAX_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
        let page = session.request(request).await.map_err(|error| McpError::of_service(&error))?;
        let mut page = serde_json::to_value(page).unwrap_or_default();
        let Some(Value::Array(entries)) = page.get_mut("tools").map(Value::take) else {
            return Err(McpError::Misunderstood("answers the question for its tools with something else".to_owned()));
        };
        for mut entry in entries {
            bytes += entry.to_string().len();
            if bytes > MAX_BYTES {
                return Err(McpError::TooMuch(format!("{MAX_BYTES} bytes of tools")));
            }
            scrub.value(&mut entry);
            listing.add(entry);
        }
        if listing.tools.len() + listing.broken.len() > MAX_TOOLS {
            return Err(McpError::TooMuch(format!("{MAX_TOOLS} tools")));
        }
        let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        match next {
            None => return Ok(listing),
            Some(next) if Some(&next) == cursor.as_ref() => {
                return Err(McpError::Misunderstood("sends the same page of its tools again and again".to_owned()));
            }
            next => cursor = next,
        }
    }
    Err(McpError::TooMuch(format!("{MAX_PAGES} pages of tools")))
}

impl Listing {
    fn add(&mut self, entry: Value) {
        let Value::Object(mut entry) = entry else {
            return self.broken.push(("?".to_owned(), "it is no object".to_owned()));
        };
        let name = match entry.remove("name") {
            Some(Value::String(name)) if !name.is_empty() => name,
            _ => return self.broken.push(("?".to_owned(), "it has no name".to_owned())),
        };
        let reason = match (name.chars().count() > MAX_NAME, self.tools.iter().any(|tool| tool.name == name)) {
            (true, _) => format!("its name is longer than {MAX_NAME} characters"),
            (_, true) => "the server lists another tool of that name".to_owned(),
            _ => match Tool::of(&name, entry) {
                Ok(tool) => return self.tools.push(tool),
                Err(reason) => reason.to_owned(),
            },
        };
        self.broken.push((name.chars().take(MAX_NAME).collect(), reason));
    }
}

impl Tool {
    fn of(name: &str, mut entry: Map<String, Value>) -> Result<Self, &'static str> {
        let input = match entry.remove("inputSchema") {
            Some(schema @ Value::Object(_)) => schema,
            _ => return Err("it has no schema of its input"),
        };
        let output = match entry.remove("outputSchema") {
            None | Some(Value::Null) => None,
            Some(schema @ Value::Object(_)) => Some(schema),
            Some(_) => return Err("the schema of its output is none"),
        };
        let description = ["description", "title"].into_iter().find_map(|key| entry.get(key)?.as_str());
        let description = description.unwrap_or_default().chars().take(MAX_DESCRIPTION).collect();
        Ok(Self { name: name.to_owned(), description, input, output })
    }
}
