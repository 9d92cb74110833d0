//! How operations fail, as a description has it.

use alknet_call::ErrorSpec;
use serde_json::{Map, Value, json};

/// A response that every operation may give.
pub(super) struct Common {
    pub(super) status: u16,
    /// Its name among the components of the description.
    pub(super) name: &'static str,
    /// The codes that it comes with.
    pub(super) codes: &'static [&'static str],
    pub(super) description: &'static str,
    pub(super) only_subscriptions: bool,
}

/// The responses that every operation may give.
pub(super) const COMMON: [Common; 11] = [
    common(400, "InvalidInput", &["INVALID_INPUT"], "The input is not JSON, or not what the operation takes."),
    common(401, "Unauthenticated", &["UNAUTHENTICATED"], "There is no token, or none that is valid."),
    common(403, "Forbidden", &["FORBIDDEN"], "A scope is missing, or what the input names is not the caller's."),
    common(404, "NotFound", &["NOT_FOUND"], "The operation is not there any more, or what the input names is not."),
    Common {
        only_subscriptions: true,
        ..common(406, "NotAcceptable", &[], "A subscription is answered with `text/event-stream` alone.")
    },
    common(413, "ContentTooLarge", &[], "The body is longer than the node takes."),
    common(415, "UnsupportedMediaType", &[], "The body is not `application/json`."),
    common(429, "ResourceExhausted", &["RESOURCE_EXHAUSTED"], "A limit is reached; it may work later."),
    common(500, "Internal", &["INTERNAL"], "A fault of the node's, of which its log knows more."),
    common(503, "Unavailable", &["UNAVAILABLE", "ABORTED"], "It cannot be done now; it may work later."),
    common(504, "Timeout", &["TIMEOUT"], "It took too long."),
];

const fn common(status: u16, name: &'static str, codes: &'static [&'static str], description: &'static str) -> Common {
    Common { status, name, codes, description, only_subscriptions: false }
}

/// Whether a code is one that every operation may fail with.
pub(super) fn is_common(code: &str) -> bool {
    COMMON.iter().any(|response| response.codes.contains(&code))
}

/// The components that [`COMMON`] refers to.
pub(super) fn responses() -> Value {
    let response = |response: &Common| {
        let mut json = json!({
            "description": response.description,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        if let (Some(json), 401) = (json.as_object_mut(), response.status) {
            let challenge = json!({ "description": "`Bearer`", "schema": { "type": "string" } });
            json.insert("headers".to_owned(), json!({ "WWW-Authenticate": challenge }));
        }
        (response.name.to_owned(), json)
    };
    COMMON.iter().map(response).collect::<Map<_, _>>().into()
}

/// A problem document (RFC 9457), with the members that the call protocol has of its own.
pub(super) fn problem() -> Value {
    json!({
        "type": "object",
        "description": "A problem document (RFC 9457).",
        "properties": {
            "type": { "type": "string", "description": "`about:blank`: the status and `code` say it all." },
            "title": { "type": "string", "description": "The phrase of the status." },
            "status": { "type": "integer", "description": "The status." },
            "detail": { "type": "string", "description": "What happened, for people." },
            "code": { "type": "string", "description": "What kind of failure it is, for programs." },
            "retryable": { "type": "boolean", "description": "Whether the same call may succeed later." },
            "details": { "description": "What programs may want to know of it." },
        },
        "required": ["type", "title", "status", "detail", "code", "retryable"],
    })
}

/// A problem document with a code of an operation's own. It says again what a problem document is, as few programs that
/// make types of a description can narrow one that it refers to.
pub(super) fn declared(error: &ErrorSpec, details: Option<Value>) -> Value {
    let mut problem = problem();
    if let Some(problem) = problem.as_object_mut() {
        problem.insert("description".to_owned(), error.description.as_str().into());
    }
    if let Some(properties) = problem.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(|field| drop(field.remove("description")));
        properties.insert("code".to_owned(), json!({ "type": "string", "const": &*error.code }));
        if let Some(details) = details {
            properties.insert("details".to_owned(), details);
        }
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use alknet_call::{CallError, ErrorCode};

    #[test]
    fn the_codes_of_the_call_protocol_are_common() {
        use ErrorCode::*;
        for code in [
            NotFound,
            Forbidden,
            Unauthenticated,
            InvalidInput,
            Timeout,
            Aborted,
            Unavailable,
            ResourceExhausted,
            Internal,
        ] {
            // What is not common is kept as a code of an operation's own.
            assert!(is_common(code.as_str()) && CallError::declared(code.as_str(), "").declared.is_none(), "{code}");
        }
        assert!(!is_common("BUSY"));
    }
}
