//! What comes of a call, as the result of a tool.

use alknet_call::{CallError, ErrorCode, OperationSpec};
use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use serde_json::{Value, json};

use super::shape;

/// Where a result that is an error has it again, for programs.
pub(super) const ERROR: &str = "alknet/error";

/// The output of a call: structured, and the same as text.
///
/// # Errors
/// When it is longer than `most` bytes, or not what the operation says that it is.
pub(super) fn of_output(spec: &OperationSpec, output: Value, most: usize) -> Result<CallToolResult, CallError> {
    if let Some(Err(violations)) = spec.output.as_ref().map(|schema| schema.validate(&output)) {
        tracing::warn!(operation = %spec.name, %violations, "an output is not what the operation describes");
        // Clients refuse structured content that does not fit. The text has it all.
        let message = format!("the output is not what /{} describes: {violations}", spec.name);
        let (error, details) = (CallError::new(ErrorCode::Internal, message), json!({ "output": output }));
        let fits = details.to_string().len() <= most;
        return Err(if fits { error.with_details(details) } else { error });
    }
    of_structured(shape::structured(spec, output), most)
}

/// Structured content, and the same as text.
///
/// # Errors
/// When it is longer than `most` bytes.
pub(super) fn of_structured(content: Value, most: usize) -> Result<CallToolResult, CallError> {
    let text = content.to_string();
    if text.len() > most {
        let message = format!("the output has {} bytes, which is more than the limit of {most}", text.len());
        let mut error = CallError::new(ErrorCode::ResourceExhausted, message);
        error.retryable = false;
        return Err(error);
    }
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(content);
    Ok(result)
}

/// An error that whoever called the tool can read, and do something about. It is no structured content: some clients
/// compare that with what the tool gives when all goes well.
pub(super) fn of_error(error: &CallError) -> CallToolResult {
    let mut text = error.to_string();
    if let Some(details) = &error.details {
        text += &format!("\n{details}");
    }
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    let mut fields = json!({ "code": error.wire_code(), "message": error.message, "retryable": error.retryable });
    if let (Some(fields), Some(details)) = (fields.as_object_mut(), &error.details) {
        fields.insert("details".to_owned(), details.clone());
    }
    let mut meta = MetaObject::new();
    meta.0.insert(ERROR.to_owned(), fields);
    result.meta = Some(meta);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use alknet_call::Schema;

    fn json_of(result: &CallToolResult) -> Value {
        serde_json::to_value(result).unwrap()
    }

    #[test]
    fn an_output_is_there_twice() {
        let spec = OperationSpec::new("a/b".parse().unwrap());
        let result = json_of(&of_output(&spec, json!({ "a": [1] }), 99).unwrap());
        assert_eq!(result["structuredContent"], json!({ "a": [1] }));
        assert_eq!(result["content"], json!([{ "type": "text", "text": "{\"a\":[1]}" }]));
        assert_eq!(result["isError"], false);
        let result = json_of(&of_output(&spec, json!("x"), 99).unwrap());
        assert_eq!(result["structuredContent"], json!({ "output": "x" }));
    }

    #[test]
    fn an_output_has_a_limit() {
        let spec = OperationSpec::new("a/b".parse().unwrap());
        let error = of_output(&spec, json!("x".repeat(100)), 99).unwrap_err();
        assert_eq!((error.code, error.retryable), (ErrorCode::ResourceExhausted, false));
        assert_eq!(error.message, "the output has 113 bytes, which is more than the limit of 99");
    }

    #[test]
    fn an_output_that_is_not_as_described_is_an_error_that_has_it() {
        let output = Schema::new(json!({ "type": "object", "required": ["id"] })).unwrap();
        let spec = OperationSpec::new("a/b".parse().unwrap()).with_output(output);
        let error = of_output(&spec, json!({ "ID": 5 }), 99).unwrap_err();
        assert!(error.message.contains("\"id\" is a required property"), "{error}");
        assert_eq!(error.details, Some(json!({ "output": { "ID": 5 } })));
        assert!(of_output(&spec, json!({ "ID": "x".repeat(100) }), 99).unwrap_err().details.is_none());
    }

    #[test]
    fn an_error_says_all_to_people_and_to_programs() {
        let result = json_of(&of_error(&CallError::declared("BUSY", "later").with_details(json!([1]))));
        assert_eq!(result["content"][0]["text"], "BUSY: later\n[1]");
        let expected = json!({ "code": "BUSY", "message": "later", "retryable": false, "details": [1] });
        assert_eq!((&result["isError"], &result["_meta"][ERROR]), (&json!(true), &expected));
        assert!(result.get("structuredContent").is_none());
    }
}
