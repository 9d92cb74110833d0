//! Services that nobody had to describe, for the tests.

use std::collections::BTreeMap;
use std::time::Duration;

use alknet_call::{
    Access, CallError, CallerInfo, Capabilities, EventStream, OperationAdapter, OperationContext, Overlay, Registry,
};
use http::Method;
use serde_json::Value;
use url::Url;

use crate::HttpClient;
use crate::openapi::import::model::{
    Answer, AnswerKind, BodyEncoding, HttpOperation, Parameter, Place, RequestBody, SchemeUse, SecurityScheme, Service,
    Style,
};
use crate::openapi::import::{FromOpenApi, ImportOptions};
use crate::outbound::testkit::client;

/// An operation without parameters that needs no credential.
pub(crate) fn operation(name: &str, method: Method, path: &str) -> HttpOperation {
    HttpOperation {
        name: name.into(),
        method,
        path: path.into(),
        servers: vec![],
        description: String::new(),
        parameters: vec![],
        body: None,
        answer: Answer { kind: AnswerKind::One, accept: vec!["application/json".into()], switch: None },
        security: vec![],
        input: None,
        output: None,
        errors: vec![],
        remarks: vec![],
    }
}

impl HttpOperation {
    pub(crate) fn with_parameter(mut self, name: &str, place: Place, style: Style) -> Self {
        let required = place == Place::Path;
        let (name, key, explode) = (name.to_owned(), name.to_owned(), style != Style::Simple);
        self.parameters.push(Parameter { name, key, place, style, explode, allow_reserved: false, required });
        self
    }

    pub(crate) fn with_json(mut self) -> Self {
        let encoding = BodyEncoding::Json("application/json".into());
        self.body = Some(RequestBody { required: true, encoding });
        self
    }

    /// Adds a way to be called: with all of these schemes.
    pub(crate) fn with_schemes(mut self, schemes: &[&str]) -> Self {
        let named = |scheme: &&str| SchemeUse { scheme: (*scheme).to_owned(), scopes: vec!["a".into(), "b".into()] };
        self.security.push(schemes.iter().map(named).collect());
        self
    }

    pub(crate) fn with_events(mut self, switch: Option<&str>) -> Self {
        let switch = switch.map(str::to_owned);
        self.answer = Answer { kind: AnswerKind::Events, accept: vec!["text/event-stream".into()], switch };
        self
    }
}

/// A service at `url` with a scheme of each kind; the tokens of the last come from `/token`.
pub(crate) fn service(url: &Url, operations: Vec<HttpOperation>) -> Service {
    let key = |place| SecurityScheme::ApiKey { name: "X-Key".into(), place };
    let schemes = BTreeMap::from([
        ("bearer".to_owned(), SecurityScheme::Bearer),
        ("basic".to_owned(), SecurityScheme::Basic),
        ("header".to_owned(), key(Place::Header)),
        ("query".to_owned(), key(Place::Query)),
        ("cookie".to_owned(), key(Place::Cookie)),
        ("oauth".to_owned(), SecurityScheme::ClientCredentials { token_url: url.join("/token").unwrap() }),
        ("mtls".to_owned(), SecurityScheme::Unsupported("mutualTLS".into())),
    ]);
    Service {
        title: "Pets".into(),
        version: "1.2".into(),
        servers: vec![url.clone()],
        schemes,
        operations,
        left_out: vec![],
    }
}

/// A node that has imported a service as `pets`, for anybody.
pub(crate) struct Node {
    registry: Registry,
    _overlay: Overlay,
}

impl Node {
    pub(crate) async fn new(service: Service, capabilities: &[(&str, &str)]) -> Self {
        Self::with_client(service, capabilities, client()).await
    }

    pub(crate) async fn with_client(service: Service, capabilities: &[(&str, &str)], client: HttpClient) -> Self {
        let capabilities = capabilities
            .iter()
            .fold(Capabilities::default(), |all, (name, secret)| all.with(*name, (*secret).to_owned()));
        let options =
            ImportOptions { access: Access::Public, exported: true, capabilities, ..ImportOptions::default() };
        let import = FromOpenApi::of("pets", service, options, client).unwrap();
        let registry = Registry::new();
        let overlay = registry.install(import.import().await.unwrap()).unwrap();
        Self { registry, _overlay: overlay }
    }

    pub(crate) async fn call(&self, name: &str, input: Value) -> Result<Value, CallError> {
        self.call_within(Duration::from_secs(30), name, input).await
    }

    pub(crate) async fn call_within(&self, limit: Duration, name: &str, input: Value) -> Result<Value, CallError> {
        self.registry.invoke(name, input, context(limit)).await
    }

    pub(crate) fn subscribe(&self, name: &str, input: Value) -> EventStream {
        self.registry.subscribe(name, input, context(Duration::from_secs(30))).unwrap()
    }
}

fn context(limit: Duration) -> OperationContext {
    OperationContext::new("1", None, CallerInfo::in_process(), limit)
}
