//! What the operations are, apart from the code that runs them.

use std::fmt::Debug;
use std::str::FromStr;

use alknet_call::{Access, ErrorSpec, OperationName, OperationSpec, Schema};
use serde_json::{Value, json};

use crate::{KIND, MAX_SIDE, MAX_WRITE};

/// The code of the error for a program that does not start.
pub(crate) const SPAWN_FAILED: &str = "SPAWN_FAILED";

pub(crate) fn spawn() -> OperationSpec {
    let input = json!({
        "type": ["object", "null"],
        "properties": {
            "command": {
                "type": ["string", "null"],
                "description": "The program, exactly as the node's configuration has it; the first one there if none is given",
            },
            "args": { "type": ["array", "null"], "items": { "type": "string" }, "maxItems": 256 },
            "environment": {
                "type": ["object", "null"],
                "additionalProperties": { "type": "string" },
                "description": "Variables for its environment, of those that the node's configuration allows",
            },
            "rows": or_null(side()),
            "cols": or_null(side()),
        },
    });
    let output = object(json!({
        "id": { "type": "string" },
        "command": { "type": "string" },
        "pid": { "type": "integer", "description": "Its process id on the node" },
        "rows": side(),
        "cols": side(),
    }));
    spec("tty/spawn", "tty:spawn", "Starts a program in a new terminal, which is then the caller's", input, output)
        .with_spawns(KIND, constant("/id"))
        .with_error(ErrorSpec::new(SPAWN_FAILED, "The node cannot start the program"))
}

pub(crate) fn attach() -> OperationSpec {
    let input = with_id(
        json!({
            "from": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Begins at this byte of the output, counted from the terminal's first one",
            },
            "scrollback": {
                "type": ["boolean", "null"],
                "description": "Without `from`: whether to begin with what is kept of the output (true, if it is not said) or with what comes next",
            },
        }),
        &[],
    );
    let exit = json!({ "oneOf": [
        object(json!({ "code": { "type": "integer" } })),
        object(json!({ "signal": { "type": "string" } })),
    ] });
    let output = json!({ "oneOf": [
        object(json!({
            "output": base64_of_bytes(),
            "offset": { "type": "integer", "description": "Where it begins in all that the terminal has put out" },
            "next": { "type": "integer", "description": "Where it ends: `from` of whoever comes back" },
        })),
        object(json!({ "skipped": { "type": "integer", "description": "So many bytes are no longer kept" } })),
        object(json!({ "exit": exit })),
    ] });
    let description = "Follows the output of a terminal, up to the exit of its program";
    on_one("tty/attach", "tty:attach", "attach", description, input, output)
        .with_resumes(constant("/next"), constant("/from"))
}

pub(crate) fn write() -> OperationSpec {
    let input = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "data": base64_of_bytes(),
            "text": { "type": "string", "maxLength": MAX_WRITE },
        },
        "required": ["id"],
        "oneOf": [{ "required": ["data"] }, { "required": ["text"] }],
    });
    let description = "Types into a terminal; answers when the system has taken all of it";
    on_one("tty/write", "tty:write", "write", description, input, nothing())
}

pub(crate) fn resize() -> OperationSpec {
    let input = with_id(json!({ "rows": side(), "cols": side() }), &["rows", "cols"]);
    on_one("tty/resize", "tty:write", "resize", "Gives a terminal another size", input, nothing())
}

pub(crate) fn signal() -> OperationSpec {
    let name = json!({ "type": "string", "description": "The name of a signal, as INT or SIGINT" });
    let input = with_id(json!({ "signal": name }), &["signal"]);
    let description = "Sends a signal to what runs in the foreground of a terminal";
    on_one("tty/signal", "tty:write", "signal", description, input, nothing())
}

pub(crate) fn kill() -> OperationSpec {
    let description = "Ends a terminal with everything in it; answers when it is gone";
    // What a hub does to what is left of a caller who was removed.
    on_one("tty/kill", "tty:write", "end", description, with_id(json!({}), &[]), nothing())
}

