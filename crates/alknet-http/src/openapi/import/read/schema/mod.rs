//! The schemas of a description as JSON Schemas of their own.
//!
//! A schema of a description is first drafted ([`convert`]): its keywords become those of JSON Schema 2020-12, and what it
//! refers to becomes definitions, each of which is made once for all operations. Then a draft is fitted ([`fit`]): it is
//! put together with the definitions that it needs, and loosened until it is one that can be compiled.

mod convert;
mod cycles;
mod fit;
mod keywords;
mod look;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeSet, HashMap, HashSet};

use alknet_call::Schema;
use serde_json::{Value, json};

use super::documents::{Documents, Node};
use convert::Converter;

/// The version of OpenAPI, as far as schemas differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V30,
    V31,
}

/// What a schema is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// What a caller gives: without fields that only the service sets.
    Input,
    /// As [`Input`](Self::Input), with files.
    Upload,
    /// What a caller gets: without fields that are only given.
    Output,
}

/// A schema that still lacks its definitions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Draft {
    pub(super) json: Value,
    /// The definitions that it refers to, and whether such a reference applies to the value itself, not to a part of it.
    uses: BTreeSet<(usize, bool)>,
    /// What had to be given up.
    remarks: BTreeSet<String>,
}

impl Draft {
    /// A schema that refers to nothing.
    pub(super) fn plain(json: Value) -> Self {
        Self { json, uses: BTreeSet::new(), remarks: BTreeSet::new() }
    }

    pub(super) fn map(self, change: impl FnOnce(Value) -> Value) -> Self {
        Self { json: change(self.json), ..self }
    }
}

/// One schema of several.
pub(super) fn merged(drafts: Vec<Draft>, merge: impl FnOnce(Vec<Value>) -> Value) -> Draft {
    let mut whole = Draft::plain(Value::Null);
    let mut parts = Vec::new();
    for draft in drafts {
        parts.push(draft.json);
        whole.uses.extend(draft.uses);
        whole.remarks.extend(draft.remarks);
    }
    whole.map(|_| merge(parts))
}

/// Makes the schemas of one description.
pub(super) struct Schemas<'a> {
    documents: &'a Documents,
    version: Version,
    definitions: Vec<Definition<'a>>,
    /// The definition of each schema that something refers to, by its place in memory.
    known: HashMap<(*const Value, Purpose), usize>,
    names: HashSet<(Purpose, String)>,
    /// How many have been named alike so far.
    alike: HashMap<(Purpose, String), usize>,
    /// Whether a regular expression can be used.
    patterns: HashMap<String, bool>,
    /// What has been fitted, by what it was before; many operations have the same errors.
    fitted: HashMap<String, (Option<Schema>, Vec<String>)>,
    /// How many bytes of schemas may still be made.
    left: usize,
    /// How many subschemas may still be drafted.
    work: usize,
}

/// A schema that others refer to.
struct Definition<'a> {
    name: String,
    node: Node<'a>,
    /// The schema that it stands in, from which some count their references.
    root: Node<'a>,
    purpose: Purpose,
    /// Made when it is needed first.
    made: Option<Made>,
}

struct Made {
    draft: Draft,
    /// Its size in bytes of JSON, as it is and without annotations.
    size: usize,
    bare_size: usize,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(documents: &'a Documents, version: Version) -> Self {
        Self {
            documents,
            version,
            definitions: Vec::new(),
            known: HashMap::new(),
            names: HashSet::new(),
            alike: HashMap::new(),
            patterns: HashMap::new(),
            fitted: HashMap::new(),
            left: fit::MAX_TOTAL,
            work: convert::MAX_WORK,
        }
    }

    pub(super) fn documents(&self) -> &'a Documents {
        self.documents
    }

    /// Drafts a schema.
    pub(super) fn draft(&mut self, node: Node<'a>, purpose: Purpose) -> Draft {
        self.draft_without(node, purpose, None)
    }

    /// Drafts a schema in which an object has no such field.
    pub(super) fn draft_without(&mut self, node: Node<'a>, purpose: Purpose, without: Option<&str>) -> Draft {
        Converter::new(self, purpose, node, None).draft(node, without)
    }

    /// The definition of a schema that `reference` is to; it stands in `root`.
    fn definition(&mut self, node: Node<'a>, root: Node<'a>, purpose: Purpose, reference: &str) -> usize {
        let key = (std::ptr::from_ref(node.value), purpose);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let name = self.free_name(reference, purpose);
        let id = self.definitions.len();
        self.definitions.push(Definition { name, node, root, purpose, made: None });
        self.known.insert(key, id);
        id
    }

    /// A name like the last part of the reference.
    fn free_name(&mut self, reference: &str, purpose: Purpose) -> String {
        let last = reference.rsplit(['/', '#']).find(|part| !part.is_empty()).unwrap_or("schema");
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
        let name: String = last.chars().take(100).map(plain).collect();
        let number = self.alike.entry((purpose, name.clone())).or_default();
        *number += 1;
        let mut free = if *number == 1 { name.clone() } else { format!("{name}-{number}") };
        while !self.names.insert((purpose, free.clone())) {
            *number += 1;
            free = format!("{name}-{number}");
        }
        free
    }

    fn reference_to(&self, definition: usize) -> Value {
        let name = self.definitions.get(definition).map_or("", |definition| &definition.name);
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// A definition, made if it is not yet.
    fn made(&mut self, id: usize) -> Option<&Made> {
        let definition = self.definitions.get(id)?;
        if definition.made.is_none() {
            let (node, root, purpose) = (definition.node, definition.root, definition.purpose);
            let draft = Converter::new(self, purpose, root, Some(id)).draft(node, None);
            let size = draft.json.to_string().len();
            let bare_size = keywords::bare(draft.json.clone()).to_string().len();
            self.definitions.get_mut(id)?.made = Some(Made { draft, size, bare_size });
        }
        self.definitions.get(id)?.made.as_ref()
    }

    /// Whether a regular expression can be used; lookaround and back-references cannot.
    fn is_pattern(&mut self, pattern: &str) -> bool {
        if let Some(known) = self.patterns.get(pattern) {
            return *known;
        }
        let usable = self.spend(convert::PATTERN_WORK) && Schema::new(json!({ "pattern": pattern })).is_ok();
        self.patterns.insert(pattern.to_owned(), usable);
        usable
    }

    /// Whether there is still time for so much work, counted in subschemas.
    pub(super) fn spend(&mut self, work: usize) -> bool {
        let left = self.work.checked_sub(work);
        self.work = left.unwrap_or(0);
        left.is_some()
    }
}
