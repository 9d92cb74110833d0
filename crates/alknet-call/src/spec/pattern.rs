//! Globs over the names of operations.

use std::fmt;
use std::str::FromStr;

use super::name::{MAX_WORD, MAX_WORDS};
use crate::OperationName;
use crate::wire::quoted;

/// Names operations by their words: `*` stands for any characters within a word, and a word `**` for any number of words,
/// none among them.
///
/// ```
/// use alknet_call::OperationPattern;
/// let pattern: OperationPattern = "tty/*".parse()?;
/// assert!(pattern.matches(&"tty/spawn".parse()?));
/// assert!(!pattern.matches(&"a/tty/spawn".parse()?));
/// assert!("**/tty/sp*".parse::<OperationPattern>()?.matches(&"a/tty/spawn".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationPattern(Box<str>);

impl OperationPattern {
    /// Whether it names this operation.
    pub fn matches(&self, name: &OperationName) -> bool {
        self.matches_text(name.as_str())
    }

    /// As [`matches`](Self::matches), for what may be no name; then nothing is there of that name.
    pub(crate) fn matches_text(&self, name: &str) -> bool {
        glob(
            self.0.split('/'),
            name.split('/'),
            |word| word == "**",
            |pattern, word| glob(pattern.chars(), word.chars(), |c| c == '*', |pattern, c| pattern == c),
        )
    }

    /// The same names under a prefix of one word or several.
    ///
    /// # Errors
    /// When the prefix is not made of words, or there get to be too many of them.
    pub fn prefixed(&self, prefix: &str) -> Result<OperationPattern, InvalidPattern> {
        format!("{prefix}/{self}").parse()
    }

    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `items` are as `pattern` says, in which whatever is `many` stands for any number of them. When a mismatch
/// comes it is enough to let the last such one stand for one item more, so no input takes long.
fn glob<T: Copy>(
    mut pattern: impl Iterator<Item = T> + Clone,
    mut items: impl Iterator<Item = T> + Clone,
    many: impl Fn(T) -> bool,
    same: impl Fn(T, T) -> bool,
) -> bool {
    let mut retry = None;
    loop {
        let before = items.clone();
        match (pattern.next(), items.next()) {
            (Some(wanted), _) if many(wanted) => {
                items = before;
                retry = Some((pattern.clone(), items.clone()));
            }
            (Some(wanted), Some(item)) if same(wanted, item) => {}
            (None, None) => return true,
            _ => {
                let Some((rest, mut start)) = retry.take() else { return false };
                if start.next().is_none() {
                    return false;
                }
                (pattern, items) = (rest.clone(), start.clone());
                retry = Some((rest, start));
            }
        }
    }
}

impl FromStr for OperationPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_word = |word: &str| {
            let known = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*');
            let plain = (1..=MAX_WORD).contains(&word.len()) && word.bytes().all(known);
            word == "**" || (plain && !word.contains("**") && !word.starts_with(['-', '_']))
        };
        let words = text.split('/').count();
        // Names have two words at least, so no single one but this names any.
        let names_something = words >= 2 || text == "**";
        match names_something && words <= MAX_WORDS && text.split('/').all(is_word) {
            true => Ok(Self(text.into())),
            false => Err(InvalidPattern { text: quoted(text) }),
        }
    }
}

impl fmt::Display for OperationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OperationPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no pattern of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text} is no pattern of operations: write a name (tty/spawn), * for anything within a word (tty/*), ** for any \
     words (a/**), in lower case and of at most {MAX_WORDS} words"
)]
pub struct InvalidPattern {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, name: &str) -> bool {
        pattern.parse::<OperationPattern>().unwrap().matches(&name.parse().unwrap())
    }

    #[test]
    fn a_star_stays_within_its_word_and_two_do_not() {
        for (pattern, yes, no) in [
            ("tty/*", &["tty/spawn", "tty/a-b"][..], &["tty/a/b", "tt/y", "a/tty/spawn"][..]),
            ("*/list", &["a/list", "resources/list"], &["a/b/list", "a/lists"]),
            ("a/**", &["a/b", "a/b/c/d"], &["b/a", "b/a/c"]),
            ("**", &["a/b", "a/b/c"], &[]),
            ("**/tty/**/s*n", &["tty/spawn", "a/b/tty/c/sn"], &["tty/spawn2", "tty2/spawn"]),
            ("tty/s*w*", &["tty/spawn", "tty/sw"], &["tty/wsp"]),
            ("tty/spawn", &["tty/spawn"], &["tty/spawns", "tty/spaw"]),
        ] {
            yes.iter().for_each(|name| assert!(matches(pattern, name), "{pattern} {name}"));
            no.iter().for_each(|name| assert!(!matches(pattern, name), "{pattern} {name}"));
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let too_many = ["x"; 9].join("/");
        for bad in ["", "*", "tty", "/tty/*", "tty/", "TTY/*", "a/**b", "a/?", "a/***", "-a/b", &too_many] {
            let error = bad.parse::<OperationPattern>().unwrap_err().to_string();
            assert!(error.contains("no pattern of operations"), "{error}");
        }
    }

    #[test]
    fn a_prefix_moves_the_names() {
        let pattern = "tty/*".parse::<OperationPattern>().unwrap().prefixed("a").unwrap();
        assert!(pattern.matches(&"a/tty/spawn".parse().unwrap()));
        assert!(!pattern.matches(&"tty/spawn".parse().unwrap()));
    }

    /// What the rule says, without a thought for time.
    fn model(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (["**", rest @ ..], _) => model(rest, name) || (!name.is_empty() && model(pattern, &name[1..])),
            ([p, rest @ ..], [w, more @ ..]) => word(p.as_bytes(), w.as_bytes()) && model(rest, more),
            _ => false,
        }
    }

    fn word(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => word(rest, text) || (!text.is_empty() && word(pattern, &text[1..])),
            ([p, rest @ ..], [c, more @ ..]) => p == c && word(rest, more),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_matches_what_the_rule_says(
            pattern in prop::collection::vec("(\\*\\*|[ab]{1,3}|\\*[ab]|[ab]\\*[ab]?|\\*)", 2..6),
            name in prop::collection::vec("[ab]{1,4}", 2..6),
        ) {
            let words: Vec<_> = pattern.iter().map(String::as_str).collect();
            let expected = model(&words, &name.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(matches(&pattern.join("/"), &name.join("/")), expected);
        }

        #[test]
        fn every_name_is_a_pattern_for_itself_alone(name in "[a-z]{1,3}(/[a-z]{1,3}){1,3}", other in "[a-z]{1,3}/[a-z]{1,3}") {
            prop_assert!(matches(&name, &name));
            prop_assert_eq!(matches(&name, &other), name == other);
        }
    }
}
