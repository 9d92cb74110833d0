//! What a service offers, once its description has been read. Nothing in here depends on the version of OpenAPI that the
//! description was written in, and every `$ref` has been followed.

use std::collections::BTreeMap;

use alknet_call::{ErrorSpec, Schema};
use http::Method;
use url::Url;

/// A description that was read.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// What it calls itself.
    pub(crate) title: String,
    /// The version of the service's interface.
    pub(crate) version: String,
    /// Where the service is: the first one is used. Variables have their defaults.
    pub(crate) servers: Vec<Url>,
    /// How it wants to know who calls, by the names that operations refer to.
    pub(crate) schemes: BTreeMap<String, SecurityScheme>,
    /// What it offers, in the order of their names.
    pub(crate) operations: Vec<HttpOperation>,
    /// What it offers and cannot be called, with the reason.
    pub(crate) left_out: Vec<LeftOut>,
}

/// An operation that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Method and path, as the description has them: `GET /pets/{id}`.
    pub(crate) operation: String,
    /// Why not.
    pub(crate) reason: String,
}

/// One operation of the service.
#[derive(Debug, Clone)]
pub(crate) struct HttpOperation {
    /// What it is called here, after the name of the source: one or more words of an `OperationName`, `pets/list`.
    pub(crate) name: String,
    /// The method.
    pub(crate) method: Method,
    /// The path with its parameters in braces, `/pets/{id}`, to be put behind the server's.
    pub(crate) path: String,
    /// Its own servers, which stand in for those of the service unless there are none.
    pub(crate) servers: Vec<Url>,
    /// For people: summary and description.
    pub(crate) description: String,
    /// What goes into path, query, headers and cookies.
    pub(crate) parameters: Vec<Parameter>,
    /// What the body is made of; none if it has none.
    pub(crate) body: Option<RequestBody>,
    /// How it answers.
    pub(crate) answer: Answer,
    /// Who may call: one of these sets of schemes has to be satisfied whole. None at all, or an empty set among them, says
    /// that it needs no credential.
    pub(crate) security: Vec<Vec<SchemeUse>>,
    /// What an input has to look like: an object with the parameters by their keys, and `body`.
    pub(crate) input: Option<Schema>,
    /// What it gives.
    pub(crate) output: Option<Schema>,
    /// The errors that are declared, as `HTTP_404`.
    pub(crate) errors: Vec<ErrorSpec>,
    /// What of the description had to be given up, for people: `the schema of the output is left out: …`.
    pub(crate) remarks: Vec<String>,
}

/// The key that the body has in an input.
pub(crate) const BODY: &str = "body";

/// Something that goes into the request outside of its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Its name in the request.
    pub(crate) name: String,
    /// Its key in the input: the name, unless two parameters have that one (`id` and `id-query`) or it is [`BODY`].
    pub(crate) key: String,
    /// Where it goes.
    pub(crate) place: Place,
    /// How a value is written there.
    pub(crate) style: Style,
    /// Whether each item of a list and each field of an object stands for itself.
    pub(crate) explode: bool,
    /// Whether reserved characters (RFC 3986 §2.2) stay as they are. Query only.
    pub(crate) allow_reserved: bool,
    /// Whether a request without it makes no sense.
    pub(crate) required: bool,
}

/// Where a parameter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

/// How the value of a parameter is written (OpenAPI 3.1.1 §4.8.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    /// As JSON in one text: a parameter with `content` in place of a schema.
    Json,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestBody {
    /// Whether a request without it makes no sense.
    pub(crate) required: bool,
    /// How it is written.
    pub(crate) encoding: BodyEncoding,
}

/// How a body is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BodyEncoding {
    /// As JSON, under this media type (`application/json`, `application/merge-patch+json`, …).
    Json(String),
    /// As `application/x-www-form-urlencoded`; how each field that the description says something about is written.
    Form(BTreeMap<String, FieldEncoding>),
    /// As `multipart/form-data`; how each part that the description says something about is written.
    Multipart(BTreeMap<String, PartEncoding>),
    /// As it is: the value is a text.
    Text(String),
    /// The bytes that the value, a text in base64, stands for.
    Binary(String),
}

/// A field of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldEncoding {
    pub(crate) style: Style,
    pub(crate) explode: bool,
    pub(crate) allow_reserved: bool,
}

/// A part of a multipart body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartEncoding {
    /// Its media type; without, that of its value (text, or JSON for objects).
    pub(crate) content_type: Option<String>,
    /// Whether its value is a text in base64, or an object `{"data": base64, "filename"?, "content_type"?}`, and goes as
    /// a file.
    pub(crate) file: bool,
}

/// How an operation answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Once, or with events.
    pub(crate) kind: AnswerKind,
    /// The media types to ask for, the preferred one first.
    pub(crate) accept: Vec<String>,
    /// A field of the body that says whether to answer with events, as `stream` does with OpenAI's: it is set as `kind`
    /// needs it, and no part of the input.
    pub(crate) switch: Option<String>,
}

/// See [`Answer::kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// With one body.
    One,
    /// With server-sent events, so that the operation is a subscription.
    Events,
}

/// How a service wants to know who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecurityScheme {
    /// `Authorization: Bearer` (RFC 6750); also for OpenID Connect and OAuth2 flows that need a person, whose result the
    /// operator keeps in the vault.
    Bearer,
    /// `Authorization: Basic` (RFC 7617).
    Basic,
    /// A key of the service's own.
    ApiKey { name: String, place: Place },
    /// A token that is fetched with the client's credentials (RFC 6749 §4.4).
    ClientCredentials { token_url: Url },
    /// One that is not supported, with its name.
    Unsupported(String),
}

/// The use of a scheme by an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SchemeUse {
    /// The name of the scheme.
    pub(crate) scheme: String,
    /// The scopes that a token needs.
    pub(crate) scopes: Vec<String>,
}
