//! `[http.dashboard]`.

use serde::Deserialize;

/// The `[http.dashboard]` section.
///
/// ```
/// use alknet_http::HttpConfig;
/// assert!(HttpConfig::default().dashboard.enable);
/// let config: HttpConfig = toml::from_str("dashboard = { enable = false }")?;
/// assert!(!config.dashboard.enable);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DashboardConfig {
    /// Whether peers with the scope `dashboard:use` can open it. Default: true; a stranger sees no difference.
    pub enable: bool,
}

impl Default for DashboardConfig {
    fn default() -> Self {
        Self { enable: true }
    }
}