pub(crate) fn list() -> OperationSpec {
    let terminal = object(json!({
        "id": { "type": "string" },
        "command": { "type": "string" },
        "pid": { "type": "integer" },
        "rows": side(),
        "cols": side(),
        "started": { "type": "integer", "description": "Seconds since 1970" },
        "output_bytes": { "type": "integer", "description": "How many bytes it has put out" },
        "attachments": { "type": "integer", "description": "How many are attached to it" },
        "claim": { "description": "For whom the caller said that it spawned it" },
    }));
    let output = object(json!({ "terminals": { "type": "array", "items": terminal } }));
    spec("tty/list", "tty:list", "Lists the caller's own terminals, the oldest first", Value::Bool(true), output)
        .with_resource(KIND, "list", None)
        .with_lists(KIND, constant("/terminals"), constant("/id"))
}

/// An operation on a single terminal.
fn on_one(
    name: &'static str,
    scope: &'static str,
    action: &'static str,
    description: &str,
    input: Value,
    output: Value,
) -> OperationSpec {
    spec(name, scope, description, input, output).with_resource(KIND, action, Some(constant("/id")))
}

/// A test sees to it that each of the schemas is one.
fn spec(name: &'static str, scope: &'static str, description: &str, input: Value, output: Value) -> OperationSpec {
    OperationSpec::new(OperationName::from_static(name))
        .with_description(description)
        .with_access(Access::Scopes(vec![constant(scope)]))
        .with_input(Schema::new(input).ok())
        .with_output(Schema::new(output).ok())
}

/// A scope or a pointer that stands in the program. To go on without it would let in whoever should not be.
#[expect(clippy::expect_used, reason = "the tests of this module make every one of them")]
fn constant<T: FromStr<Err: Debug>>(text: &'static str) -> T {
    text.parse().expect("it is written as it has to be")
}

fn with_id(mut properties: Value, more_required: &[&str]) -> Value {
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("id".to_owned(), json!({ "type": "string" }));
    }
    let required: Vec<_> = ["id"].iter().chain(more_required).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// An object that has all of these.
fn object(properties: Value) -> Value {
    let required: Vec<_> =
        properties.as_object().into_iter().flat_map(|properties| properties.keys().cloned()).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn nothing() -> Value {
    json!({ "type": "object" })
}

fn side() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": MAX_SIDE })
}

fn or_null(mut schema: Value) -> Value {
    if let Some(kind) = schema.get_mut("type") {
        *kind = json!([kind, "null"]);
    }
    schema
}

/// RFC 4648 §4, with padding.
fn base64_of_bytes() -> Value {
    json!({ "type": "string", "contentEncoding": "base64", "maxLength": MAX_WRITE.div_ceil(3) * 4 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_is_described_and_reads_back() {
        for spec in [spawn(), attach(), write(), resize(), signal(), kill(), list()] {
            assert!(spec.input.is_some() && spec.output.is_some() && !spec.description.is_empty(), "{}", spec.name);
            assert_eq!(OperationSpec::from_json(&spec.to_json()).unwrap(), spec);
        }
    }

    #[test]
    fn only_those_that_name_no_terminal_need_no_ownership() {
        let free: Vec<_> = [spawn(), attach(), write(), resize(), signal(), kill(), list()]
            .into_iter()
            .filter(|spec| spec.resource.as_ref().is_none_or(|resource| resource.id_path.is_none()))
            .map(|spec| spec.name.to_string())
            .collect();
        assert_eq!(free, ["tty/spawn", "tty/list"]);
    }

    #[test]
    fn a_write_has_either_bytes_or_text() {
        let takes = |input: Value| write().input.unwrap().validate(&input).is_ok();
        assert!(takes(json!({ "id": "t", "data": "" })) && takes(json!({ "id": "t", "text": "" })));
        assert!(!takes(json!({ "id": "t" })) && !takes(json!({ "id": "t", "text": "", "data": "" })));
        assert!(!takes(json!({ "id": "t", "data": "A".repeat(87385) })));
    }
}
