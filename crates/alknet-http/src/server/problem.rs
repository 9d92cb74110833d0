//! Errors as problem documents (RFC 9457).

use alknet_call::{CallError, ErrorCode};
use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;

/// A problem document. `code`, `retryable` and `details` are extension members (RFC 9457 §3.2) with the words of the call
/// protocol.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Value>,
}

/// The answer to a call that failed.
pub(crate) fn of_call(error: &CallError) -> Response {
    with_status(status(error), error)
}

/// As [`of_call`], where HTTP has a status that says more than the code.
pub(crate) fn with_status(status: StatusCode, error: &CallError) -> Response {
    let mut response = Response::new(Body::from(document(status, error)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §11.6.1: a 401 names the scheme.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The answer to a method that a resource does not have.
pub(crate) fn wrong_method(allowed: &'static str) -> Response {
    let error = CallError::invalid_input(format!("the method is not allowed here; use one of {allowed}"));
    let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED, &error);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The document for a call that fails after the head of its answer.
pub(crate) fn document_of_call(error: &CallError) -> Vec<u8> {
    document(status(error), error)
}

fn document(status: StatusCode, error: &CallError) -> Vec<u8> {
    let problem = Problem {
        // RFC 9457 §4.2.1: the status says it all, and the title is its phrase.
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        detail: &error.message,
        code: error.wire_code(),
        retryable: error.retryable,
        details: error.details.as_ref(),
    };
    // Writing strings and JSON as JSON does not fail.
    serde_json::to_vec(&problem).unwrap_or_default()
}

fn status(error: &CallError) -> StatusCode {
    if error.declared.is_some() {
        // It is of the operation's own making, and no trouble of the node's.
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    match error.code {
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Aborted | ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn document(response: Response) -> Value {
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn an_error_is_a_problem_with_its_code() {
        let error =
            CallError::new(ErrorCode::Forbidden, "/tty/spawn needs the scope tty:spawn").with_details(json!([1]));
        let response = of_call(&error);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let expected = json!({
            "type": "about:blank", "title": "Forbidden", "status": 403, "code": "FORBIDDEN", "retryable": false,
            "detail": "/tty/spawn needs the scope tty:spawn", "details": [1],
        });
        assert_eq!(document(response).await, expected);
    }

    #[tokio::test]
    async fn an_operations_own_code_is_told() {
        let response = of_call(&CallError::declared("BUSY", "later"));
        assert_eq!(response.status(), 422);
        assert_eq!(document(response).await["code"], "BUSY");
    }

    #[test]
    fn each_code_has_its_status() {
        use ErrorCode::*;
        let codes = [
            NotFound,
            Forbidden,
            Unauthenticated,
            InvalidInput,
            Timeout,
            Aborted,
            Unavailable,
            ResourceExhausted,
            Internal,
        ];
        let statuses = codes.map(|code| of_call(&CallError::new(code, "")).status().as_u16());
        assert_eq!(statuses, [404, 403, 401, 400, 504, 503, 503, 429, 500]);
        assert!(of_call(&CallError::new(Unauthenticated, "")).headers().contains_key(WWW_AUTHENTICATE));
    }
}
