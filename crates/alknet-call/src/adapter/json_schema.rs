//! Operations from definitions of tools, as they are written for language models.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use alknet_core::BoxFuture;
use serde_json::Value;

use super::{AdapterError, OperationAdapter};
use crate::wire::quoted;
use crate::{
    Access, Bundle, CallError, InvalidName, OperationContext, OperationName, OperationSpec, Provenance, Schema,
    SchemaError,
};

/// The most definitions of one source.
const MAX_TOOLS: usize = 4096;

/// The longest description, in bytes; what comes longer is cut.
const MAX_DESCRIPTION: usize = 16 * 1024;

type Run = dyn Fn(Arc<str>, OperationContext, Value) -> BoxFuture<'static, Result<Value, CallError>> + Send + Sync;

/// Makes operations of definitions of tools, `{"name", "description", "inputSchema", "outputSchema"}`, where the schemas
/// may be called `input_schema` or `parameters`, and `output_schema`, too; a definition may lie in a `function` field, and
/// the list of them in a `tools` field.
///
/// The operation of a tool is called `service/tool`. For that, its name is put into lower case, and each character that an
/// operation's name cannot have becomes a `-`; those in front are dropped.
///
/// ```
/// use alknet_call::{FromJsonSchema, OperationAdapter};
/// use serde_json::{Value, json};
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let tools = json!([{ "name": "getWeather", "inputSchema": { "type": "object", "required": ["city"] } }]);
/// let adapter = FromJsonSchema::new("weather", &tools, async |tool, _, input: Value| Ok(json!([&*tool, input])))?;
/// let bundles = adapter.import().await?;
/// assert_eq!(bundles[0].spec().name.as_str(), "weather/getweather");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FromJsonSchema {
    tools: Vec<Tool>,
    access: Access,
    run: Arc<Run>,
}

struct Tool {
    name: Arc<str>,
    spec: OperationSpec,
}

impl FromJsonSchema {
    /// Reads the definitions of one tool or of several. `run` gets the tool's own name, and runs it.
    ///
    /// # Errors
    /// When a definition is none, its schema cannot be used, or two tools would have one name.
    pub fn new<F, Fut>(service: &str, definitions: &Value, run: F) -> Result<Self, ToolError>
    where
        F: Fn(Arc<str>, OperationContext, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, CallError>> + Send + 'static,
    {
        let definitions = definitions.get("tools").unwrap_or(definitions);
        let definitions = definitions.as_array().map_or(std::slice::from_ref(definitions), Vec::as_slice);
        if definitions.len() > MAX_TOOLS {
            return Err(ToolError::TooMany { count: definitions.len() });
        }
        let mut names = BTreeMap::new();
        let mut tools = Vec::with_capacity(definitions.len());
        for (place, definition) in definitions.iter().enumerate() {
            let tool = Tool::read(service, place, definition)?;
            if let Some(first) = names.insert(tool.spec.name.clone(), tool.name.clone()) {
                let operation = tool.spec.name;
                return Err(ToolError::Collision {
                    first: first.to_string(),
                    second: tool.name.to_string(),
                    operation,
                });
            }
            tools.push(tool);
        }
        let run: Arc<Run> = Arc::new(move |tool, context, input| Box::pin(run(tool, context, input)));
        Ok(Self { tools, access: Access::default(), run })
    }

    /// As [`new`](Self::new), from JSON text.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when it is no JSON.
    pub fn from_text<F, Fut>(service: &str, definitions: &str, run: F) -> Result<Self, ToolError>
    where
        F: Fn(Arc<str>, OperationContext, Value) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, CallError>> + Send + 'static,
    {
        let definitions = serde_json::from_str(definitions).map_err(|error| ToolError::Json(error.to_string()))?;
        Self::new(service, &definitions, run)
    }

    /// Says who can run the tools; without, any known peer.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    fn bundle(&self, tool: &Tool) -> Bundle {
        let (name, run) = (tool.name.clone(), self.run.clone());
        let spec = tool.spec.clone().with_access(self.access.clone());
        Bundle::call(spec, move |context: OperationContext, input: Value| run(name.clone(), context, input))
            .with_provenance(Provenance::FromJsonSchema)
    }
}

impl OperationAdapter for FromJsonSchema {
    fn provenance(&self) -> Provenance {
        Provenance::FromJsonSchema
    }

    fn import(&self) -> BoxFuture<'_, Result<Vec<Bundle>, AdapterError>> {
        Box::pin(async { Ok(self.tools.iter().map(|tool| self.bundle(tool)).collect()) })
    }
}

impl Tool {
    fn read(service: &str, place: usize, definition: &Value) -> Result<Self, ToolError> {
        let definition = definition.get("function").unwrap_or(definition);
        let Some(name) = definition.get("name").and_then(Value::as_str) else {
            return Err(ToolError::Nameless { place });
        };
        let operation =
            operation_name(service, name).map_err(|source| ToolError::Name { tool: quoted(name), source })?;
        let schema = |keys: &[&str]| {
            let schema = keys.iter().find_map(|key| definition.get(*key)).filter(|schema| !schema.is_null());
            schema.cloned().map(Schema::new).transpose()
        };
        let invalid = |source| ToolError::Schema { tool: quoted(name), source };
        let spec = OperationSpec::new(operation)
            .with_description(description(definition))
            .with_input(schema(&["inputSchema", "input_schema", "parameters"]).map_err(invalid)?)
            .with_output(schema(&["outputSchema", "output_schema"]).map_err(invalid)?);
        Ok(Self { name: name.into(), spec })
    }
}

