//! What operations are called.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use crate::wire::quoted;

/// The most words in a name.
pub(super) const MAX_WORDS: usize = 8;

/// The most characters in a word of a name.
pub(super) const MAX_WORD: usize = 64;

/// The name of an operation: two to eight words with slashes between them, the last of which is the operation within
/// its service. A word has 1 to 64 characters of `a-z`, `0-9`, `-` and `_`, the first of which is a letter or a digit.
/// On the wire the name has a leading slash.
///
/// ```
/// use alknet_call::OperationName;
/// let name: OperationName = "tty/spawn".parse()?;
/// assert_eq!((name.service(), name.op(), name.wire()), ("tty", "spawn", "/tty/spawn".to_owned()));
/// assert_eq!(name.prefixed("a")?.service(), "a/tty");
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

    /// Whether a text is a name.
    pub(crate) fn is(text: &str) -> bool {
        is_name(text.as_bytes())
    }

    /// The name, `service/op`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// All words but the last.
    pub fn service(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(service, _)| service)
    }

    /// The last word.
    pub fn op(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(_, op)| op)
    }

    /// The name as it stands on the wire, `/service/op`.
    pub fn wire(&self) -> String {
        format!("/{}", self.0)
    }

    /// The name under a prefix of one word or several: `tty/spawn` under `a` is `a/tty/spawn`.
    ///
    /// # Errors
    /// When the prefix is not made of words, or the name gets too many of them.
    pub fn prefixed(&self, prefix: &str) -> Result<OperationName, InvalidName> {
        format!("{prefix}/{self}").parse()
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
        if length > MAX_WORD || words > MAX_WORDS {
            return false;
        }
        rest = tail;
    }
    words >= 2 && length > 0
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
#[error(
    "{text} is no operation's name: write service/op (as in node/info) in lower case, of at most {MAX_WORDS} words"
)]
pub struct InvalidName {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_has_two_to_eight_words() {
        let longest = vec!["x".repeat(64); 8].join("/");
        for good in ["a/b", "services/list-peers", "0/9_", "a/tty/spawn", &longest] {
            assert_eq!(good.parse::<OperationName>().unwrap().to_string(), good);
        }
        let too_long = format!("a/{}", "x".repeat(65));
        let too_many = ["x"; 9].join("/");
        for bad in
            ["", "/", "a", "a/", "/b", "/a/b", "a//b", "A/b", "a/-b", "_a/b", "a/b c", "ä/b", &too_long, &too_many]
        {
            assert!(bad.parse::<OperationName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn an_error_shows_the_name_safely() {
        let error = "a\x1b[31m".parse::<OperationName>().unwrap_err().to_string();
        assert!(error.starts_with(r#""a\u{1b}[31m" is no operation's name"#), "{error}");
    }

    #[test]
    fn a_prefix_is_made_of_words() {
        let name = OperationName::from_static("tty/spawn");
        assert_eq!(name.prefixed("a").unwrap().as_str(), "a/tty/spawn");
        assert_eq!(name.prefixed("b/a").unwrap().as_str(), "b/a/tty/spawn");
        for bad in ["", "/a", "a/", "A", "a/b/c/d/e/f/g"] {
            assert!(name.prefixed(bad).is_err(), "{bad:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_what_the_rule_says(text in "[a-c0A/_-]{0,12}") {
            let words: Vec<_> = text.split('/').collect();
            let is_word = |word: &&str| !word.is_empty() && !word.starts_with(['-', '_']) && !word.contains('A');
            let expected = (2..=8).contains(&words.len()) && words.iter().all(is_word);
            let parsed = text.parse::<OperationName>();
            prop_assert_eq!(parsed.is_ok(), expected);
            if let Ok(name) = parsed {
                prop_assert_eq!(format!("{}/{}", name.service(), name.op()), text);
            }
        }
    }
}
