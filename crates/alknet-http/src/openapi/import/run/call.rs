//! Calling an imported operation.

use std::collections::BTreeMap;
use std::sync::Arc;

use alknet_call::{CallError, OperationContext, OperationName};
use futures_core::Stream;
use futures_util::future::Either;
use futures_util::stream::{self, TryStreamExt as _};
use http::StatusCode;
use serde_json::Value;
use url::Url;

use super::credentials::{Security, apply};
use super::request::RequestPlan;
use super::response::{Refusal, event, is_events, of_failure, output};
use super::scrub::Scrub;
use super::token::Tokens;
use crate::openapi::import::model::{HttpOperation, SecurityScheme};
use crate::outbound::{Deadline, EventReader, HttpClient};

/// Which part of the longest answer an event may have.
const EVENTS_PER_ANSWER: usize = 16;

/// An operation of a service, ready to be called.
pub(crate) struct HttpCall {
    name: OperationName,
    request: RequestPlan,
    security: Security,
    client: HttpClient,
    tokens: Arc<Tokens>,
}

impl HttpCall {
    /// Works out how `operation` is called, which is `name` here, at `server`.
    ///
    /// # Errors
    /// Why it cannot be called.
    pub(crate) fn new(
        name: OperationName,
        operation: &HttpOperation,
        server: &Url,
        schemes: &BTreeMap<String, SecurityScheme>,
        tokens: Arc<Tokens>,
    ) -> Result<Self, String> {
        let security = Security::new(operation, schemes)?;
        let request = RequestPlan::new(operation, server, |place, name| security.is_credential(place, name))?;
        Ok(Self { name, request, security, client: tokens.client().clone(), tokens })
    }

    /// Calls it once.
    pub(crate) async fn run(&self, context: &OperationContext, input: Value) -> Result<Value, CallError> {
        let deadline = self.client.deadline(context.time_limit);
        let mut scrub = Scrub::default();
        let response = self.respond(context, input, deadline, &mut scrub).await;
        match response {
            Ok(response) => self.output(response, deadline, &scrub).await,
            Err(error) => Err(scrub.error(error)),
        }
    }

    async fn output(&self, response: reqwest::Response, deadline: Deadline, scrub: &Scrub) -> Result<Value, CallError> {
        let answer = output(response, self.client.max_response());
        let answer = deadline.of(self.request.server(), answer).await.map_err(of_failure)?;
        answer.value(scrub).map_err(|error| scrub.error(error))
    }

    /// Subscribes to it. An answer that is none of events is the only output.
    pub(crate) fn subscribe(
        self: Arc<Self>,
        context: OperationContext,
        input: Value,
    ) -> impl Stream<Item = Result<Value, CallError>> + Send + 'static {
        stream::once(async move { self.open(&context, input).await }).try_flatten()
    }

    async fn open(
        &self,
        context: &OperationContext,
        input: Value,
    ) -> Result<impl Stream<Item = Result<Value, CallError>> + Send + use<>, CallError> {
        let deadline = self.client.deadline(context.time_limit);
        let mut scrub = Scrub::default();
        let response = self.respond(context, input, deadline, &mut scrub).await;
        let response = response.map_err(|error| scrub.error(error))?;
        if !is_events(response.headers()) {
            let output = self.output(response, deadline, &scrub).await?;
            return Ok(Either::Left(stream::once(std::future::ready(Ok(output)))));
        }
        let limit = self.client.max_response() / EVENTS_PER_ANSWER;
        let events = EventReader::new(response, limit, self.client.idle_timeout());
        // Read as it is asked for; whoever drops it closes the connection.
        Ok(Either::Right(stream::try_unfold((events, scrub), async |(mut events, scrub)| {
            let next = events.next().await.map_err(of_failure)?;
            Ok(next.and_then(|next| event(next, &scrub)).map(|output| (output, (events, scrub))))
        })))
    }

    /// Sends the request and gives the answer if it is a success. `scrub` learns the credentials before they are sent.
    async fn respond(
        &self,
        context: &OperationContext,
        input: Value,
        deadline: Deadline,
        scrub: &mut Scrub,
    ) -> Result<reqwest::Response, CallError> {
        let chosen = self.security.choose(&context.capabilities)?;
        let mut first = self.request.draft(input)?;
        // Whoever says that it does not know the caller has not done anything, so any request can be made again.
        let second = chosen.iter().any(|(wanted, _)| wanted.is_exchanged()).then(|| first.clone());
        let token = apply(&chosen, &mut first, &self.tokens, None, deadline, scrub).await?;
        let mut response = self.client.send(&first.finish()?, deadline).await.map_err(of_failure)?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(mut second) = second
        {
            apply(&chosen, &mut second, &self.tokens, token.as_ref(), deadline, scrub).await?;
            response = self.client.send(&second.finish()?, deadline).await.map_err(of_failure)?;
        }
        tracing::debug!(operation = %self.name, status = response.status().as_u16(), "a service answered");
        if response.status().is_success() {
            return Ok(response);
        }
        let refusal = async { Ok(Refusal::read(response).await) };
        Err(deadline.of(self.request.server(), refusal).await.map_err(of_failure)?.error(scrub))
    }
}

#[cfg(test)]
mod tests;
