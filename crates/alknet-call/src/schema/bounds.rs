//! What a check with a schema costs at most, found out before it is compiled.
//!
//! A schema is a graph: an applicator (`allOf`, `$ref`, …) applies a subschema to the same value, or (`properties`,
//! `items`, …) to a part of it. Without care two references beside each other, each to two more, and so on, make a check
//! take longer than the universe has. So the number of subschemas that look at one value is counted along the graph.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::SchemaError;
use super::graph::{Graph, Part};
use crate::wire::quoted;

/// The deepest value: so deep JSON may nest for it to be parsed at all.
const MAX_LEVELS: usize = 128;

/// How many subschemas may look at a value.
const MAX_CHECKS: i64 = 10_000;

/// How many subschemas may lie on one path of a check, from the whole value to its innermost part. Each is a stack frame
/// or several.
const MAX_NESTING: i64 = 1024;

/// How many entries the lists of what is applied together may have in all.
const MAX_CLOSURES: usize = 50_000;

/// What is known of a schema's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// How many subschemas look at one value, at most.
    pub(super) checks: usize,
    /// Whether the reason of a violation may be a whole tree of reasons.
    pub(super) alternatives: bool,
}

impl Bounds {
    pub(super) fn of(schema: &Value) -> Result<Self, SchemaError> {
        known_draft(schema)?;
        if parts(schema).any(has_name) {
            return Err(SchemaError::Keyword("$id"));
        }
        let graph = Graph::of(schema)?;
        let order = graph.in_place_order().ok_or(SchemaError::Endless)?;
        check_nesting(&graph, &order)?;
        Ok(Self { checks: checks(&graph, &order)?, alternatives: graph.alternatives })
    }
}

fn known_draft(schema: &Value) -> Result<(), SchemaError> {
    const KNOWN: [&str; 4] = [
        "json-schema.org/draft/2020-12/schema",
        "json-schema.org/draft/2019-09/schema",
        "json-schema.org/draft-07/schema",
        "json-schema.org/draft-06/schema",
    ];
    let Some(draft) = schema.get("$schema") else { return Ok(()) };
    let text = draft.as_str().unwrap_or_default();
    let address = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    match KNOWN.contains(&address.trim_end_matches('#')) {
        true => Ok(()),
        false => Err(SchemaError::Draft(quoted(text))),
    }
}

/// Whether there is a part with a name of its own, from which references would count.
fn has_name(schema: &Value) -> bool {
    schema.get("$id").is_some_and(Value::is_string) || parts(schema).any(has_name)
}

fn parts(value: &Value) -> impl Iterator<Item = &Value> {
    let items = value.as_array().into_iter().flatten();
    items.chain(value.as_object().into_iter().flat_map(Map::values))
}

/// The longest path of subschemas, with at most [`MAX_LEVELS`] steps into a value.
fn check_nesting(graph: &Graph<'_>, order: &[usize]) -> Result<(), SchemaError> {
    let mut longest = vec![0; order.len()];
    for _ in 0..MAX_LEVELS {
        let inner = longest;
        longest = vec![0; order.len()];
        for &node in order.iter().rev() {
            let same = graph.same(node).iter().map(|&used| at(&longest, used)).max().unwrap_or(0);
            let parts = graph.parts(node).iter().map(|&(_, used)| at(&inner, used)).max().unwrap_or(0);
            set(&mut longest, node, 1 + same.max(parts));
        }
        if at(&longest, 0) > MAX_NESTING {
            return Err(SchemaError::TooIntricate("its subschemas nest too deep"));
        }
        if longest == inner {
            break;
        }
    }
    Ok(())
}

/// How many subschemas look at one value: for each subschema, how many of those that it leads to look at a part of its
/// value that lies so and so deep, with the worst names of fields on the way. Where several subschemas lead on, each has
/// its own worst names further down, so the number may be too high, but never too low.
fn checks(graph: &Graph<'_>, order: &[usize]) -> Result<usize, SchemaError> {
    const TOO_MANY: SchemaError = SchemaError::TooIntricate("too many of its subschemas look at the same value");
    let mut closures = closures(graph, order).ok_or(TOO_MANY)?;
    let mut counts: Vec<_> = closures.iter().map(|closure| closure.values().sum()).collect();
    // What leads no deeper is counted by now.
    closures.iter_mut().for_each(|closure| closure.retain(|&node, _| !graph.parts(node).is_empty()));
    let mut most = 0;
    for _ in 0..MAX_LEVELS {
        most = at(&counts, 0).max(most);
        if most > MAX_CHECKS {
            return Err(TOO_MANY);
        }
        let deeper = closures.iter().map(|closure| worst_part(graph, closure, &counts).min(MAX_CHECKS + 1)).collect();
        if deeper == counts {
            break;
        }
        counts = deeper;
    }
    usize::try_from(most).map_err(|_| TOO_MANY)
}

/// What is applied to one value together, with how often.
type Closure = BTreeMap<usize, i64>;

/// For each subschema all that it applies to the same value, itself among them; none if that is too much.
fn closures(graph: &Graph<'_>, order: &[usize]) -> Option<Vec<Closure>> {
    let mut closures = vec![Closure::new(); order.len()];
    let mut entries = 0;
    for &node in order.iter().rev() {
        let mut all = Closure::from([(node, 1)]);
        for &used in graph.same(node) {
            for (&inner, &count) in closures.get(used)? {
                let sum = all.entry(inner).or_default();
                *sum = (*sum + count).min(MAX_CHECKS + 1);
            }
            // Looked at each time, as one node may use many large ones.
            if entries + all.len() > MAX_CLOSURES {
                return None;
            }
        }
        entries += all.len();
        *closures.get_mut(node)? = all;
    }
    Some(closures)
}

/// How much is counted for the worst part of a value that `closure` is applied to, when each subschema that is applied to
/// the part counts as `counts` says.
fn worst_part(graph: &Graph<'_>, closure: &Closure, counts: &[i64]) -> i64 {
    let (mut fields, mut items) = (0, 0);
    let mut named: HashMap<Part<'_>, i64> = HashMap::new();
    for (&node, &times) in closure {
        let parts = graph.parts(node);
        let sum = |wanted: Part<'_>| -> i64 {
            parts.iter().filter(|(part, _)| *part == wanted).map(|&(_, used)| at(counts, used)).sum()
        };
        let (other_fields, other_items) = (sum(Part::OtherField), sum(Part::OtherItem));
        fields += times * (sum(Part::AnyField) + other_fields);
        items += times * (sum(Part::AnyItem) + other_items);
        for &(part, used) in parts {
            // A field that is named is none of the others.
            let instead = match part {
                Part::Field(_) => other_fields,
                Part::Item(_) => other_items,
                _ => continue,
            };
            *named.entry(part).or_default() += times * (at(counts, used) - instead);
        }
    }
    let worst = |fields_or_items: fn(&Part<'_>) -> bool| {
        named.iter().filter(|(part, _)| fields_or_items(part)).map(|(_, &sum)| sum).max().unwrap_or(0).max(0)
    };
    let field = fields + worst(|part| matches!(part, Part::Field(_)));
    field.max(items + worst(|part| matches!(part, Part::Item(_))))
}

fn at(counts: &[i64], node: usize) -> i64 {
    counts.get(node).copied().unwrap_or(0)
}

fn set(counts: &mut [i64], node: usize, count: i64) {
    if let Some(place) = counts.get_mut(node) {
        *place = count;
    }
}
