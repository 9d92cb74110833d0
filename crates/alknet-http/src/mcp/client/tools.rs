//! Operations from a list of tools.

use std::sync::Arc;

use alknet_call::{
    Bundle, Capabilities, ErrorSpec, OperationContext, OperationKind, OperationName, OperationPattern, OperationSpec,
    Provenance, Schema,
};
use serde_json::Value;

use super::adapter::{Listed, McpOptions, matches};
use super::call::McpCall;
use super::error::PROTOCOL_ERROR;
use super::listing::Tool;
use super::names::{STREAM, names};
use super::result::TOOL_ERROR;
use super::server::Server;

/// The tools of a server, as operations.
pub struct McpTools {
    title: String,
    version: String,
    protocol: String,
    operations: Vec<Operation>,
    left_out: Vec<(String, String)>,
    remarks: Vec<(OperationName, String)>,
    unmatched: Vec<OperationPattern>,
    exported: bool,
    capabilities: Capabilities,
}

struct Operation {
    spec: OperationSpec,
    call: Arc<McpCall>,
}

/// An operation that is imported.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct McpOffered<'a> {
    /// The operation.
    pub spec: &'a OperationSpec,
    /// What its server calls it.
    pub tool: &'a str,
}

impl McpTools {
    pub(super) fn empty(title: String, version: String, protocol: String) -> Self {
        let (operations, left_out, remarks, unmatched) = Default::default();
        let capabilities = Capabilities::default();
        Self { title, version, protocol, operations, left_out, remarks, unmatched, exported: false, capabilities }
    }

    pub(super) fn plan(server: &Arc<Server>, options: &McpOptions, listed: &Listed) -> Self {
        let Listed { title, version, protocol, listing } = listed;
        let mut tools = Self {
            left_out: listing.broken.clone(),
            exported: options.exported,
            capabilities: options.capabilities.clone(),
            ..Self::empty(title.clone(), version.clone(), protocol.clone())
        };
        let called: Vec<_> = listing.tools.iter().map(|tool| tool.name.as_str()).collect();
        let names = names(&called);
        for (tool, name) in listing.tools.iter().zip(&names) {
            match Planned::of(server, options, tool, name) {
                Ok(planned) => tools.add(planned, &names),
                Err(reason) => tools.left_out.push((tool.name.clone(), reason)),
            }
        }
        let unmatched = |pattern: &&OperationPattern| {
            !tools.operations.iter().any(|operation| matches(pattern, &server.name, &operation.spec.name))
        };
        tools.unmatched = options.operations.iter().filter(unmatched).cloned().collect();
        tools
    }

    fn add(&mut self, planned: Planned, names: &[String]) {
        let Planned { call, operation, stream, remark } = planned;
        for spec in operation.into_iter().chain(stream) {
            let is_tool =
                || names.iter().any(|name| spec.name.as_str().split_once('/').is_some_and(|(_, own)| own == name));
            let is_taken = self.operations.iter().any(|other| other.spec.name == spec.name);
            if is_taken || (spec.kind == OperationKind::Subscription && is_tool()) {
                self.left_out.push((call.tool.to_string(), format!("another tool is called {} here", spec.name)));
                continue;
            }
            self.remarks.extend(remark.iter().map(|remark| (spec.name.clone(), remark.clone())));
            self.operations.push(Operation { spec, call: call.clone() });
        }
    }

    /// What the server calls itself.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The version of the protocol that is spoken with it.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// The operations that are imported, with the tools that they call.
    pub fn offered(&self) -> impl Iterator<Item = McpOffered<'_>> {
        self.operations.iter().map(|Operation { spec, call }| McpOffered { spec, tool: &call.tool })
    }

    /// The operations that are imported, for a registry.
    pub fn bundles(&self) -> Vec<Bundle> {
        self.operations.iter().map(|operation| self.bundle(operation)).collect()
    }

    /// The tools that cannot be called, with the reason.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        self.left_out.iter().map(|(tool, reason)| (tool.as_str(), reason.as_str()))
    }

    /// What has to be said of an operation.
    pub fn remarks(&self) -> impl Iterator<Item = (&OperationName, &str)> {
        self.remarks.iter().map(|(name, remark)| (name, remark.as_str()))
    }

    /// The patterns that name no operation: misspelt, most likely.
    pub fn unmatched(&self) -> &[OperationPattern] {
        &self.unmatched
    }

    fn bundle(&self, Operation { spec, call }: &Operation) -> Bundle {
        let (spec, call) = (spec.clone(), call.clone());
        let bundle = match spec.kind {
            OperationKind::Subscription => {
                Bundle::subscription(spec, move |context, input| call.clone().subscribe(context, input))
            }
            _ => Bundle::call(spec, move |context: OperationContext, input: Value| {
                let call = call.clone();
                async move { call.run(&context, input).await }
            }),
        };
        let bundle = bundle.with_provenance(Provenance::FromMcp).with_capabilities(self.capabilities.clone());
        if self.exported { bundle.exported() } else { bundle }
    }
}

/// The operations of a tool.
struct Planned {
    call: Arc<McpCall>,
    operation: Option<OperationSpec>,
    stream: Option<OperationSpec>,
    remark: Option<String>,
}

impl Planned {
    /// Makes a plan, or gives the reason why there can be none.
    fn of(server: &Arc<Server>, options: &McpOptions, tool: &Tool, name: &str) -> Result<Self, String> {
        let named = |suffix: &str| format!("{}/{name}{suffix}", server.name).parse::<OperationName>();
        let full = named("").map_err(|error| error.to_string())?;
        let wanted = options.wants(&server.name, &full);
        let stream = named(STREAM).ok().filter(|stream| {
            let asks = |pattern: &&OperationPattern| pattern.as_str().ends_with(STREAM);
            options.operations.iter().filter(asks).any(|pattern| matches(pattern, &server.name, stream))
        });
        let compile = |schema: &Value| Schema::new(schema.clone()).map_err(|error| error.to_string());
        let (input, output) = match wanted || stream.is_some() {
            true => (Some(compile(&tool.input)?), tool.output.as_ref().map(compile).transpose()?),
            false => (None, None),
        };
        let spec = |name: OperationName, kind| {
            OperationSpec::new(name)
                .with_description(tool.description.as_str())
                .with_kind(kind)
                .with_access(options.access.clone())
                .with_input(input.clone())
                .with_error(ErrorSpec::new(TOOL_ERROR, "The tool itself says that it failed"))
                .with_error(ErrorSpec::new(PROTOCOL_ERROR, "The server refused the call"))
        };
        let operation = wanted.then(|| spec(full, OperationKind::Call).with_output(output.clone()));
        let stream = stream.map(|name| spec(name, OperationKind::Subscription));
        let remark = (name.replace('/', ".") != tool.name).then(|| format!("the tool is called {:?}", tool.name));
        let call = Arc::new(McpCall { server: server.clone(), tool: tool.name.as_str().into(), output });
        Ok(Self { call, operation, stream, remark })
    }
}
