//! What an operation is, apart from the code that runs it.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use alknet_core::Scope;

use crate::wire::quoted;

/// The name of an operation: `service/op`. Both parts have 1 to 64 characters of `a-z`, `0-9`, `-` and `_`, the first
/// of which is a letter or a digit. On the wire the name has a leading slash.
///
/// ```
/// use alknet_call::OperationName;
/// let name: OperationName = "tty/spawn".parse()?;
/// assert_eq!((name.service(), name.wire()), ("tty", "/tty/spawn".to_owned()));
/// assert!("/tty/spawn".parse::<OperationName>().is_err());
/// # Ok::<(), alknet_call::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationName(Cow<'static, str>);

impl OperationName {
    /// A name that stands in the program.
    ///
    /// # Panics
    /// When it is none; in a constant that is an error of the compiler's.
    pub const fn from_static(text: &'static str) -> Self {
        assert!(is_name(text.as_bytes()), "an operation's name is service/op, in lower case");
        Self(Cow::Borrowed(text))
    }

    /// The name, `service/op`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    pub fn service(&self) -> &str {
        self.0.split_once('/').map_or("", |(service, _)| service)
    }

    /// The name as it stands on the wire, `/service/op`.
    pub fn wire(&self) -> String {
        format!("/{}", self.0)
    }
}

impl FromStr for OperationName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match is_name(text.as_bytes()) {
            true => Ok(Self(Cow::Owned(text.to_owned()))),
            false => Err(InvalidName { text: quoted(text) }),
        }
    }
}

const fn is_name(text: &[u8]) -> bool {
    let (mut rest, mut words, mut length) = (text, 1, 0);
    while let [byte, tail @ ..] = rest {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => length += 1,
            b'-' | b'_' if length > 0 => length += 1,
            b'/' if length > 0 => (words, length) = (words + 1, 0),
            _ => return false,
        }
        if length > 64 {
            return false;
        }
        rest = tail;
    }
    words == 2 && length > 0
}

impl Borrow<str> for OperationName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OperationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that names no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} is no operation's name: write service/op (as in node/info) in lower case")]
pub struct InvalidName {
    text: String,
}

/// Who can see an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Visibility {
    /// Whoever passes its [`Access`].
    #[default]
    External,
    /// Nobody outside this process: to the wire it is not there.
    Internal,
}

/// What a caller must be to run an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Access {
    /// Anybody.
    Public,
    /// Any peer that the node knows.
    #[default]
    Identified,
    /// A peer that holds all of these scopes.
    Scopes(Vec<Scope>),
}

/// Describes an operation. Unless said otherwise it can be called from outside, by any known peer.
///
/// ```
/// use alknet_call::{Access, OperationSpec};
/// let spec = OperationSpec::new("tty/spawn".parse()?)
///     .with_description("Starts a terminal")
///     .with_access(Access::Scopes(vec!["tty:spawn".parse()?]));
/// assert_eq!(spec.name.as_str(), "tty/spawn");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationSpec {
    /// Its name.
    pub name: OperationName,
    /// What it does, in a sentence for people.
    pub description: String,
    /// Who can see it.
    pub visibility: Visibility,
    /// Who can run it.
    pub access: Access,
}

impl OperationSpec {
    /// An operation for known peers, without a description.
    pub fn new(name: OperationName) -> Self {
        Self { name, description: String::new(), visibility: Visibility::default(), access: Access::default() }
    }

    /// Says what it does, in a sentence for people.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Says who can see it.
    #[must_use]
    pub fn with_visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Says who can run it.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_two_words() {
        let longest = format!("{0}/{0}", "x".repeat(64));
        for good in ["a/b", "services/list-peers", "0/9_", &longest] {
            assert_eq!(good.parse::<OperationName>().unwrap().to_string(), good);
        }
        let too_long = format!("a/{}", "x".repeat(65));
        for bad in ["", "/", "a", "a/", "/b", "/a/b", "a/b/c", "A/b", "a/-b", "_a/b", "a/b c", "ä/b", &too_long] {
            assert!(bad.parse::<OperationName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_error_shows_the_name_safely() {
        let error = "a\x1b[31m".parse::<OperationName>().unwrap_err().to_string();
        assert!(error.starts_with(r#""a\u{1b}[31m" is no operation's name"#), "{error}");
    }
}
