//! Which programs a terminal may run, and what all terminals may use up.

use std::path::{Path, PathBuf};

use alknet_core::at_least;
use serde::de::{Deserialize, Deserializer, Error};

/// The `[tty]` section of the configuration. Without `commands`, nothing can be spawned.
///
/// ```
/// use alknet_tty::TtyConfig;
/// let config: TtyConfig = toml::from_str(r#"commands = ["/bin/bash"]"#)?;
/// assert_eq!((config.max_terminals, config.scrollback_bytes), (64, 256 * 1024));
/// assert!(toml::from_str::<TtyConfig>(r#"commands = ["bash"]"#).is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TtyConfig {
    /// The programs that may be started, as absolute paths; a request has to name one exactly so. The first one is for
    /// requests that name none. Default: none, and so no terminals.
    #[serde(deserialize_with = "commands")]
    pub commands: Vec<String>,
    /// The names of the environment variables that a spawner may set. Default: `TERM`, `COLORTERM`, `LANG`, `LC_ALL`, `TZ`.
    #[serde(deserialize_with = "variables")]
    pub environment: Vec<String>,
    /// The `PATH` that programs see. Default: the usual folders under `/usr/local`, `/usr` and `/`.
    pub path: String,
    /// The folder that programs start in, as an absolute path. Default: `/`.
    #[serde(deserialize_with = "folder")]
    pub working_directory: PathBuf,
    /// How many terminals there may be. One that has ended counts while somebody is still attached to it. Default: 64.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_terminals: u32,
    /// How many of them may be of one owner; if that spawns for others, as a hub does, for each of them. Default: 16.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_terminals_per_owner: u32,
    /// How many may be of one owner for all together for whom it says that they are. Never taken as less than
    /// `max_terminals_per_owner`. Default: 48.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_terminals_per_peer: u32,
    /// How many bytes of a terminal's output are kept, from 4 KiB to 16 MiB. Default: 256 KiB.
    #[serde(deserialize_with = "scrollback")]
    pub scrollback_bytes: u32,
    /// How many attachments a terminal may have at the same time. Default: 16.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_attachments: u32,
}

const MIN_SCROLLBACK: u32 = 4 * 1024;
const MAX_SCROLLBACK: u32 = 16 * 1024 * 1024;

impl Default for TtyConfig {
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            environment: ["TERM", "COLORTERM", "LANG", "LC_ALL", "TZ"].map(Into::into).into(),
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            working_directory: "/".into(),
            max_terminals: 64,
            max_terminals_per_owner: 16,
            max_terminals_per_peer: 48,
            scrollback_bytes: 256 * 1024,
            max_attachments: 16,
        }
    }
}

impl TtyConfig {
    pub(crate) fn scrollback(&self) -> usize {
        self.scrollback_bytes.clamp(MIN_SCROLLBACK, MAX_SCROLLBACK) as usize
    }
}

fn commands<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let commands = Vec::<String>::deserialize(deserializer)?;
    match commands.iter().find(|command| !Path::new(command).is_absolute()) {
        Some(relative) => {
            Err(D::Error::custom(format_args!("{relative:?} is no absolute path; write it from the root")))
        }
        None => Ok(commands),
    }
}

fn folder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let folder = PathBuf::deserialize(deserializer)?;
    if folder.is_absolute() {
        return Ok(folder);
    }
    Err(D::Error::custom(format_args!("{folder:?} is no absolute path; write it from the root")))
}

fn variables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    match names.iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err(D::Error::custom(format_args!("{name:?} is no name of an environment variable"))),
        None => Ok(names),
    }
}

fn scrollback<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let bytes: u32 = at_least::<{ MIN_SCROLLBACK as u64 }, _, _>(deserializer)?;
    if bytes <= MAX_SCROLLBACK {
        return Ok(bytes);
    }
    Err(D::Error::custom(format_args!("{bytes} is too much; the most is {MAX_SCROLLBACK}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        let error = |text: &str| toml::from_str::<TtyConfig>(text).unwrap_err().to_string();
        assert!(error(r#"commands = ["/bin/sh", "bash"]"#).contains(r#""bash" is no absolute path"#));
        assert!(error(r#"working_directory = "home""#).contains(r#""home" is no absolute path"#));
        assert!(error(r#"environment = ["A=B"]"#).contains(r#""A=B" is no name"#));
        assert!(error("scrollback_bytes = 100").contains("100 is too little; the least is 4096"));
        assert!(error("scrollback_bytes = 16777217").contains("16777217 is too much; the most is 16777216"));
        assert!(error("max_terminals = 0").contains("line 1"));
        assert!(error("max_terminal = 1").contains("unknown field"));
        assert_eq!(toml::from_str::<TtyConfig>("").unwrap(), TtyConfig::default());
    }
}
