//! Requests from inputs.

use alknet_call::CallError;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use url::Url;

use super::body::{BodyPlan, Encoded};
use super::path::PathPlan;
use super::style::{Escape, Pairs, Writing};
use crate::openapi::import::model::{AnswerKind, BODY, HttpOperation, Parameter, Place, Style};

/// Header fields that no parameter sets: those that OpenAPI says to ignore (3.1.1 §4.8.12.1), and those that belong to the
/// connection or to the message as such. Cookies are parameters of their own kind.
const RESERVED: [&str; 17] = [
    "accept",
    "authorization",
    "content-type",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How the requests of an operation are made; worked out once.
#[derive(Debug)]
pub(super) struct RequestPlan {
    method: Method,
    /// Where the service is. Without credentials, query and fragment.
    server: Url,
    path: PathPlan,
    query: Vec<Parameter>,
    headers: Vec<(HeaderName, Parameter)>,
    cookies: Vec<Parameter>,
    body: Option<BodyPlan>,
    accept: HeaderValue,
}

/// A request that has no credential yet.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) method: Method,
    /// Without the query.
    pub(super) url: Url,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) cookies: String,
    pub(super) body: Option<Bytes>,
}

impl RequestPlan {
    /// A plan for the operation at `server`. A parameter for which `is_credential` says so is left out: it is not the
    /// caller's to set.
    ///
    /// # Errors
    /// What is wrong with the description.
    pub(super) fn new(
        operation: &HttpOperation,
        server: &Url,
        is_credential: impl Fn(Place, &str) -> bool,
    ) -> Result<Self, String> {
        let callers = |parameter: &&Parameter| !is_credential(parameter.place, &parameter.name);
        let parameters: Vec<_> = operation.parameters.iter().filter(callers).collect();
        let of = |place| parameters.iter().copied().filter(move |parameter| parameter.place == place);
        let switch = operation.answer.switch.as_deref();
        let switch = switch.map(|field| (field, operation.answer.kind == AnswerKind::Events));
        Ok(Self {
            method: operation.method.clone(),
            server: bare(server)?,
            path: PathPlan::new(&operation.path, &operation.parameters)?,
            query: of(Place::Query).cloned().collect(),
            headers: of(Place::Header).filter_map(header).collect::<Result<_, _>>()?,
            cookies: of(Place::Cookie).cloned().collect(),
            body: operation.body.as_ref().map(|body| BodyPlan::new(body, switch)).transpose()?,
            accept: accept(&operation.answer.accept)?,
        })
    }

    /// Where the requests go.
    pub(super) fn server(&self) -> &Url {
        &self.server
    }

    /// Makes a request of an input.
    pub(super) fn draft(&self, input: Value) -> Result<Draft, CallError> {
        let mut input = match input {
            Value::Object(input) => input,
            Value::Null => Map::new(),
            _ => return Err(CallError::invalid_input("the input is no object")),
        };
        let mut url = self.server.clone();
        url.set_path(&self.path.fill(self.server.path(), &input)?);
        let mut headers = self.headers(&input)?;
        let body = self.body.as_ref().map(|body| body.encode(input.remove(BODY))).transpose()?.flatten();
        let body = body.map(|Encoded { content_type, bytes }| {
            headers.insert(CONTENT_TYPE, content_type);
            bytes
        });
        Ok(Draft {
            method: self.method.clone(),
            url,
            query: self.query(&input)?,
            headers,
            cookies: self.cookies(&input)?,
            body,
        })
    }

    fn query(&self, input: &Map<String, Value>) -> Result<String, CallError> {
        let mut pairs = Pairs::new("&");
        if !self.path.query.is_empty() {
            pairs.extend(&self.path.query);
        }
        for parameter in &self.query {
            let escape = if parameter.allow_reserved { Escape::KeepReserved } else { Escape::Component };
            if let Some(written) = write(parameter, escape, "&", input)? {
                pairs.extend(&written);
            }
        }
        Ok(pairs.finish().unwrap_or_default())
    }

