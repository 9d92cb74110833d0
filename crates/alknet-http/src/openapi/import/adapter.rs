//! Operations from the description of a service.

use std::collections::BTreeMap;
use std::sync::Arc;

use alknet_call::{
    Access, AdapterError, Bundle, Capabilities, InvalidName, OperationAdapter, OperationContext, OperationKind,
    OperationName, OperationPattern, OperationSpec, Provenance,
};
use alknet_core::BoxFuture;
use http::Method;
use serde_json::Value;
use url::Url;

use super::model::{AnswerKind, HttpOperation, LeftOut, SecurityScheme, Service};
use super::read::{DescriptionError, Source, read};
use super::run::{HttpCall, Tokens};
use crate::HttpClient;

/// What of a service is imported, and how. It has no `Debug`: there may be secrets in it.
#[derive(Clone)]
pub struct ImportOptions {
    /// Which operations: those that one of these names, without the name of the source (`issues/*`) or with it
    /// (`github/issues/*`). Default: all.
    pub operations: Vec<OperationPattern>,
    /// Who can run them. Default: any known peer.
    pub access: Access,
    /// Whether they can be seen from outside. Default: they are internal.
    pub exported: bool,
    /// Where the service is, in the place of all servers that the description names. Without, the credentials go where
    /// the description says.
    pub server: Option<Url>,
    /// The secrets to call it with, by the names of the description's security schemes; the one called `*` is for each
    /// scheme that has none of its own. A service that describes no schemes at all gets it as a bearer token.
    pub capabilities: Capabilities,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            operations: "**".parse().into_iter().collect(),
            access: Access::default(),
            exported: false,
            server: None,
            capabilities: Capabilities::default(),
        }
    }
}

impl ImportOptions {
    /// Whether the operation `name` of the source is imported.
    pub(crate) fn wants(&self, source: &str, name: &str) -> bool {
        let Ok(full) = format!("{source}/{name}").parse() else { return false };
        self.operations.iter().any(|pattern| names(pattern, source, &full))
    }
}

fn names(pattern: &OperationPattern, source: &str, full: &OperationName) -> bool {
    pattern.matches(full) || pattern.prefixed(source).is_ok_and(|pattern| pattern.matches(full))
}

/// Makes operations of the description of an HTTP service. Each is called `source/operation`; one that answers with events
/// is a subscription. Their input is an object with the parameters by name, and the `body`.
///
/// The output is the value of an answer that is JSON, the string of one that is text, `{"content_type", "data"}` with base64
/// of any other, and `null` for none. It is passed on even if it is not what the description declares. An event is its data;
/// or `{"event", "data"}`, if it has a type that the data does not say in a field `type` of its own. An answer that is no
/// success is an error whose details have the `status`, the `body` and `retry_after_seconds`.
///
/// The secrets for a call are the call's [capabilities](OperationContext::capabilities), and come from nowhere else. They
/// stand in no output and in no error, even if the service sends them back.
///
/// ```
/// use alknet_call::{Capabilities, OperationAdapter, Registry};
/// use alknet_http::{DescriptionSource, FromOpenApi, HttpClient, ImportOptions, OutboundConfig};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let description = r#"
/// openapi: 3.1.0
/// info: { title: Pets, version: 1.0.0 }
/// servers: [{ url: https://pets.example/v1 }]
/// security: [{ key: [] }]
/// components: { securitySchemes: { key: { type: apiKey, in: header, name: x-api-key } } }
/// paths:
///   /pets/{id}:
///     get:
///       operationId: pets/get
///       parameters: [{ name: id, in: path, required: true, schema: { type: integer } }]
///       responses: { "200": { description: The pet } }
/// "#;
/// let options = ImportOptions {
///     operations: vec!["pets/*".parse()?],
///     capabilities: Capabilities::default().with("key", "from the vault".to_owned()),
///     ..ImportOptions::default()
/// };
/// let client = HttpClient::new(&OutboundConfig::default())?;
/// let import = FromOpenApi::new("shop", description, &DescriptionSource::File("pets.yaml".into()), options, client)?;
/// assert_eq!(import.left_out().count(), 0);
/// let registry = Registry::new();
/// let _overlay = registry.install(import.import().await?)?;
/// assert!(registry.spec("shop/pets/get").is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FromOpenApi {
    title: String,
    version: String,
    operations: Vec<Operation>,
    left_out: Vec<LeftOut>,
    remarks: Vec<(OperationName, String)>,
    unmatched: Vec<OperationPattern>,
    exported: bool,
    capabilities: Capabilities,
}

struct Operation {
    spec: OperationSpec,
    method: Method,
    path: String,
    call: Arc<HttpCall>,
}

/// An operation that is imported.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Offered<'a> {
    /// The operation.
    pub spec: &'a OperationSpec,
    /// The method of its requests.
    pub method: &'a Method,
    /// Their path as the description has it: `/pets/{id}`.
    pub path: &'a str,
}

impl FromOpenApi {
    /// Reads the description of a service that is called `name` here, and plans its operations. Nothing is sent.
    ///
    /// # Errors
    /// When `name` is no word of an operation's name, or the text is no description. What of it cannot be used is no error:
    /// [`left_out`](Self::left_out) tells.
    pub fn new(
        name: &str,
        description: &str,
        source: &Source,
        options: ImportOptions,
        client: HttpClient,
    ) -> Result<Self, ImportError> {
        let service = read(description, source, &|operation| options.wants(name, operation))?;
        Self::of(name, service, options, client)
    }

