//! Which subschemas a schema applies to what.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::SchemaError;
use crate::JsonPointer;
use crate::wire::quoted;

/// To which part of a value a subschema is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part<'a> {
    /// To any field, as far as can be told.
    AnyField,
    /// To the fields that no other subschema beside it names.
    OtherField,
    /// To the field of this name.
    Field(&'a str),
    /// To any item, as far as can be told.
    AnyItem,
    /// To the items that no other subschema beside it is for.
    OtherItem,
    /// To the item at this place.
    Item(usize),
}

/// A subschema.
#[derive(Default)]
pub(super) struct Node<'a> {
    /// What is applied to the same value.
    pub(super) same: Vec<usize>,
    /// What is applied to its parts.
    pub(super) parts: Vec<(Part<'a>, usize)>,
}

/// A schema: the first node is the whole of it.
#[derive(Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    /// Whether the reason of a violation may be a whole tree of reasons.
    pub(super) alternatives: bool,
}

impl<'a> Graph<'a> {
    pub(super) fn of(root: &'a Value) -> Result<Self, SchemaError> {
        let mut walk = Walk { root, graph: Self::default(), found: vec![], known: HashMap::new() };
        walk.node(root);
        while let Some((schema, node)) = walk.found.pop() {
            if let Value::Object(keywords) = schema {
                walk.keywords(keywords, node)?;
            }
        }
        Ok(walk.graph)
    }

    pub(super) fn same(&self, node: usize) -> &[usize] {
        self.nodes.get(node).map_or(&[], |node| &node.same)
    }

    pub(super) fn parts(&self, node: usize) -> &[(Part<'a>, usize)] {
        self.nodes.get(node).map_or(&[], |node| &node.parts)
    }

    /// The nodes in an order in which each comes before those that it applies to the same value; none if there is none.
    pub(super) fn in_place_order(&self) -> Option<Vec<usize>> {
        let mut users = vec![0usize; self.nodes.len()];
        for used in self.nodes.iter().flat_map(|node| &node.same) {
            if let Some(count) = users.get_mut(*used) {
                *count += 1;
            }
        }
        let unused = users.iter().enumerate().filter(|(_, count)| **count == 0);
        let mut order: Vec<_> = unused.map(|(node, _)| node).collect();
        let mut next = 0;
        while let Some(&node) = order.get(next) {
            next += 1;
            for &used in self.same(node) {
                if let Some(left) = users.get_mut(used) {
                    *left -= 1;
                    if *left == 0 {
                        order.push(used);
                    }
                }
            }
        }
        (order.len() == self.nodes.len()).then_some(order)
    }
}

/// Goes through a schema without recursion: references may be chained as long as it is.
struct Walk<'a> {
    root: &'a Value,
    graph: Graph<'a>,
    found: Vec<(&'a Value, usize)>,
    /// The node of each subschema, by its place in memory.
    known: HashMap<*const Value, usize>,
}

impl<'a> Walk<'a> {
    fn node(&mut self, schema: &'a Value) -> usize {
        *self.known.entry(std::ptr::from_ref(schema)).or_insert_with(|| {
            let node = self.graph.nodes.len();
            self.graph.nodes.push(Node::default());
            self.found.push((schema, node));
            node
        })
    }

    fn keywords(&mut self, keywords: &'a Map<String, Value>, node: usize) -> Result<(), SchemaError> {
        for (keyword, value) in keywords {
            match &**keyword {
                "$ref" => {
                    let target = self.target(value)?;
                    self.same(node, target);
                }
                "$dynamicRef" => return Err(SchemaError::Keyword("$dynamicRef")),
                "$recursiveRef" => return Err(SchemaError::Keyword("$recursiveRef")),
                "not" | "if" | "then" | "else" => self.same(node, value),
                "allOf" => self.same_all(node, value),
                "anyOf" | "oneOf" => {
                    self.graph.alternatives = true;
                    self.same_all(node, value);
                }
                "dependentSchemas" | "dependencies" => fields(value).for_each(|(_, schema)| self.same(node, schema)),
                "properties" => fields(value).for_each(|(name, schema)| self.part(node, Part::Field(name), schema)),
                "patternProperties" => fields(value).for_each(|(_, schema)| self.part(node, Part::AnyField, schema)),
                "prefixItems" => self.items(node, value),
                "items" if value.is_array() => self.items(node, value),
                "items" | "additionalItems" | "unevaluatedItems" => self.part(node, Part::OtherItem, value),
                "additionalProperties" | "unevaluatedProperties" => self.part(node, Part::OtherField, value),
                "contains" => self.part(node, Part::AnyItem, value),
                "propertyNames" => self.part(node, Part::AnyField, value),
                _ => {}
            }
        }
        Ok(())
    }

    fn same(&mut self, node: usize, schema: &'a Value) {
        let used = self.node(schema);
        if let Some(node) = self.graph.nodes.get_mut(node) {
            node.same.push(used);
        }
    }

    fn same_all(&mut self, node: usize, schemas: &'a Value) {
        schemas.as_array().into_iter().flatten().for_each(|schema| self.same(node, schema));
    }

    fn part(&mut self, node: usize, part: Part<'a>, schema: &'a Value) {
        let used = self.node(schema);
        if let Some(node) = self.graph.nodes.get_mut(node) {
            node.parts.push((part, used));
        }
    }

    fn items(&mut self, node: usize, schemas: &'a Value) {
        let schemas = schemas.as_array().into_iter().flatten().enumerate();
        schemas.for_each(|(place, schema)| self.part(node, Part::Item(place), schema));
    }

    /// The subschema that a reference is to.
    fn target(&self, reference: &Value) -> Result<&'a Value, SchemaError> {
        let text = reference.as_str().unwrap_or_default();
        let unknown = || SchemaError::Reference(quoted(text));
        // A pointer within an address is percent-encoded (RFC 6901 §6).
        let fragment = text.strip_prefix('#').ok_or_else(unknown)?;
        let pointer = percent_encoding::percent_decode_str(fragment).decode_utf8().map_err(|_| unknown())?;
        let pointer: JsonPointer = pointer.parse().map_err(|_| unknown())?;
        pointer.resolve(self.root).ok_or_else(unknown)
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, field)| (name.as_str(), field))
}
