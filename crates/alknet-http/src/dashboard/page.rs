//! The page itself: one document with its style and its script in it, so that it has nothing to ask for without a token.

use alknet_core::Token;
use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};

const BODY: &str = include_str!("page/body.html");

const STYLE: &str = concat!(include_str!("page/style.css"), include_str!("page/controls.css"));

/// One module: what is in a file is known in all of them.
const SCRIPT: &str = concat!(
    include_str!("page/calls.js"),
    include_str!("page/dom.js"),
    include_str!("page/qr.js"),
    include_str!("page/sections.js"),
    include_str!("page/terminals.js"),
    include_str!("page/actions.js"),
    include_str!("page/main.js"),
);

/// The document, save the token of its session.
pub(super) struct Page {
    before: String,
    after: String,
    policy: HeaderValue,
}

impl Page {
    pub(super) fn new() -> Self {
        let before = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>alknet</title>\n\
             <link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n<meta name=\"session\" content=\""
        );
        let after =
            format!("\">\n</head>\n<body>\n{BODY}<script type=\"module\">{SCRIPT}</script>\n</body>\n</html>\n");
        Self { before, after, policy: policy() }
    }

    /// The page for a session. What stands in a token needs no escape.
    pub(super) fn respond(&self, session: &Token) -> Response {
        let document = [&*self.before, session.reveal(), &*self.after].concat();
        let mut response = Response::new(Body::from(document));
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Nothing but what is in the page runs, and it talks to this node alone. The one picture is the empty icon, without which a
/// browser asks for one.
fn policy() -> HeaderValue {
    let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    // What it is made of is ASCII.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}