    /// Plans the operations of a service that is called `source` here.
    pub(crate) fn of(
        source: &str,
        service: Service,
        options: ImportOptions,
        client: HttpClient,
    ) -> Result<Self, ImportError> {
        // Any operation would do: what is to be found out is whether the source is a word of a name.
        format!("{source}/x").parse::<OperationName>().map_err(ImportError::Name)?;
        let Service { title, version, servers, schemes, operations, left_out } = service;
        let tokens = Arc::new(Tokens::new(client));
        let planner = Planner { source, options: &options, servers, schemes, tokens };
        let mut import = Self {
            title,
            version,
            operations: Vec::with_capacity(operations.len()),
            left_out,
            remarks: Vec::new(),
            unmatched: Vec::new(),
            exported: options.exported,
            capabilities: options.capabilities.clone(),
        };
        for mut operation in operations.into_iter().filter(|operation| options.wants(source, &operation.name)) {
            let remarks = std::mem::take(&mut operation.remarks);
            match planner.plan(&operation) {
                Ok(planned) => {
                    let named = |remark| (planned.spec.name.clone(), remark);
                    import.remarks.extend(remarks.into_iter().map(named));
                    import.operations.push(planned);
                }
                Err(reason) => {
                    let operation = format!("{} {}", operation.method, operation.path);
                    import.left_out.push(LeftOut { operation, reason });
                }
            }
        }
        let unmatched = |pattern: &&OperationPattern| {
            !import.operations.iter().any(|operation| names(pattern, source, &operation.spec.name))
        };
        import.unmatched = options.operations.iter().filter(unmatched).cloned().collect();
        Ok(import)
    }

    /// What the service calls itself.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The version of the service's interface, as it calls it.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The operations that are imported.
    pub fn operations(&self) -> impl Iterator<Item = &OperationSpec> {
        self.operations.iter().map(|operation| &operation.spec)
    }

    /// The operations that are imported, with the requests that they make.
    pub fn offered(&self) -> impl Iterator<Item = Offered<'_>> {
        self.operations.iter().map(|Operation { spec, method, path, .. }| Offered { spec, method, path })
    }

    /// The operations that are imported, for a registry.
    pub fn bundles(&self) -> Vec<Bundle> {
        self.operations.iter().map(|operation| self.bundle(operation)).collect()
    }

    /// What the description offers and cannot be called, as `GET /pets/{id}`, with the reason.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        self.left_out.iter().map(|left_out| (left_out.operation.as_str(), left_out.reason.as_str()))
    }

    /// What of an operation's description had to be given up.
    pub fn remarks(&self) -> impl Iterator<Item = (&OperationName, &str)> {
        self.remarks.iter().map(|(name, remark)| (name, remark.as_str()))
    }

    /// The patterns that name no operation: misspelt, most likely.
    pub fn unmatched(&self) -> &[OperationPattern] {
        &self.unmatched
    }

    fn bundle(&self, operation: &Operation) -> Bundle {
        let (spec, call) = (operation.spec.clone(), operation.call.clone());
        let bundle = match spec.kind {
            OperationKind::Subscription => {
                Bundle::subscription(spec, move |context, input| call.clone().subscribe(context, input))
            }
            _ => Bundle::call(spec, move |context: OperationContext, input: Value| {
                let call = call.clone();
                async move { call.run(&context, input).await }
            }),
        };
        let bundle = bundle.with_provenance(Provenance::FromOpenApi).with_capabilities(self.capabilities.clone());
        if self.exported { bundle.exported() } else { bundle }
    }
}

impl OperationAdapter for FromOpenApi {
    fn provenance(&self) -> Provenance {
        Provenance::FromOpenApi
    }

    fn import(&self) -> BoxFuture<'_, Result<Vec<Bundle>, AdapterError>> {
        Box::pin(async { Ok(self.bundles()) })
    }
}

/// What the operations of a source have in common.
struct Planner<'a> {
    source: &'a str,
    options: &'a ImportOptions,
    servers: Vec<Url>,
    schemes: BTreeMap<String, SecurityScheme>,
    tokens: Arc<Tokens>,
}

impl Planner<'_> {
    /// Makes a plan, or gives the reason why there can be none.
    fn plan(&self, operation: &HttpOperation) -> Result<Operation, String> {
        let name: OperationName =
            format!("{}/{}", self.source, operation.name).parse().map_err(|error: InvalidName| error.to_string())?;
        let servers = self.options.server.iter().chain(&operation.servers).chain(&self.servers);
        let server =
            servers.into_iter().next().ok_or("it names no server, and none was given: server = \"https://…\"")?;
        let call = HttpCall::new(name.clone(), operation, server, &self.schemes, self.tokens.clone())?;
        let (method, path) = (operation.method.clone(), operation.path.clone());
        Ok(Operation { spec: self.spec(name, operation), method, path, call: Arc::new(call) })
    }

    fn spec(&self, name: OperationName, operation: &HttpOperation) -> OperationSpec {
        let kind = match operation.answer.kind {
            AnswerKind::One => OperationKind::Call,
            AnswerKind::Events => OperationKind::Subscription,
        };
        let spec = OperationSpec::new(name)
            .with_description(operation.description.as_str())
            .with_kind(kind)
            .with_access(self.options.access.clone())
            .with_input(operation.input.clone())
            .with_output(operation.output.clone());
        operation.errors.iter().cloned().fold(spec, OperationSpec::with_error)
    }
}

/// Why a service cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source cannot be called that.
    #[error("the name of the source makes no names of operations: {0}")]
    Name(#[source] InvalidName),
    /// What was read is no description.
    #[error(transparent)]
    Description(#[from] DescriptionError),
}

#[cfg(test)]
mod tests;
