//! The dashboard: one page that shows a node in a browser, and how a browser comes to it.
//!
//! A browser cannot show a token when it navigates, and whoever shows none is a stranger (docs/decisions/0012, 0020). So a peer
//! asks for a link, by the operation `dashboard/open`. The link is good for one GET within a minute, and what it gets is the
//! page with a token of its own: a session of that peer. From there on the page is a client like any other, and sees what the
//! peer may call.

mod config;
mod open;
mod page;
mod sessions;

use std::sync::Arc;

use alknet_call::Bundle;
use alknet_core::IdentityProvider;
use axum::response::Response;
use http::header::ORIGIN;
use http::{HeaderMap, Method, Request};

pub use config::DashboardConfig;

use page::Page;
use sessions::Sessions;

/// What stands before the secret of a link.
const PATH: &str = "/dashboard/";

/// The page, and who has it open. Clones are the same one.
#[derive(Clone)]
pub struct Dashboard {
    sessions: Arc<Sessions>,
    page: Arc<Page>,
}

impl Dashboard {
    /// A dashboard for the peers that `identities` knows. Nobody has it open yet. Needs a Tokio runtime.
    pub fn new(identities: Arc<dyn IdentityProvider>) -> Self {
        Self { sessions: Arc::new(Sessions::new(identities)), page: Arc::new(Page::new()) }
    }

    /// The operation `dashboard/open`, for holders of `dashboard:use`: makes a link for the caller. The output is `{"path",
    /// "expires_seconds"}`.
    pub fn bundle(&self) -> Bundle {
        open::bundle(&self.sessions)
    }

    /// Ends all sessions, and makes all links useless.
    pub fn close(&self) {
        self.sessions.clear();
    }

    /// Resolves the tokens of sessions beside those of the peers.
    pub(crate) fn identities(&self) -> Arc<dyn IdentityProvider> {
        self.sessions.provider()
    }

    /// Whether there is such a link. It stays good.
    pub(crate) fn has_link(&self, path: &[u8]) -> bool {
        let secret = path.strip_prefix(PATH.as_bytes()).and_then(|secret| std::str::from_utf8(secret).ok());
        secret.is_some_and(|secret| self.sessions.has_link(secret))
    }

    /// Answers a request for a link with the page, and uses the link up. None if this is none, or one that is not good.
    pub(crate) fn answer<B>(&self, request: &Request<B>) -> Option<Response> {
        let secret = request.uri().path().strip_prefix(PATH)?;
        if request.method() != Method::GET || !may_be_navigation(request.headers()) {
            return None;
        }
        let token = self.sessions.redeem(secret)?;
        Some(self.page.respond(&token))
    }
}

impl std::fmt::Debug for Dashboard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Dashboard").finish_non_exhaustive()
    }
}

/// Whether somebody goes to the page. What another page fetches, frames or embeds is not that, nor what a browser fetches
/// ahead: that would use up the link.
fn may_be_navigation(headers: &HeaderMap) -> bool {
    let is_for_a_tab = headers.get("sec-fetch-dest").is_none_or(|dest| dest == "document");
    is_for_a_tab && !headers.contains_key("sec-purpose") && !headers.contains_key(ORIGIN)
}

#[cfg(test)]
mod tests;
