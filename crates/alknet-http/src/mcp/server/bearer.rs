//! Whose request it is, as the handlers of its messages know it.

use std::sync::Arc;

use alknet_call::CallerInfo;
use alknet_core::{AuthContext, Connection};
use http::request::Parts;
use rmcp::model::Extensions;

/// Goes with each request, for as long as what it asks for runs.
#[derive(Clone)]
pub(super) struct Bearer {
    /// Who it is now.
    pub(super) auth: AuthContext,
    pub(super) peer: Arc<CallerInfo>,
    /// The connection that carries the request.
    pub(super) below: Connection,
}

impl Bearer {
    /// Whoever has sent a message.
    pub(super) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Parts>()?.extensions.get()
    }
}
