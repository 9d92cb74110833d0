//! What a caller can say beside the input.

use std::time::Duration;

use serde_json::Value;

use crate::wire::AuthToken;

/// Options of one call. None is needed.
///
/// ```
/// # use std::time::Duration;
/// use alknet_call::CallOptions;
/// let options = CallOptions::new().auth_token("alk_…").timeout(Duration::from_secs(2));
/// assert!(!format!("{options:?}").contains("alk_"), "a token does not show");
/// ```
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    pub(super) auth_token: Option<AuthToken>,
    pub(super) timeout: Option<Duration>,
    pub(super) forwarded_for: Option<Value>,
}

impl CallOptions {
    /// No options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls as the holder of this token and not as whom the connection says. The callee refuses a token that it does
    /// not know.
    #[must_use]
    pub fn auth_token(mut self, token: impl Into<String>) -> Self {
        self.auth_token = Some(AuthToken::new(token));
        self
    }

    /// How long to wait for the answer, up to the limit of the client. The callee is told, and may allow less.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// For whom the call is made. The callee may log it; it gives no authority.
    #[must_use]
    pub fn forwarded_for(mut self, whom: Value) -> Self {
        self.forwarded_for = Some(whom);
        self
    }
}
