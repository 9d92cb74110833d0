//! From drafts to schemas that can be compiled.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alknet_call::{Schema, SchemaError};
use serde_json::{Map, Value, json};

use super::{Draft, Schemas, cycles, keywords};
use crate::openapi::import::model::BODY;

/// How many bytes of JSON all schemas of a description may have together.
pub(super) const MAX_TOTAL: usize = 32 * 1024 * 1024;

/// The longest schema that is tried, in bytes of JSON; the same that [`Schema`] takes.
const MAX_SIZE: usize = 256 * 1024;

/// How far from the root definitions may be that are kept, tried in this order.
const REACHES: [usize; 7] = [12, 8, 5, 3, 2, 1, 0];

/// How many things that make a schema invalid are dropped before it is given up.
const MAX_DROPS: usize = 8;

/// A draft with the definitions that it leads to.
struct Parts<'d> {
    draft: &'d Draft,
    /// Definitions, the nearest first, each with the number of references that lead to it.
    reached: Vec<(usize, usize)>,
    cuts: HashMap<usize, HashSet<String>>,
}

impl Schemas<'_> {
    /// A schema for an input: an object with its properties. It is there if it can be at all, if need be without anything
    /// said of the body.
    pub(in super::super) fn fit_input(&mut self, draft: Draft) -> (Option<Schema>, Vec<String>) {
        let (schema, mut remarks) = self.fit(&draft);
        if schema.is_some() {
            return (schema, remarks);
        }
        let without = |schemas: &Self, kept: &dyn Fn(&str) -> bool| {
            let mut json = draft.json.clone();
            if let Some(Value::Object(properties)) = json.get_mut("properties") {
                properties.iter_mut().filter(|(key, _)| !kept(key)).for_each(|(_, schema)| *schema = json!({}));
            }
            let kept = json.to_string();
            let mut uses = draft.uses.clone();
            uses.retain(|(id, _)| kept.contains(&schemas.reference_to(*id).to_string()));
            Draft { json, uses, remarks: draft.remarks.clone() }
        };
        for (kept, what) in [
            (&(|key: &str| key != BODY) as &dyn Fn(&str) -> bool, "nothing is said of the body"),
            (&|_: &str| false, "nothing is said of the parameters and the body"),
        ] {
            let (schema, _) = self.fit(&without(self, kept));
            if schema.is_some() {
                remarks.push(what.to_owned());
                return (schema, remarks);
            }
        }
        (None, remarks)
    }

    /// As [`fit`](Self::fit), for schemas that several operations have.
    pub(in super::super) fn fit_shared(&mut self, draft: Draft) -> (Option<Schema>, Vec<String>) {
        // The names of definitions are unique, so the same text is the same schema.
        let key = draft.json.to_string();
        if let Some(fitted) = self.fitted.get(&key) {
            return fitted.clone();
        }
        let fitted = self.fit(&draft);
        self.fitted.insert(key, fitted.clone());
        fitted
    }

    /// The schema of a draft, loosened as little as possible; none if it cannot be had. With what had to be given up.
    fn fit(&mut self, draft: &Draft) -> (Option<Schema>, Vec<String>) {
        let parts = self.parts(draft);
        let mut remarks = self.remarks(&parts);
        let farthest = parts.reached.iter().map(|(_, steps)| *steps).max().unwrap_or(0);
        let reaches = REACHES.into_iter().filter(|reach| *reach < farthest);
        let tries = [Try { bare: false, reach: None }, Try { bare: true, reach: None }];
        let tries = tries.into_iter().chain(reaches.map(|reach| Try { bare: true, reach: Some(reach) }));
        let mut reason = SchemaError::TooLong;
        for one in tries {
            // Without annotations it is shorter, and nothing else.
            let useless = one.bare && one.reach.is_none() && reason != SchemaError::TooLong;
            if useless || self.size(&parts, one) > MAX_SIZE.min(self.left) {
                continue;
            }
            match self.compile(&parts, one, &mut remarks) {
                Ok(schema) => {
                    remarks.extend(one.remark(&reason));
                    return (Some(schema), remarks.into_iter().collect());
                }
                Err(error) => reason = error,
            }
        }
        remarks.insert(match reason {
            SchemaError::TooLong if self.left < MAX_SIZE => {
                "a schema is left out: those of the description are too long altogether".to_owned()
            }
            reason => format!("a schema is left out: {reason}"),
        });
        (None, remarks.into_iter().collect())
    }

    fn compile(&mut self, parts: &Parts<'_>, one: Try, remarks: &mut BTreeSet<String>) -> Result<Schema, SchemaError> {
        let mut json = self.assemble(parts, one);
        let mut drops = 0;
        loop {
            let size = json.to_string().len();
            self.left = self.left.checked_sub(size).ok_or(SchemaError::TooLong)?;
            match Schema::new(json.clone()) {
                Err(SchemaError::Invalid(violation))
                    if drops < MAX_DROPS && keywords::drop_at(&mut json, &violation.path) =>
                {
                    drops += 1;
                    remarks.insert(format!("{} is left out: {}", violation.path, violation.reason));
                }
                result => return result,
            }
        }
    }

    fn parts<'d>(&mut self, draft: &'d Draft) -> Parts<'d> {
        let mut reached = Vec::new();
        let mut known = HashSet::new();
        let mut edges: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut from = draft.uses.iter().map(|(id, _)| (*id, 1)).collect::<Vec<_>>();
        from.retain(|(id, _)| known.insert(*id));
        while !from.is_empty() {
            reached.extend(&from);
            let mut next = Vec::new();
            for (id, steps) in from {
                let uses = self.made(id).map(|made| made.draft.uses.clone()).unwrap_or_default();
                edges.insert(id, uses.iter().filter(|(_, in_place)| *in_place).map(|(id, _)| *id).collect());
                next.extend(uses.into_iter().map(|(id, _)| (id, steps + 1)).filter(|(id, _)| known.insert(*id)));
            }
            from = next;
        }
        let order: Vec<_> = reached.iter().map(|(id, _)| *id).collect();
        let found = cycles::cuts(&order, |id| edges.get(&id).cloned().unwrap_or_default());
        let mut cuts: HashMap<usize, HashSet<String>> = HashMap::new();
        for (from, to) in found {
            if let Some(definition) = self.definitions.get(to) {
                cuts.entry(from).or_default().insert(format!("#/$defs/{}", definition.name));
            }
        }
        Parts { draft, reached, cuts }
    }

    fn remarks(&self, parts: &Parts<'_>) -> BTreeSet<String> {
        let made = |(id, _): &(usize, usize)| self.definitions.get(*id).and_then(|one| one.made.as_ref());
        let of_definitions = parts.reached.iter().filter_map(made).flat_map(|made| &made.draft.remarks);
        parts.draft.remarks.iter().chain(of_definitions).cloned().collect()
    }

    fn size(&self, parts: &Parts<'_>, one: Try) -> usize {
        let root = match one.bare {
            true => keywords::bare(parts.draft.json.clone()).to_string().len(),
            false => parts.draft.json.to_string().len(),
        };
        let sizes = parts.reached.iter().map(|(id, steps)| {
            let Some(definition) = self.definitions.get(*id) else { return 0 };
            let size = match &definition.made {
                Some(made) if one.keeps(*steps) && one.bare => made.bare_size,
                Some(made) if one.keeps(*steps) => made.size,
                _ if one.mentions(*steps) => 4,
                _ => return 0,
            };
            definition.name.len() + size + 4
        });
        root + sizes.sum::<usize>()
    }

    fn assemble(&self, parts: &Parts<'_>, one: Try) -> Value {
        let mut definitions = Map::new();
        for (id, steps) in &parts.reached {
            let Some(definition) = self.definitions.get(*id) else { continue };
            let json = match &definition.made {
                Some(made) if one.keeps(*steps) => {
                    let mut json = made.draft.json.clone();
                    if let Some(cut) = parts.cuts.get(id) {
                        keywords::cut(&mut json, &|reference| cut.contains(reference));
                    }
                    one.apply(json)
                }
                _ if one.mentions(*steps) => Value::Bool(true),
                _ => continue,
            };
            definitions.insert(definition.name.clone(), json);
        }
        let mut root = match one.apply(parts.draft.json.clone()) {
            Value::Object(root) => root,
            Value::Bool(false) => Map::from_iter([("not".to_owned(), json!({}))]),
            _ => Map::new(),
        };
        if !definitions.is_empty() {
            root.insert("$defs".to_owned(), Value::Object(definitions));
        }
        Value::Object(root)
    }
}

/// One way to put a schema together.
#[derive(Clone, Copy)]
struct Try {
    /// Without what is for people only.
    bare: bool,
    /// How far away definitions may be that are kept; all if none is given.
    reach: Option<usize>,
}

impl Try {
    fn keeps(self, steps: usize) -> bool {
        self.reach.is_none_or(|reach| steps <= reach)
    }

    /// Whether what is kept refers to a definition so far away.
    fn mentions(self, steps: usize) -> bool {
        self.reach.is_none_or(|reach| steps <= reach + 1)
    }

    fn apply(self, json: Value) -> Value {
        let mut json = if self.bare { keywords::bare(json) } else { json };
        if self.reach.is_some() {
            keywords::loosen(&mut json);
        }
        json
    }

    fn remark(self, reason: &SchemaError) -> Option<String> {
        match (self.bare, self.reach) {
            (false, _) => None,
            (true, None) => Some("the descriptions of fields are left out: the schema would get too long".to_owned()),
            (true, Some(_)) => Some(format!("the inner parts of a schema are left out: {reason}")),
        }
    }
}