    fn cookies(&self, input: &Map<String, Value>) -> Result<String, CallError> {
        let mut pairs = Pairs::new("; ");
        for parameter in &self.cookies {
            if let Some(written) = write(parameter, Escape::Component, "; ", input)? {
                pairs.extend(&written);
            }
        }
        Ok(pairs.finish().unwrap_or_default())
    }

    fn headers(&self, input: &Map<String, Value>) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 4);
        headers.insert(ACCEPT, self.accept.clone());
        for (name, parameter) in &self.headers {
            if let Some(written) = write(parameter, Escape::Nothing, "", input)? {
                let value = HeaderValue::try_from(written).map_err(|_| {
                    let message = format!("/{} is a header field, and can have no control characters", parameter.key);
                    CallError::invalid_input(message)
                })?;
                headers.insert(name.clone(), value);
            }
        }
        Ok(headers)
    }
}

impl Draft {
    /// The request itself.
    pub(super) fn finish(self) -> Result<reqwest::Request, CallError> {
        let Self { method, mut url, query, mut headers, cookies, body } = self;
        if !query.is_empty() {
            url.set_query(Some(&query));
        }
        if !cookies.is_empty() {
            let mut value = HeaderValue::try_from(cookies).map_err(CallError::internal)?;
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(Into::into);
        Ok(request)
    }
}

/// The value of a parameter as it is written; none if the input has none.
fn write(
    parameter: &Parameter,
    escape: Escape,
    separator: &str,
    input: &Map<String, Value>,
) -> Result<Option<String>, CallError> {
    let Parameter { name, key, style, explode, required, .. } = parameter;
    match input.get(key) {
        Some(value) if !value.is_null() => {
            Ok(Writing { name, style: *style, explode: *explode, escape }.write(value, separator))
        }
        _ if *required => Err(CallError::invalid_input(format!("/{key} is missing"))),
        _ => Ok(None),
    }
}

/// The name of a header parameter; none for those that are ignored.
fn header(parameter: &Parameter) -> Option<Result<(HeaderName, Parameter), String>> {
    let name = match HeaderName::try_from(&parameter.name) {
        Ok(name) => name,
        Err(_) => return Some(Err(format!("{:?} is no name of a header field", parameter.name))),
    };
    // Whatever the description says: no other style is one of header fields.
    let style = if parameter.style == Style::Json { Style::Json } else { Style::Simple };
    (!RESERVED.contains(&name.as_str())).then(|| Ok((name, Parameter { style, ..parameter.clone() })))
}

fn accept(types: &[String]) -> Result<HeaderValue, String> {
    let text = if types.is_empty() { "*/*".to_owned() } else { types.join(", ") };
    HeaderValue::try_from(&text).map_err(|_| format!("{text:?} are no media types"))
}

/// A server without what is no part of where it is. A user in it would become a credential.
fn bare(server: &Url) -> Result<Url, String> {
    let mut server = server.clone();
    if !matches!(server.scheme(), "http" | "https") || !server.has_host() {
        return Err(format!("the server {} is no URL of http or https", server.origin().ascii_serialization()));
    }
    // The two fail for URLs without a host only.
    let _ = server.set_username("");
    let _ = server.set_password(None);
    server.set_query(None);
    server.set_fragment(None);
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::import::model::{Answer, BodyEncoding, RequestBody};
    use serde_json::json;

    fn parameter(name: &str, place: Place, style: Style, explode: bool) -> Parameter {
        Parameter {
            name: name.into(),
            key: name.to_lowercase(),
            place,
            style,
            explode,
            allow_reserved: false,
            required: false,
        }
    }

    fn operation(parameters: Vec<Parameter>) -> HttpOperation {
        HttpOperation {
            name: "a".into(),
            method: Method::PUT,
            path: "/x/{id}?fixed=1".into(),
            servers: vec![],
            description: String::new(),
            parameters,
            body: Some(RequestBody { required: false, encoding: BodyEncoding::Json("application/json".into()) }),
            answer: Answer { kind: AnswerKind::One, accept: vec!["a/b".into(), "c/d".into()], switch: None },
            security: vec![],
            input: None,
            output: None,
            errors: vec![],
            remarks: vec![],
        }
    }

    fn plan(mut parameters: Vec<Parameter>) -> RequestPlan {
        parameters.push(Parameter { required: true, ..parameter("id", Place::Path, Style::Simple, false) });
        let server = "https://user:pass@a.example:444/v1/?q#f".parse().unwrap();
        RequestPlan::new(&operation(parameters), &server, |_, name| name == "key").unwrap()
    }

    #[test]
    fn each_parameter_goes_to_its_place() {
        let plan = plan(vec![
            parameter("Filter", Place::Query, Style::DeepObject, true),
            parameter("Tag", Place::Query, Style::Form, true),
            parameter("X-Trace", Place::Header, Style::Simple, false),
            parameter("session", Place::Cookie, Style::Form, true),
            parameter("list", Place::Cookie, Style::Form, true),
        ]);
        let input = json!({
            "id": "7", "filter": { "a": "b" }, "tag": ["x", "y&z"], "x-trace": ["a b", "c"], "session": "s;1",
            "list": [1, 2], "body": { "k": 1 }, "unknown": 1,
        });
        let request = plan.draft(input).unwrap().finish().unwrap();
        assert_eq!(request.method(), Method::PUT);
        assert_eq!(
            request.url().as_str(),
            "https://a.example:444/v1/x/7?fixed=1&filter%5Ba%5D=b&tag=x&tag=y%26z"
                .replace("filter", "Filter")
                .replace("tag", "Tag")
        );
        let header = |name: &str| request.headers()[name].to_str().unwrap();
        assert_eq!(
            [header("x-trace"), header("cookie"), header("accept"), header("content-type")],
            ["a b,c", "session=s%3B1; list=1; list=2", "a/b, c/d", "application/json"]
        );
        assert_eq!(request.body().unwrap().as_bytes().unwrap(), b"{\"k\":1}");
        assert_eq!(request.headers().len(), 4);
    }

    #[test]
    fn what_is_not_the_callers_to_set_stays_out() {
        let names = ["Accept", "authorization", "Content-Type", "HOST", "Cookie", "Content-Length", "key"];
        let mut parameters: Vec<_> = names.map(|name| parameter(name, Place::Header, Style::Simple, false)).into();
        parameters.push(parameter("key", Place::Query, Style::Form, true));
        let names = names.map(|name| (name.to_lowercase(), json!("evil"))).into_iter();
        let input: Map<_, _> = names.chain([("id".to_owned(), json!(1))]).collect();
        let request = plan(parameters).draft(input.into()).unwrap().finish().unwrap();
        assert!(!format!("{request:?}").contains("evil"), "{request:?}");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let plan = plan(vec![
            parameter("h", Place::Header, Style::Simple, false),
            Parameter { required: true, ..parameter("q", Place::Query, Style::Form, true) },
        ]);
        for (input, expected) in [
            (json!(5), "the input is no object"),
            (json!(null), "/id is missing"),
            (json!({ "id": 1 }), "/q is missing"),
            (json!({ "id": 1, "q": null }), "/q is missing"),
            (json!({ "id": 1, "q": 1, "h": "a\r\nb: c" }), "/h is a header field"),
            (json!({ "id": 1, "q": 1, "h": "a\u{0}" }), "/h is a header field"),
        ] {
            let error = plan.draft(input.clone()).unwrap_err();
            assert!(error.message.contains(expected), "{input}: {error}");
            assert_eq!(error.code, alknet_call::ErrorCode::InvalidInput);
        }
    }

    #[test]
    fn a_description_that_makes_no_request_is_refused() {
        let refuse = |operation: HttpOperation, server: &str| {
            RequestPlan::new(&operation, &server.parse().unwrap(), |_, _| false).unwrap_err()
        };
        let id = || vec![parameter("id", Place::Path, Style::Simple, false)];
        assert!(refuse(operation(id()), "ftp://a.example").contains("is no URL of http"));
        assert!(refuse(operation(vec![]), "http://a.example").contains("{id}, which is no parameter"));
        let bad = id().into_iter().chain([parameter("a b", Place::Header, Style::Simple, false)]).collect();
        assert!(refuse(operation(bad), "http://a.example").contains("no name of a header field"));
    }
}
