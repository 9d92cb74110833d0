//! What an operation is, apart from the code that runs it.

mod json;
mod name;
mod pattern;
mod pointer;

use std::sync::Arc;

use alknet_core::Scope;

pub use json::InvalidSpec;
pub use name::{InvalidName, OperationName};
pub use pattern::{InvalidPattern, OperationPattern};
pub use pointer::{InvalidPointer, JsonPointer};

use crate::Schema;

/// Who can see an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Visibility {
    /// Whoever passes its [`Access`].
    #[default]
    External,
    /// Nobody outside this process: to the wire it is not there.
    Internal,
}

/// What a caller must be to run an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Access {
    /// Anybody.
    Public,
    /// Any peer that the node knows.
    #[default]
    Identified,
    /// A peer that holds all of these scopes.
    Scopes(Vec<Scope>),
}

/// How an operation answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OperationKind {
    /// With one output.
    #[default]
    Call,
    /// With outputs until it ends.
    Subscription,
}

impl OperationKind {
    /// The kind as it is written: `call` or `subscription`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Subscription => "subscription",
        }
    }
}

/// The resource that an operation works on; its caller must own it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceAccess {
    /// What kind of thing it is: `tty`, `container`, …
    pub kind: Arc<str>,
    /// What the operation does with it, for the ownership store to decide on: `write`, `list`, …
    pub action: Arc<str>,
    /// Where in the input its id stands. An operation without it works on no single one: it lists, and its handler shows
    /// only what is the caller's.
    pub id_path: Option<JsonPointer>,
}

/// That a successful call of an operation leaves a new resource behind, whose owner is the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spawns {
    /// What kind of thing it is.
    pub kind: Arc<str>,
    /// Where in the **output** its id stands.
    pub id_path: JsonPointer,
}

/// That the output of an operation lists resources, so that a proxy can take out what is not its own caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// What kind of things they are.
    pub kind: Arc<str>,
    /// Where in the output the array of them stands.
    pub items: JsonPointer,
    /// Where in an item of it the id stands.
    pub id: JsonPointer,
}

/// That a subscription can go on where another one has ended: a value out of an event, put into the input of a new
/// request, makes that begin behind the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumes {
    /// Where in an **event** the value stands, a string or an integer. One can go on behind the events that have it.
    pub event: JsonPointer,
    /// Where in the **input** it goes.
    pub input: JsonPointer,
}

/// A failure of an operation's own.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ErrorSpec {
    /// Its code, as [`CallError::declared`](crate::CallError::declared) takes it: `BUSY`.
    pub code: Box<str>,
    /// When it comes, in a sentence for people.
    pub description: String,
    /// What its details are.
    pub details: Option<Schema>,
}

impl ErrorSpec {
    /// A failure without a description of its details.
    pub fn new(code: impl Into<Box<str>>, description: impl Into<String>) -> Self {
        Self { code: code.into(), description: description.into(), details: None }
    }

    /// Says what its details are.
    #[must_use]
    pub fn with_details(mut self, details: Schema) -> Self {
        self.details = Some(details);
        self
    }
}

/// Describes an operation. Unless said otherwise it is a call, for any known peer, from outside too.
///
/// ```
/// use alknet_call::{Access, OperationSpec, Schema};
/// use serde_json::json;
/// let spec = OperationSpec::new("tty/write".parse()?)
///     .with_description("Types into a terminal")
///     .with_access(Access::Scopes(vec!["tty:write".parse()?]))
///     .with_input(Schema::new(json!({ "type": "object", "required": ["id"] }))?)
///     .with_resource("tty", "write", Some("/id".parse()?));
/// assert_eq!(spec.to_json()["resource_id_path"], "/id");
/// assert_eq!(OperationSpec::from_json(&spec.to_json())?, spec);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OperationSpec {
    /// Its name.
    pub name: OperationName,
    /// What it does, in a sentence for people.
    pub description: String,
    /// How it answers. Set by what it is registered as.
    pub kind: OperationKind,
    /// Who can see it.
    pub visibility: Visibility,
    /// Who can run it.
    pub access: Access,
    /// What it works on.
    pub resource: Option<ResourceAccess>,
    /// What it leaves behind.
    pub spawns: Option<Spawns>,
    /// What it lists.
    pub lists: Option<Lists>,
    /// How to go on with it after it was cut off, if it is a subscription.
    pub resumes: Option<Resumes>,
    /// What input it takes; anything, if none is given. Calls with any other input do not get to the handler.
    pub input: Option<Schema>,
    /// What an output of it is, for those who call it; it is not checked.
    pub output: Option<Schema>,
    /// How it fails, apart from the ways in which everything can.
    pub errors: Vec<ErrorSpec>,
}

impl OperationSpec {
    /// A call for known peers, without a description.
    pub fn new(name: OperationName) -> Self {
        Self {
            name,
            description: String::new(),
            kind: OperationKind::default(),
            visibility: Visibility::default(),
            access: Access::default(),
            resource: None,
            spawns: None,
            lists: None,
            resumes: None,
            input: None,
            output: None,
            errors: Vec::new(),
        }
    }

    /// Says what it does, in a sentence for people.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Says how it answers.
    #[must_use]
    pub fn with_kind(mut self, kind: OperationKind) -> Self {
        self.kind = kind;
        self
    }

    /// Says who can see it.
    #[must_use]
    pub fn with_visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Says who can run it.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Says what it works on, and where in the input the id of that stands.
    #[must_use]
    pub fn with_resource(
        mut self,
        kind: impl Into<Arc<str>>,
        action: impl Into<Arc<str>>,
        id_path: Option<JsonPointer>,
    ) -> Self {
        self.resource = Some(ResourceAccess { kind: kind.into(), action: action.into(), id_path });
        self
    }

    /// Says what it leaves behind, and where in the output the id of that stands.
    #[must_use]
    pub fn with_spawns(mut self, kind: impl Into<Arc<str>>, id_path: JsonPointer) -> Self {
        self.spawns = Some(Spawns { kind: kind.into(), id_path });
        self
    }

    /// Says what it lists: where in the output they stand, and where in each its id.
    #[must_use]
    pub fn with_lists(mut self, kind: impl Into<Arc<str>>, items: JsonPointer, id: JsonPointer) -> Self {
        self.lists = Some(Lists { kind: kind.into(), items, id });
        self
    }

    /// Says how to go on with it after it was cut off: which value of an event, put where in the input.
    #[must_use]
    pub fn with_resumes(mut self, event: JsonPointer, input: JsonPointer) -> Self {
        self.resumes = Some(Resumes { event, input });
        self
    }

    /// Says what input it takes.
    #[must_use]
    pub fn with_input(mut self, input: impl Into<Option<Schema>>) -> Self {
        self.input = input.into();
        self
    }

    /// Says what an output of it is.
    #[must_use]
    pub fn with_output(mut self, output: impl Into<Option<Schema>>) -> Self {
        self.output = output.into();
        self
    }

    /// Adds a way in which it fails.
    #[must_use]
    pub fn with_error(mut self, error: ErrorSpec) -> Self {
        self.errors.push(error);
        self
    }
}
