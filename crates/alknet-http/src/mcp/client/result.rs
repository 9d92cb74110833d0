//! Outputs from the results of tools.
//!
//! - Structured content is the output, checked against the schema that the tool declares. What does not fit goes no
//!   further.
//! - Otherwise a single block of text is a string, and anything else is `{"content": […]}` with the blocks as the protocol
//!   has them.
//!
//! A result that says of itself that it is an error is the declared error `TOOL_ERROR`.

use alknet_call::{CallError, Schema};
use serde_json::{Map, Value, json};

use super::error::unavailable;

/// The code of what a tool itself calls an error.
pub(super) const TOOL_ERROR: &str = "TOOL_ERROR";

/// How much of what a tool says about an error stands in the message, in characters.
const MAX_SAID: usize = 300;

/// The output that a result is. `tool` is what the errors call it.
pub(super) fn output(result: Value, schema: Option<&Schema>, tool: &str) -> Result<Value, CallError> {
    let Value::Object(mut result) = result else { return Err(odd(tool, "is no result of a tool")) };
    match result.get("resultType").and_then(Value::as_str) {
        None | Some("complete") => {}
        Some("input_required") => return Err(odd(tool, "is a question, and there is nobody to answer it")),
        Some(_) => return Err(odd(tool, "is to come later, which it was not asked for")),
    }
    let content = match result.remove("content") {
        Some(Value::Array(content)) => content,
        None if result.contains_key("structuredContent") || result.contains_key("isError") => Vec::new(),
        _ => return Err(odd(tool, "is no result of a tool")),
    };
    if result.get("isError") == Some(&Value::Bool(true)) {
        return Err(tool_error(content, result));
    }
    match (result.remove("structuredContent"), schema) {
        (Some(structured), Some(schema)) => check(structured, schema, tool),
        (Some(structured), None) => Ok(structured),
        (None, Some(_)) => Err(odd(tool, "has no structured content, which the tool declares")),
        (None, None) => Ok(unstructured(content)),
    }
}

fn check(structured: Value, schema: &Schema, tool: &str) -> Result<Value, CallError> {
    let Err(violations) = schema.validate(&structured) else { return Ok(structured) };
    let each = |violation: &alknet_call::Violation| json!({ "path": violation.path, "reason": violation.reason });
    let details = json!({ "violations": violations.iter().map(each).collect::<Vec<_>>() });
    Err(odd(tool, &format!("is not what the tool declares: {violations}")).with_details(details))
}

fn unstructured(mut content: Vec<Value>) -> Value {
    if let [block] = content.as_mut_slice()
        && block.get("type") == Some(&json!("text"))
        && let Some(Value::String(text)) = block.get_mut("text").map(Value::take)
    {
        return Value::String(text);
    }
    json!({ "content": content })
}

fn tool_error(content: Vec<Value>, mut result: Map<String, Value>) -> CallError {
    let said = content.iter().find_map(|block| block.get("text")?.as_str()).unwrap_or("the tool failed");
    let error = CallError::declared(TOOL_ERROR, said.chars().take(MAX_SAID).collect::<String>());
    let mut details = Map::from_iter([("content".to_owned(), Value::Array(content))]);
    if let Some(structured) = result.remove("structuredContent") {
        details.insert("structured".to_owned(), structured);
    }
    error.with_details(details.into())
}

fn odd(tool: &str, what: &str) -> CallError {
    unavailable(format!("the answer of {tool} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(result: Value) -> Result<Value, CallError> {
        output(result, None, "the MCP server \"m\"'s tool \"t\"")
    }

    fn checked(result: Value) -> Result<Value, CallError> {
        let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
        output(result, Some(&Schema::new(schema).unwrap()), "the MCP server \"m\"'s tool \"t\"")
    }

    #[test]
    fn a_text_is_a_string_and_anything_else_is_as_it_came() {
        let text = json!({ "type": "text", "text": "hello" });
        let image = json!({ "type": "image", "data": "AAAA", "mimeType": "image/png" });
        assert_eq!(of(json!({ "content": [text] })).unwrap(), "hello");
        assert_eq!(of(json!({ "content": [text, image] })).unwrap(), json!({ "content": [text, image] }));
        assert_eq!(of(json!({ "content": [image] })).unwrap(), json!({ "content": [image] }));
        assert_eq!(of(json!({ "content": [] })).unwrap(), json!({ "content": [] }));
        // What no version of the protocol has is as good.
        let new = json!({ "type": "hologram", "x": 1 });
        assert_eq!(of(json!({ "content": [new] })).unwrap(), json!({ "content": [new] }));
    }

    #[test]
    fn structured_content_is_what_the_tool_declares_or_goes_no_further() {
        let answer = json!({ "content": [{ "type": "text", "text": "{}" }], "structuredContent": { "n": 1 } });
        assert_eq!(of(answer.clone()).unwrap(), json!({ "n": 1 }));
        assert_eq!(checked(answer).unwrap(), json!({ "n": 1 }));
        let error = checked(json!({ "content": [], "structuredContent": { "n": "s3cret" } })).unwrap_err();
        assert!(error.message.contains("server \"m\"'s tool \"t\"") && error.message.contains("/n: "), "{error}");
        assert!(!error.message.contains("s3cret") && !error.retryable, "{error}");
        assert_eq!(error.details.unwrap()["violations"][0]["path"], "/n");
        let missing = checked(json!({ "content": [{ "type": "text", "text": "{\"n\":1}" }] })).unwrap_err();
        assert!(missing.message.contains("no structured content"), "{missing}");
    }

    #[test]
    fn an_error_of_the_tool_is_a_declared_one() {
        let content = json!([{ "type": "text", "text": "no such city" }]);
        // It need not be what the tool declares for its successes.
        let error = checked(json!({ "content": content, "isError": true })).unwrap_err();
        assert_eq!((error.wire_code(), &*error.message), (TOOL_ERROR, "no such city"));
        assert_eq!(error.details.unwrap(), json!({ "content": content }));
    }

    #[test]
    fn what_is_no_result_is_no_output() {
        for odd in [
            json!({}),
            json!([]),
            json!({ "content": "text" }),
            json!({ "resultType": "input_required", "content": [] }),
            json!({ "resultType": "task", "content": [] }),
        ] {
            let error = of(odd.clone()).unwrap_err();
            assert!(error.wire_code() == "UNAVAILABLE" && !error.retryable, "{odd}: {error}");
        }
    }
}
