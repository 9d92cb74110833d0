//! The operations that a description has.

use http::Method;

use super::DescriptionError;
use super::answer::{self, Kinds};
use super::documents::{Documents, Node};
use super::names::{Origin, names};
use crate::openapi::import::model::{AnswerKind, LeftOut};

/// How many operations a description may have.
pub(super) const MAX_OPERATIONS: usize = 50_000;

/// The methods that a path can have, as they are written in a description. The last two cannot be called.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "patch", "head", "options", "trace", "query"];

/// An operation that was found.
#[derive(Debug, Clone)]
pub(super) struct Found<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    /// The Path Item, and the one that it refers to.
    pub(super) items: Vec<Node<'a>>,
    pub(super) node: Node<'a>,
    pub(super) kinds: Kinds,
}

/// An operation with the name that it gets, and how it answers under it.
pub(super) type Named<'a> = (String, AnswerKind, Found<'a>);

/// What a description offers.
#[derive(Debug, Default)]
pub(super) struct Offer<'a> {
    /// In the order of their names.
    pub(super) operations: Vec<Named<'a>>,
    pub(super) left_out: Vec<LeftOut>,
}

impl<'a> Offer<'a> {
    /// Finds and names all operations, those that cannot be called among them, so that no name depends on which can.
    pub(super) fn of(documents: &'a Documents) -> Result<Self, DescriptionError> {
        let mut offer = Self::default();
        let mut found = Vec::new();
        for (path, item) in documents.root().fields("paths") {
            if !path.starts_with("x-") {
                offer.path(documents, path, item, &mut found);
            }
            if found.len() + offer.left_out.len() > MAX_OPERATIONS {
                return Err(DescriptionError::TooManyOperations);
            }
        }
        offer.operations = with_names(found);
        Ok(offer)
    }

    fn path(&mut self, documents: &'a Documents, path: &'a str, item: Node<'a>, found: &mut Vec<Found<'a>>) {
        let mut items = vec![item];
        match documents.follow(item) {
            Ok(target) if std::ptr::eq(target.value, item.value) => {}
            Ok(target) => items.push(target),
            Err(error) => return self.leave_out(path.to_owned(), error.to_string()),
        }
        for name in METHODS {
            let Some(node) = items.iter().find_map(|item| item.get(name)) else { continue };
            let Ok(method) = Method::from_bytes(name.to_ascii_uppercase().as_bytes()) else { continue };
            let operation = format!("{method} {path}");
            match documents.follow(node) {
                _ if matches!(name, "trace" | "query") => {
                    self.leave_out(operation, format!("operations of the method {method} are not supported"));
                }
                Err(error) => self.leave_out(operation, error.to_string()),
                Ok(node) if !node.value.is_object() => self.leave_out(operation, "it is no object".to_owned()),
                Ok(node) => {
                    let kinds = answer::kinds(documents, node);
                    found.push(Found { method, path, items: items.clone(), node, kinds });
                }
            }
        }
        // OpenAPI 3.2.
        let others = items.iter().flat_map(|item| item.fields("additionalOperations"));
        for (method, _) in others {
            self.leave_out(format!("{method} {path}"), "operations of other methods are not supported".to_owned());
        }
    }

    fn leave_out(&mut self, operation: String, reason: String) {
        self.left_out.push(LeftOut { operation, reason });
    }
}

fn with_names(found: Vec<Found<'_>>) -> Vec<Named<'_>> {
    let ways: Vec<_> = found.into_iter().flat_map(ways).collect();
    let origins: Vec<_> = ways.iter().map(|(origin, ..)| *origin).collect();
    let names = names(&origins);
    let mut named: Vec<_> = names.into_iter().zip(ways).map(|(name, (_, kind, found))| (name, kind, found)).collect();
    named.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    named
}

/// An operation that answers once or with events, as its caller wishes, is two.
fn ways(found: Found<'_>) -> Vec<(Origin<'_>, AnswerKind, Found<'_>)> {
    let operation_id = found.node.text("operationId");
    let method = METHODS.into_iter().find(|name| found.method.as_str().eq_ignore_ascii_case(name)).unwrap_or_default();
    let origin = Origin { method, path: found.path, operation_id, suffix: "" };
    match found.kinds {
        Kinds::Once => vec![(origin, AnswerKind::One, found)],
        Kinds::Events => vec![(origin, AnswerKind::Events, found)],
        Kinds::Both => {
            let stream = Origin { suffix: "-stream", ..origin };
            vec![(origin, AnswerKind::One, found.clone()), (stream, AnswerKind::Events, found)]
        }
    }
}
