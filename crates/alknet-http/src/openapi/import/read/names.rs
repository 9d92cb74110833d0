//! What the operations of a description are called.
//!
//! The name of an operation follows from itself alone as far as possible, so that neither the order of a file nor what is
//! added to it changes the others: from its `operationId`, or else from path and method. Operations whose ids make the
//! same name all get the one from path and method.

use std::collections::{HashMap, HashSet};

/// The most words of a name: one of the eight that an operation may have is the source's.
const MAX_WORDS: usize = 7;

/// The most characters of a word.
const MAX_WORD: usize = 64;

/// What an operation's name is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) operation_id: Option<&'a str>,
    /// What tells it from another way in which the same operation answers: `-stream`, or nothing.
    pub(super) suffix: &'static str,
}

/// The names of all operations of a description, each of which is another.
pub(super) fn names(origins: &[Origin<'_>]) -> Vec<String> {
    let by_id: Vec<_> = origins.iter().map(|origin| origin.by_id()).collect();
    let used = count(by_id.iter().flatten());
    let unique = |name: &String| used.get(name) == Some(&1);
    let by_id: Vec<_> = by_id.into_iter().map(|name| name.filter(unique)).collect();
    let by_path: Vec<_> = origins.iter().map(|origin| origin.by_path()).collect();

    // A name from an id stands. One from a path that another operation has as well is made longer.
    let chosen = by_id.iter().zip(&by_path).map(|(id, path)| id.as_ref().unwrap_or(path));
    let used = count(chosen);
    let names = by_id.into_iter().zip(by_path).zip(origins);
    let names = names.map(|((id, path), origin)| match id {
        Some(name) => name,
        None if used.get(&path) == Some(&1) => path,
        None => origin.by_hash(),
    });
    all_different(names.collect(), origins)
}

/// What even the hashes have not told apart is numbered, in the order of paths and methods.
fn all_different(mut names: Vec<String>, origins: &[Origin<'_>]) -> Vec<String> {
    let used = count(names.iter());
    if used.values().all(|&times| times == 1) {
        return names;
    }
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut order: Vec<_> = names.iter_mut().zip(origins).collect();
    order.sort_by_key(|(_, origin)| (origin.path, origin.method, origin.suffix));
    for (name, _) in order {
        let number = numbers.entry(name.clone()).or_default();
        *number += 1;
        if *number == 1 {
            continue;
        }
        let mut other = with_suffix(name, &format!("-{number}"));
        while !taken.insert(other.clone()) {
            *number += 1;
            other = with_suffix(name, &format!("-{number}"));
        }
        *name = other;
    }
    names
}

fn count<'n>(names: impl Iterator<Item = &'n String>) -> HashMap<String, usize> {
    names.fold(HashMap::new(), |mut count, name| {
        *count.entry(name.clone()).or_default() += 1;
        count
    })
}

impl Origin<'_> {
    fn by_id(&self) -> Option<String> {
        let id = self.operation_id?;
        let name = words(id.split('/'), id);
        (!name.is_empty()).then(|| with_suffix(&name, self.suffix))
    }

    /// `GET /pets/{id}` is `pets/id/get`: `pets/**` are all that are below.
    fn by_path(&self) -> String {
        let method = self.method.to_ascii_lowercase();
        let parts = self.path.split('/').chain([&*method]);
        with_suffix(&words(parts, self.path), self.suffix)
    }

    fn by_hash(&self) -> String {
        let hash = hash(&[self.method, self.path, self.operation_id.unwrap_or_default(), self.suffix]);
        with_suffix(&self.by_path(), &format!("-{hash}"))
    }
}

/// Makes words of parts; `whole` is what they are parts of.
pub(crate) fn words<'p>(parts: impl Iterator<Item = &'p str>, whole: &str) -> String {
    let mut words: Vec<_> = parts.map(word).filter(|word| !word.is_empty()).collect();
    if words.len() > MAX_WORDS
        && let Some(last) = words.pop()
    {
        // What is too much goes into the last word but one, so that the operation stays the last.
        let rest = words.split_off(MAX_WORDS - 2).join("-");
        words.extend([rest, last]);
    }
    words.into_iter().map(|word| cut(word, whole)).collect::<Vec<_>>().join("/")
}

/// `createChatCompletion` is `create-chat-completion`, as is `Create chat.completion`; `list_HTTPHeaders` is
/// `list_http-headers`.
fn word(text: &str) -> String {
    let mut word = String::new();
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next_is_small = letters.peek().is_some_and(char::is_ascii_lowercase);
        let starts = letter.is_ascii_uppercase()
            && (before.is_ascii_lowercase()
                || before.is_ascii_digit()
                || (before.is_ascii_uppercase() && next_is_small));
        if starts {
            word.push('-');
        }
        match letter {
            'A'..='Z' | 'a'..='z' | '0'..='9' => word.push(letter.to_ascii_lowercase()),
            '_' if !word.is_empty() => word.push('_'),
            _ if word.is_empty() || word.ends_with('-') => {}
            _ => word.push('-'),
        }
        before = letter;
    }
    word.truncate(word.trim_end_matches(['-', '_']).len());
    word
}

/// A word that is too long is cut, and a hash of all that it was made of tells it from others that begin alike.
fn cut(word: String, whole: &str) -> String {
    match word.len() > MAX_WORD {
        true => with_suffix(&word, &format!("-{}", hash(&[whole, &word]))),
        false => word,
    }
}

