//! The process's environment, read once: the only module that may.
//!
//! Configuration comes from the file and secrets come from the vault. What is left for the environment is what it is
//! for: where this user keeps files, and how this terminal or supervisor wants its output.

#![allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The file name of a configuration.
pub const CONFIG_FILE_NAME: &str = "alknet.toml";

/// What the environment says. Nothing in it is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `STATE_DIRECTORY`: the folder that systemd made for a unit with `StateDirectory=`.
    pub state_directory: Option<PathBuf>,
    /// `CREDENTIALS_DIRECTORY`: where systemd puts a unit's credentials.
    pub credentials_directory: Option<PathBuf>,
    /// `ALKNET_LOG`, else `RUST_LOG`: which events are logged.
    pub log_filter: Option<String>,
    /// `NO_COLOR` is set and not empty (<https://no-color.org>).
    pub no_color: bool,
    /// `JOURNAL_STREAM`: device and inode of standard error, if systemd connected it to the journal.
    pub journal_stream: Option<String>,
    /// The process runs as root.
    pub is_root: bool,
}

impl Environment {
    /// Reads the environment.
    pub fn read() -> Self {
        Self {
            home: folder("HOME"),
            xdg_config_home: folder("XDG_CONFIG_HOME"),
            xdg_state_home: folder("XDG_STATE_HOME"),
            // A list if the unit has several folders; the first is the one named first.
            state_directory: text("STATE_DIRECTORY").and_then(|list| absolute(list.split(':').next()?.into())),
            credentials_directory: folder("CREDENTIALS_DIRECTORY"),
            log_filter: text("ALKNET_LOG").or_else(|| text("RUST_LOG")),
            no_color: text("NO_COLOR").is_some(),
            journal_stream: text("JOURNAL_STREAM"),
            is_root: std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0),
        }
    }

    /// The configuration to use: the named one, else the user's, else root's. It need not exist.
    pub fn config_file(&self, named: Option<&Path>) -> PathBuf {
        if let Some(file) = named {
            return file.to_owned();
        }
        let users = self.config_dir().join(CONFIG_FILE_NAME);
        let system = Path::new("/etc/alknet").join(CONFIG_FILE_NAME);
        if self.is_root && !users.exists() && system.exists() { system } else { users }
    }

    /// The folder of the user's configuration, after the XDG Base Directory Specification.
    pub fn config_dir(&self) -> PathBuf {
        let base = self.xdg_config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")));
        base.unwrap_or_else(|| "/etc".into()).join("alknet")
    }

    /// The folder for the state of a node whose configuration names none.
    pub fn state_dir(&self) -> PathBuf {
        if let Some(folder) = &self.state_directory {
            return folder.clone();
        }
        let users = self.home.as_ref().filter(|_| !self.is_root).map(|home| home.join(".local/state"));
        let base = self.xdg_state_home.clone().or(users);
        base.unwrap_or_else(|| "/var/lib".into()).join("alknet")
    }
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn folder(name: &str) -> Option<PathBuf> {
    env::var_os(name).and_then(absolute)
}

/// The XDG specification has relative paths ignored, and for the others nobody could say what they are relative to.
fn absolute(path: OsString) -> Option<PathBuf> {
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Environment {
        Environment { home: Some("/home/a".into()), ..Environment::default() }
    }

    #[test]
    fn a_user_has_folders_at_home() {
        assert_eq!(user().config_file(None), Path::new("/home/a/.config/alknet/alknet.toml"));
        assert_eq!(user().state_dir(), Path::new("/home/a/.local/state/alknet"));
        let xdg = Environment { xdg_config_home: Some("/c".into()), xdg_state_home: Some("/s".into()), ..user() };
        assert_eq!(xdg.config_file(None), Path::new("/c/alknet/alknet.toml"));
        assert_eq!(xdg.state_dir(), Path::new("/s/alknet"));
        assert_eq!(xdg.config_file(Some(Path::new("x.toml"))), Path::new("x.toml"));
    }

    #[test]
    fn roots_state_is_the_systems() {
        let root = Environment { is_root: true, ..user() };
        assert_eq!(root.state_dir(), Path::new("/var/lib/alknet"));
        let elsewhere = Environment { xdg_state_home: Some("/s".into()), ..root };
        assert_eq!(elsewhere.state_dir(), Path::new("/s/alknet"));
    }

    #[test]
    fn a_service_has_the_folders_that_systemd_made() {
        let unit = Environment { state_directory: Some("/var/lib/private/alknet".into()), ..user() };
        assert_eq!(unit.state_dir(), Path::new("/var/lib/private/alknet"));
        assert_eq!(Environment::default().config_file(None), Path::new("/etc/alknet/alknet.toml"));
    }

    #[test]
    fn relative_folders_are_ignored() {
        assert_eq!(absolute("state".into()), None);
    }
}
