//! One run of an operation, from the check of its caller on.

use std::sync::Arc;

use alknet_core::{BoxFuture, Identity, OwnershipProvider};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::bundle::Handler;
use super::guard::{RunGuard, catching, panicked};
use super::{EventStream, Operation, Origin, Shared};
use crate::access::{check_resource, not_owned, resource_of};
use crate::{CallError, ErrorCode, OperationContext, OperationKind, OperationSpec};

/// A call or subscription whose caller may make it, as far as that does not depend on the input. It runs even if its
/// operation is removed in the meantime.
pub struct Admitted {
    shared: Arc<Shared>,
    operation: Arc<Operation>,
    pub(crate) context: OperationContext,
    origin: Origin,
}

/// What a run was granted, to ask later whether it still would be:
/// [`Registry::still_allowed`](super::Registry::still_allowed).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grant {
    /// The operation.
    pub spec: Arc<OperationSpec>,
    /// The kind and the id of the resource that it works on, if it works on a single one.
    pub resource: Option<(Arc<str>, Arc<str>)>,
    internal: bool,
}

/// A run that has begun.
#[non_exhaustive]
pub struct Started {
    /// What it was granted.
    pub grant: Grant,
    /// What is left to do.
    pub run: Run,
}

/// What is left to do of a run. A panic of the handler stays in here, as the error INTERNAL. When the resource is
/// revoked that it works on, the run ends within a second, with the error that somebody else's resource has. To give it
/// up is to drop it.
pub enum Run {
    /// Gives the output.
    Call(BoxFuture<'static, Result<Value, CallError>>),
    /// Gives the outputs.
    Subscription(EventStream),
}

impl Admitted {
    pub(super) fn new(
        shared: Arc<Shared>,
        operation: Arc<Operation>,
        context: OperationContext,
        origin: Origin,
    ) -> Self {
        Self { shared, operation, context, origin }
    }

    pub(crate) fn context_mut(&mut self) -> &mut OperationContext {
        &mut self.context
    }

    /// The operation.
    pub fn spec(&self) -> &Arc<OperationSpec> {
        &self.operation.spec
    }

    /// Whether it gives one output or several.
    pub fn kind(&self) -> OperationKind {
        self.operation.spec.kind
    }

    /// The second half of running an operation: whether the caller may with this input, then whether the input is what
    /// the operation takes, then its handler. There is no time limit in it.
    ///
    /// # Errors
    /// INVALID_INPUT when the id of the resource is missing, FORBIDDEN when that is not the caller's, INVALID_INPUT when
    /// the input does not fit the schema, INTERNAL when the handler panics.
    pub fn start(self, input: Value) -> Result<Started, CallError> {
        let metrics = self.shared.metrics.clone();
        let (grant, revoked) = self.authorize(&input).inspect_err(|error| metrics.refuse(error))?;
        let Self { shared, operation, mut context, .. } = self;
        context.prepare(&shared, &operation);
        let guard = RunGuard::new(grant.spec.clone(), metrics.start(grant.spec.kind), revoked);
        let run = catching(|| match &operation.handler {
            Handler::Call(handler) => Run::Call(handler.start(context, input, guard)),
            Handler::Subscription(handler) => Run::Subscription(handler.start(context, input, guard)),
        });
        let run = run.map_err(|panic| panicked(&grant.spec, &*panic))?;
        Ok(Started { grant, run })
    }

    fn authorize(&self, input: &Value) -> Result<(Grant, Option<CancellationToken>), CallError> {
        let (spec, ownership) = (&self.operation.spec, self.shared.ownership());
        let resource = resource_of(spec, input)?;
        // Taken before the check, so that a revocation that comes just after it is seen.
        let revoked = resource.zip(ownership).map(|((resource, id), owners)| owners.revocation(&resource.kind, id));
        check_resource(spec, self.context.identity.as_deref(), resource.map(|(_, id)| id), ownership)?;
        if revoked.as_ref().is_some_and(CancellationToken::is_cancelled) {
            return Err(not_owned(spec));
        }
        if let Some(schema) = &spec.input {
            schema.validate(input).map_err(|violations| {
                let message = format!("the input is not what /{} takes: {violations}", spec.name);
                CallError::invalid_input(message).with_details(violations.to_json())
            })?;
        }
        let resource = resource.map(|(resource, id)| (resource.kind.clone(), id.into()));
        Ok((Grant { spec: spec.clone(), resource, internal: self.origin == Origin::Composition }, revoked))
    }

    /// Runs a call within the time limit of its context.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), INVALID_INPUT when it is a subscription, TIMEOUT, and what the handler answers.
    pub async fn run(self, input: Value) -> Result<Value, CallError> {
        self.expect(OperationKind::Call)?;
        let (limit, spec) = (self.context.time_limit, self.operation.spec.clone());
        let Run::Call(call) = self.start(input)?.run else { return Err(wrong_kind(&spec)) };
        tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
            let message = format!("/{} did not answer within {limit:?}", spec.name);
            Err(CallError::new(ErrorCode::Timeout, message))
        })
    }

    /// Begins a subscription.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), and INVALID_INPUT when it is a call.
    pub fn subscribe(self, input: Value) -> Result<EventStream, CallError> {
        self.expect(OperationKind::Subscription)?;
        let Started { grant, run } = self.start(input)?;
        match run {
            Run::Subscription(events) => Ok(events),
            Run::Call(_) => Err(wrong_kind(&grant.spec)),
        }
    }

    fn expect(&self, kind: OperationKind) -> Result<(), CallError> {
        if self.kind() == kind {
            return Ok(());
        }
        let error = wrong_kind(&self.operation.spec);
        self.shared.metrics.refuse(&error);
        Err(error)
    }
}

fn wrong_kind(spec: &OperationSpec) -> CallError {
    CallError::invalid_input(match spec.kind {
        OperationKind::Call => format!("/{} is a call: call it, there is nothing to subscribe to", spec.name),
        OperationKind::Subscription => format!("/{} is a subscription: subscribe to it", spec.name),
    })
}

impl Grant {
    pub(super) fn check(
        &self,
        identity: Option<&Identity>,
        ownership: Option<&dyn OwnershipProvider>,
    ) -> Result<(), CallError> {
        let origin = if self.internal { Origin::Composition } else { Origin::Outside };
        origin.check(&self.spec, identity)?;
        check_resource(&self.spec, identity, self.resource.as_ref().map(|(_, id)| &**id), ownership)
    }
}