/// The name with something behind its last word, which is cut where it gets too long. Names are ASCII.
pub(crate) fn with_suffix(name: &str, suffix: &str) -> String {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let end = name.len().min(start + MAX_WORD.saturating_sub(suffix.len()));
    format!("{}{suffix}", name.get(..end).unwrap_or(name))
}

/// Eight digits that are the same wherever and whenever they are made (FNV-1a).
pub(crate) fn hash(parts: &[&str]) -> String {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{:08x}", (hash >> 32) ^ (hash & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alknet_call::OperationName;
    use proptest::prelude::*;

    fn origin<'a>(method: &'a str, path: &'a str, operation_id: Option<&'a str>) -> Origin<'a> {
        Origin { method, path, operation_id, suffix: "" }
    }

    fn named(origins: &[(&str, &str, Option<&str>)]) -> Vec<String> {
        names(&origins.iter().map(|&(method, path, id)| origin(method, path, id)).collect::<Vec<_>>())
    }

    #[test]
    fn names_are_made_of_ids() {
        for (id, name) in [
            ("issues/list-for-repo", "issues/list-for-repo"),
            ("createChatCompletion", "create-chat-completion"),
            ("list_pets", "list_pets"),
            ("getHTTPResponse", "get-http-response"),
            ("ListV2Items", "list-v2-items"),
            ("drive.files.list", "drive-files-list"),
            ("Pets: list all (new)", "pets-list-all-new"),
            ("/__a//b__/", "a/b"),
            ("a/b/c/d/e/f/g/h/i", "a/b/c/d/e/f-g-h/i"),
            ("größe", "gr-e"),
            ("日本", "pets/get"),
        ] {
            assert_eq!(named(&[("GET", "/pets", Some(id))]), [name], "{id}");
        }
        let long = "verb".to_owned() + &"Noun".repeat(20);
        let name = named(&[("GET", "/", Some(&long))]).remove(0);
        assert!(name.len() == 64 && name.starts_with("verb-noun-noun-"), "{name}");
    }

    #[test]
    fn without_an_id_a_name_is_made_of_path_and_method() {
        for (method, path, name) in [
            ("GET", "/pets/{petId}", "pets/pet-id/get"),
            ("POST", "/", "post"),
            ("POST", "/v1/users/{id}.json", "v1/users/id-json/post"),
            ("POST", "/responses?beta=true", "responses-beta-true/post"),
            ("PUT", "/1/2/3/4/5/6/7/8", "1/2/3/4/5/6-7-8/put"),
        ] {
            assert_eq!(named(&[(method, path, None)]), [name]);
        }
    }

    #[test]
    fn operations_that_collide_are_named_by_their_paths_whatever_their_order() {
        let operations = [
            ("GET", "/a", Some("list")),
            ("GET", "/b", Some("List")),
            ("GET", "/c", Some("a/get")),
            ("GET", "/d", None),
        ];
        let names = named(&operations);
        // The name from the path of the first belongs to another operation.
        assert!(names[0].starts_with("a/get-") && names[0].len() == "a/get-".len() + 8, "{names:?}");
        assert_eq!(names[1..], ["b/get", "a/get", "d/get"]);
        let mut backwards = operations;
        backwards.reverse();
        let mut others = named(&backwards);
        others.reverse();
        assert_eq!(names, others);
    }

    #[test]
    fn an_answer_with_events_has_a_name_of_its_own() {
        let path = "/chat";
        let once = origin("POST", path, Some("createChat"));
        let events = Origin { suffix: "-stream", ..once };
        assert_eq!(names(&[once, events]), ["create-chat", "create-chat-stream"]);
        let long = "x".repeat(80);
        let once = origin("POST", path, Some(&long));
        let events = Origin { suffix: "-stream", ..once };
        let both = names(&[once, events]);
        assert!(both[1].ends_with("-stream") && both[1].len() == 64 && both[0].len() == 64, "{both:?}");
    }

    fn path() -> impl Strategy<Value = String> {
        prop_oneof!["(/([ab]|\\{[ab]\\}|A|a_|-b)){0,3}", "(/[a-zA-Z{}._?=-]{0,80}){0,10}", ".*"]
    }

    fn id() -> impl Strategy<Value = Option<String>> {
        prop::option::of(prop_oneof!["[abA]{1,2}(/[abA]{1,2})?(-stream|/get)?", "[a-zA-Z0-9_/ .-]{0,100}", ".*"])
    }

    proptest! {
        #[test]
        fn names_are_valid_and_unique_in_any_order(
            operations in prop::collection::vec((prop::sample::select(vec!["GET", "POST"]), path(), id(), any::<bool>()), 0..30),
        ) {
            let mut origins = vec![];
            for (method, path, id, streams) in &operations {
                let once = origin(method, path, id.as_deref());
                origins.push(once);
                origins.extend(streams.then_some(Origin { suffix: "-stream", ..once }));
            }
            let key = |o: &Origin<'_>| (o.method.to_owned(), o.path.to_owned(), o.suffix);
            // A description has a path and a method once.
            let mut seen = HashSet::new();
            origins.retain(|o| seen.insert(key(o)));
            let names = names(&origins);
            for name in &names {
                prop_assert!(format!("source/{name}").parse::<OperationName>().is_ok(), "{}", name);
            }
            prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
            let by_key: HashMap<_, _> = origins.iter().map(key).zip(names).collect();
            origins.reverse();
            for (origin, name) in origins.iter().zip(super::names(&origins)) {
                prop_assert_eq!(&by_key[&key(origin)], &name);
            }
        }
    }
}
