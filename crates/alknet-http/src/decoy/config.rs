//! Which server a node passes for.

use std::path::PathBuf;

use serde::Deserialize;

/// What whoever has no valid token is shown, as `decoy` in the `[http]` section of the configuration has it.
///
/// ```
/// use alknet_http::decoy::{DecoyConfig, Imitated};
/// let decoy: DecoyConfig = toml::from_str(r#"folder = "/var/www/html""#)?;
/// assert_eq!(decoy.imitate, Imitated::Nginx, "the manners are nginx's unless others are named");
/// assert!(toml::from_str::<DecoyConfig>("").is_err(), "neither a server nor a folder");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
#[non_exhaustive]
pub struct DecoyConfig {
    /// The server whose manners the node has.
    pub imitate: Imitated,
    /// The site. Without one it is the page that the imitated server's package comes with.
    pub folder: Option<PathBuf>,
    /// When that page was installed, in seconds since 1970: clients see it as `Last-Modified` and in the `ETag`. Default: when
    /// the machine was set up.
    pub page_modified: Option<u32>,
}

/// A server that can be imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Imitated {
    /// nginx 1.22.1 as Debian 12 packages and configures it.
    #[default]
    Nginx,
}

impl DecoyConfig {
    /// nginx with the page that it is installed with.
    pub fn nginx() -> Self {
        Self { imitate: Imitated::Nginx, folder: None, page_modified: None }
    }

    /// nginx with the site in `folder`.
    pub fn with_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::nginx() }
    }
}

/// The section as it is written: at least one of the first two keys makes a decoy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    imitate: Option<Imitated>,
    folder: Option<PathBuf>,
    page_modified: Option<u32>,
}

impl TryFrom<Written> for DecoyConfig {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written { imitate: None, folder: None, .. } => {
                Err("a decoy needs `imitate = \"nginx\"`, or a `folder` with a site, or both")
            }
            Written { folder: Some(_), page_modified: Some(_), .. } => {
                Err("`page_modified` is about the page that is shown without a `folder`; leave one of the two out")
            }
            Written { imitate, folder, page_modified } => {
                Ok(Self { imitate: imitate.unwrap_or_default(), folder, page_modified })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_a_folder_or_both_make_a_decoy() {
        let read = |text: &str| toml::from_str::<DecoyConfig>(text).map_err(|error| error.to_string());
        assert_eq!(read("imitate = 'nginx'").unwrap(), DecoyConfig::nginx());
        assert_eq!(read("folder = '/srv'").unwrap(), DecoyConfig::with_folder("/srv"));
        assert_eq!(read("folder = '/srv'\nimitate = 'nginx'").unwrap(), DecoyConfig::with_folder("/srv"));
        assert_eq!(read("imitate = 'nginx'\npage_modified = 7").unwrap().page_modified, Some(7));
        assert!(read("page_modified = 7").unwrap_err().contains("a decoy needs"));
        assert!(read("folder = '/srv'\npage_modified = 7").unwrap_err().contains("leave one"));
        assert!(read("imitate = 'apache'").unwrap_err().contains("unknown variant"));
        assert!(read("imitates = 'nginx'").unwrap_err().contains("unknown field"));
    }
}