fn operation_name(service: &str, tool: &str) -> Result<OperationName, InvalidName> {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_') => c,
        _ => '-',
    };
    let name: String = tool.chars().map(plain).collect();
    format!("{service}/{}", name.trim_start_matches(['-', '_'])).parse()
}

fn description(definition: &Value) -> &str {
    let text = definition.get("description").and_then(Value::as_str).unwrap_or_default();
    text.get(..text.floor_char_boundary(MAX_DESCRIPTION)).unwrap_or_default()
}

/// Why definitions of tools make no operations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// Not JSON.
    #[error("the definitions of tools are no JSON: {0}")]
    Json(String),
    /// More than are taken.
    #[error("there are {count} definitions of tools; at most {MAX_TOOLS} are taken")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// A definition has no name.
    #[error("the definition of a tool at place {place} (counted from 0) has no \"name\"")]
    Nameless {
        /// Its place in the list.
        place: usize,
    },
    /// No name for an operation can be made.
    #[error("the tool {tool} cannot be an operation: {source}")]
    Name {
        /// The tool, quoted.
        tool: String,
        /// What is wrong with the name that was made.
        source: InvalidName,
    },
    /// A schema cannot be used.
    #[error("the tool {tool}: {source}")]
    Schema {
        /// The tool, quoted.
        tool: String,
        /// What is wrong.
        source: SchemaError,
    },
    /// Two tools would be one operation.
    #[error("the tools \"{first}\" and \"{second}\" would both be the operation {operation}; rename one")]
    Collision {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// The name that both would have.
        operation: OperationName,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{context, identity};
    use crate::{ErrorCode, Registry};
    use serde_json::json;

    async fn echo(tool: Arc<str>, _: OperationContext, input: Value) -> Result<Value, CallError> {
        Ok(json!([&*tool, input]))
    }

    fn adapter(definitions: Value) -> Result<FromJsonSchema, ToolError> {
        FromJsonSchema::new("weather", &definitions, echo)
    }

    async fn specs(definitions: Value) -> Vec<Value> {
        let bundles = adapter(definitions).unwrap().import().await.unwrap();
        assert!(bundles.iter().all(|bundle| bundle.provenance() == Provenance::FromJsonSchema));
        bundles.iter().map(|bundle| bundle.spec().to_json()).collect()
    }

    #[tokio::test]
    async fn each_way_to_write_a_tool_gives_the_same_operation() {
        let (input, output) = (json!({ "type": "object", "required": ["city"] }), json!({ "type": "string" }));
        let expected = json!({
            "name": "/weather/get_now",
            "description": "Says how it is",
            "kind": "call",
            "access": "identified",
            "input_schema": input,
            "output_schema": output,
        });
        let tool = |input_key: &str, output_key: &str| json!({ "name": "get_now", "description": "Says how it is", input_key: input, output_key: output });
        for definitions in [
            tool("inputSchema", "outputSchema"),
            tool("input_schema", "output_schema"),
            json!([tool("parameters", "output_schema")]),
            json!({ "tools": [tool("inputSchema", "outputSchema")] }),
            json!([{ "type": "function", "function": tool("parameters", "outputSchema") }]),
        ] {
            assert_eq!(specs(definitions.clone()).await, std::slice::from_ref(&expected), "{definitions}");
        }
    }

    #[tokio::test]
    async fn names_become_those_of_operations() {
        for (tool, operation) in [
            ("getWeather", "/weather/getweather"),
            ("github.create issue", "/weather/github-create-issue"),
            ("__init__", "/weather/init__"),
            ("Über", "/weather/ber"),
            ("a/b", "/weather/a-b"),
        ] {
            assert_eq!(specs(json!({ "name": tool })).await[0]["name"], operation, "{tool}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (definitions, expected) in [
            (json!([{ "name": "a" }, {}]), "at place 1 (counted from 0) has no \"name\""),
            (json!(5), "at place 0"),
            (json!({ "name": "Ä" }), "the tool \"Ä\" cannot be an operation"),
            (json!({ "name": "x".repeat(65) }), "cannot be an operation"),
            (
                json!({ "name": "a", "parameters": { "type": "text" } }),
                "the tool \"a\": the schema cannot be used: /type",
            ),
            (
                json!([{ "name": "Get.It" }, { "name": "get-it" }]),
                "the tools \"Get.It\" and \"get-it\" would both be the operation weather/get-it; rename one",
            ),
        ] {
            let error = adapter(definitions.clone()).err().unwrap().to_string();
            assert!(error.contains(expected), "{definitions}: {error}");
        }
        assert!(matches!(FromJsonSchema::from_text("weather", "{", echo), Err(ToolError::Json(_))));
        assert!(matches!(FromJsonSchema::new("Weather", &json!({ "name": "a" }), echo), Err(ToolError::Name { .. })));
    }

    #[tokio::test]
    async fn a_tool_runs_by_its_own_name_once_it_is_exported() {
        let adapter = adapter(json!({ "name": "Get.It", "parameters": { "type": "object" } })).unwrap();
        let registry = Registry::new();
        let alice = || context(Some(identity("alice", &[])));
        let invoke = async |input| registry.invoke("weather/get-it", input, alice()).await;
        let overlay = registry.install(adapter.import().await.unwrap()).unwrap();
        assert_eq!(invoke(json!({})).await.unwrap_err().code, ErrorCode::NotFound, "imported, so internal");
        drop(overlay);
        let exported = adapter.import().await.unwrap().into_iter().map(Bundle::exported).collect();
        let _overlay = registry.install(exported).unwrap();
        assert_eq!(invoke(json!({})).await, Ok(json!(["Get.It", {}])));
        assert_eq!(invoke(json!(5)).await.unwrap_err().code, ErrorCode::InvalidInput);
    }
}
