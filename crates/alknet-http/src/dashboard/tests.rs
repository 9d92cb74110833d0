use super::*;
use crate::testkit::{identities, registry};
use alknet_call::{CallError, CallerInfo, ErrorCode, OperationContext, Registry};
use alknet_core::{AuthContext, Identity, MemoryIdentities, Peer, TokenHash};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::request::Builder;
use serde_json::{Value, json};
use std::time::Duration;

fn peers() -> Arc<MemoryIdentities> {
    let identities = identities();
    let peer = |id: &str, scopes: Vec<alknet_core::Scope>| Peer {
        identity: Arc::new(Identity { id: id.into(), scopes, resources: Default::default() }),
        fingerprints: vec![],
        tokens: vec![TokenHash::of(&format!("alk_{id}"))],
        enabled: true,
    };
    identities.set(vec![peer("alice", vec![alknet_core::Scope::dashboard_use()]), peer("bob", vec![])]).unwrap();
    identities
}

fn dashboard() -> (Dashboard, Arc<Registry>, Arc<MemoryIdentities>) {
    let (registry, identities) = (registry(), peers());
    let dashboard = Dashboard::new(identities.clone());
    registry.add(dashboard.bundle()).unwrap();
    (dashboard, registry, identities)
}

async fn open_as(registry: &Registry, auth: Option<AuthContext>) -> Result<Value, CallError> {
    let identity = auth.as_ref().and_then(AuthContext::identity);
    let mut context = OperationContext::new("1", identity, CallerInfo::in_process(), Duration::from_secs(9));
    context.auth = auth;
    registry.invoke("dashboard/open", Value::Null, context).await
}

async fn link(registry: &Registry, identities: Arc<MemoryIdentities>) -> String {
    let answer = open_as(registry, Some(AuthContext::new([], identities).with_token("alk_alice"))).await.unwrap();
    assert_eq!(answer["expires_seconds"], 60);
    answer["path"].as_str().unwrap().to_owned()
}

fn get(path: &str) -> Builder {
    Request::get(path)
}

fn answer(dashboard: &Dashboard, request: Builder) -> Option<Response> {
    dashboard.answer(&request.body(()).unwrap())
}

async fn text(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), 1_000_000).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_link_is_for_holders_of_its_scope() {
    let (_, registry, identities) = dashboard();
    let auth = AuthContext::new([], identities);
    let refused = open_as(&registry, Some(auth.with_token("alk_bob"))).await.unwrap_err();
    assert_eq!(
        (refused.code, &*refused.message),
        (ErrorCode::Forbidden, "/dashboard/open needs the scope dashboard:use")
    );
    assert_eq!(open_as(&registry, None).await.unwrap_err().code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn the_page_comes_with_a_session_and_lets_nothing_else_in() {
    let (dashboard, registry, identities) = dashboard();
    let path = link(&registry, identities).await;
    assert!(path.len() > PATH.len() + 43, "256 bits");
    let response = answer(&dashboard, get(&path)).unwrap();
    let headers = response.headers().clone();
    for (name, value) in [
        (CONTENT_TYPE.as_str(), "text/html; charset=utf-8"),
        (CACHE_CONTROL.as_str(), "no-store"),
        (REFERRER_POLICY.as_str(), "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("set-cookie"));
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    for directive in
        ["default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    {
        assert!(policy.split("; ").any(|given| given == directive), "{directive} in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");

    let document = text(response).await;
    let (_, rest) = document.split_once("<meta name=\"session\" content=\"").unwrap();
    let session = rest.split_once('"').unwrap().0;
    assert_eq!(&*dashboard.identities().resolve_token(session).unwrap().id, "alice");
    assert!(!document.contains(path.strip_prefix(PATH).unwrap()));
    assert!(!document.contains("http://") || document.contains("http://www.w3.org/2000/svg"));
    assert!(!document.contains("https://"), "it names no other place");
}

#[tokio::test]
async fn nothing_but_a_browser_that_goes_there_uses_a_link_up() {
    let (dashboard, registry, identities) = dashboard();
    let path = link(&registry, identities).await;
    let elsewhere = path.replace(PATH, "/other/");
    for request in [
        Request::head(&path),
        Request::post(&path),
        get(&path).header("sec-fetch-dest", "iframe"),
        get(&path).header("sec-fetch-dest", "empty"),
        get(&path).header("sec-purpose", "prefetch"),
        get(&path).header("origin", "https://evil.example"),
        get(&format!("{path}/")),
        get(&format!("{path}x")),
        get(&elsewhere),
        get("/dashboard"),
        get("/dashboard/"),
    ] {
        let shown = format!("{request:?}");
        assert!(answer(&dashboard, request).is_none(), "{shown}");
    }
    assert!(dashboard.has_link(path.as_bytes()) && !dashboard.has_link(elsewhere.as_bytes()));
    assert!(answer(&dashboard, get(&path).header("sec-fetch-dest", "document")).is_some());
    assert!(answer(&dashboard, get(&path)).is_none() && !dashboard.has_link(path.as_bytes()));
}

#[tokio::test]
async fn a_page_cannot_open_another() {
    let (dashboard, registry, identities) = dashboard();
    let document = text(answer(&dashboard, get(&link(&registry, identities).await)).unwrap()).await;
    let session = document.split_once("name=\"session\" content=\"").unwrap().1.split_once('"').unwrap().0;
    let auth = AuthContext::new([], dashboard.identities()).with_token(session);
    let refused = open_as(&registry, Some(auth)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Forbidden);
    assert!(refused.message.contains("a dashboard opens no other one"), "{refused}");
    assert_eq!(json!(refused.retryable), json!(false));
}
