//! The names of schemas.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// How long a word of a name may be, in characters, and from which length on a name has no more words.
const MAX_WORD: usize = 64;
const MAX_NAME: usize = 256;

/// The names that are taken. Those that differ in case or punctuation alone would be one to a generator.
#[derive(Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// The name, or one with a number behind it if that is taken.
    pub(super) fn free(&mut self, wanted: String) -> String {
        let mut name = wanted.clone();
        loop {
            if let Entry::Vacant(place) = self.0.entry(folded(&name)) {
                place.insert(1);
                return name;
            }
            let count = self.0.entry(folded(&wanted)).or_insert(1);
            *count += 1;
            name = format!("{wanted}-{count}");
        }
    }
}

fn folded(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The part of a name that comes from the last word of a pointer.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let word: String = text.chars().take(MAX_WORD).map(plain).collect();
    match word.trim_matches('-') {
        "" => "Part".to_owned(),
        word => word.to_owned(),
    }
}

/// The name of a part.
pub(super) fn under(path: &str, part: &str) -> String {
    if path.len() < MAX_NAME { format!("{path}.{}", word(part)) } else { path.to_owned() }
}
