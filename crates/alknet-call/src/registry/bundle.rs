//! An operation with all that belongs to it.

use std::sync::Arc;

use alknet_core::Identity;

use super::{OperationHandler, SubscriptionHandler};
use crate::{Capabilities, OperationKind, OperationPattern, OperationSpec, Visibility};

/// Where an operation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Provenance {
    /// From this program.
    #[default]
    Local,
    /// From a description of an HTTP service.
    FromOpenApi,
    /// From a server of the Model Context Protocol.
    FromMcp,
    /// From another node.
    FromCall,
    /// From definitions of tools.
    FromJsonSchema,
    /// From the other end of a connection, for as long as that is open.
    Session,
}

impl Provenance {
    /// Whether somebody else's description made it an operation. Such ones are internal unless they are exported.
    pub fn is_imported(self) -> bool {
        !matches!(self, Self::Local | Self::Session)
    }
}

/// Who a handler is towards the operations that it calls itself. Those are checked against it, and never against the
/// caller of the handler.
#[derive(Debug, Clone)]
pub struct CompositionAuthority(pub(super) Arc<Identity>);

impl CompositionAuthority {
    /// An authority with the id, the scopes and the resources of `identity`.
    pub fn new(identity: impl Into<Arc<Identity>>) -> Self {
        Self(identity.into())
    }
}

/// Which operations a handler may call itself: none, unless patterns name them.
///
/// ```
/// use alknet_call::ScopedEnvironment;
/// let environment: ScopedEnvironment = ["tty/*".parse()?, "fs/read".parse()?].into_iter().collect();
/// assert!(environment.allows("tty/spawn") && !environment.allows("node/info"));
/// # Ok::<(), alknet_call::InvalidPattern>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ScopedEnvironment(Arc<[OperationPattern]>);

impl ScopedEnvironment {
    /// Whether it may call this one, `service/op`.
    pub fn allows(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches_text(name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<OperationPattern> for ScopedEnvironment {
    fn from_iter<T: IntoIterator<Item = OperationPattern>>(patterns: T) -> Self {
        Self(patterns.into_iter().collect())
    }
}

/// An operation with all that belongs to it, ready to be registered. It has no `Debug`: there may be secrets in it.
///
/// ```
/// use alknet_call::{Bundle, CallError, CompositionAuthority, OperationContext, OperationSpec, Registry};
/// use alknet_core::Identity;
/// use serde_json::Value;
/// let restart = async |context: OperationContext, input: Value| {
///     context.call("service/stop", input.clone()).await?;
///     context.call("service/start", input).await
/// };
/// let itself = Identity { id: "restarter".into(), scopes: vec!["service:*".parse()?], resources: Default::default() };
/// let bundle = Bundle::call(OperationSpec::new("service/restart".parse()?), restart)
///     .with_authority(CompositionAuthority::new(itself))
///     .with_environment(["service/st*".parse()?].into_iter().collect());
/// Registry::new().add(bundle)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Bundle {
    pub(super) spec: OperationSpec,
    pub(super) handler: Handler,
    pub(super) provenance: Provenance,
    pub(super) exported: bool,
    pub(super) authority: Option<CompositionAuthority>,
    pub(super) environment: ScopedEnvironment,
    pub(super) capabilities: Capabilities,
}

pub(super) enum Handler {
    Call(Box<dyn OperationHandler>),
    Subscription(Box<dyn SubscriptionHandler>),
}

impl Bundle {
    /// A call.
    pub fn call(spec: OperationSpec, handler: impl OperationHandler) -> Self {
        Self::new(spec.with_kind(OperationKind::Call), Handler::Call(Box::new(handler)))
    }

    /// A subscription.
    pub fn subscription(spec: OperationSpec, handler: impl SubscriptionHandler) -> Self {
        Self::new(spec.with_kind(OperationKind::Subscription), Handler::Subscription(Box::new(handler)))
    }

    fn new(spec: OperationSpec, handler: Handler) -> Self {
        Self {
            spec,
            handler,
            provenance: Provenance::default(),
            exported: false,
            authority: None,
            environment: ScopedEnvironment::default(),
            capabilities: Capabilities::default(),
        }
    }

    /// Says where it comes from. What is imported is [`Internal`](Visibility::Internal) whatever its description says,
    /// unless it is [`exported`](Self::exported).
    #[must_use]
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = provenance;
        self
    }

    /// Lets an imported operation be seen from outside, as its description says.
    #[must_use]
    pub fn exported(mut self) -> Self {
        self.exported = true;
        self
    }

    /// Says who its handler is towards the operations that it calls. Without, it calls them as nobody.
    #[must_use]
    pub fn with_authority(mut self, authority: CompositionAuthority) -> Self {
        self.authority = Some(authority);
        self
    }

    /// Says which operations its handler may call.
    #[must_use]
    pub fn with_environment(mut self, environment: ScopedEnvironment) -> Self {
        self.environment = environment;
        self
    }

    /// Gives its handler secrets.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The description that it is registered with.
    pub fn spec(&self) -> &OperationSpec {
        &self.spec
    }

    /// Changes the description, as an import does that renames.
    #[must_use]
    pub fn map_spec(mut self, change: impl FnOnce(OperationSpec) -> OperationSpec) -> Self {
        let kind = self.spec.kind;
        self.spec = change(self.spec).with_kind(kind);
        self
    }

    /// Where it comes from.
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// The description as it takes effect.
    pub(super) fn effective_spec(spec: OperationSpec, provenance: Provenance, exported: bool) -> OperationSpec {
        match provenance.is_imported() && !exported {
            true => spec.with_visibility(Visibility::Internal),
            false => spec,
        }
    }
}
