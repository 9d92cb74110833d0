//! Any text as the name of an operation, as a pattern of such names and as a pointer into JSON: each agrees with a plain
//! reading of its rule, and reads back as it is written.
#![no_main]

use alknet_call::{JsonPointer, OperationName, OperationPattern};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Whether `pattern` matches `items`, where `many` stands for any number of them: for each start of the one and each start
/// of the other, from the shortest on.
fn matches<P, T>(pattern: &[P], items: &[T], many: impl Fn(&P) -> bool, same: impl Fn(&P, &T) -> bool) -> bool {
    // row[n]: whether what was seen of the pattern matches the first n items.
    let mut row = vec![false; items.len() + 1];
    row[0] = true;
    for wanted in pattern {
        let mut next = vec![false; row.len()];
        next[0] = row[0] && many(wanted);
        for (n, item) in items.iter().enumerate() {
            next[n + 1] = if many(wanted) { row[n + 1] || next[n] } else { row[n] && same(wanted, item) };
        }
        row = next;
    }
    row.last() == Some(&true)
}

fn word_matches(pattern: &&str, word: &&str) -> bool {
    matches(pattern.as_bytes(), word.as_bytes(), |byte| *byte == b'*', |wanted, byte| wanted == byte)
}

fn check_name(text: &str) -> Option<OperationName> {
    let name: OperationName = text.parse().ok()?;
    assert_eq!(name.to_string(), text);
    assert_eq!(name.wire(), format!("/{text}"));
    assert_eq!(format!("{}/{}", name.service(), name.op()), text);
    let itself: OperationPattern = text.parse().expect("a name is a pattern, too");
    assert!(itself.matches(&name));
    if let Ok(longer) = name.prefixed("x") {
        assert!(!itself.matches(&longer));
        assert!(itself.prefixed("x").expect("it is as long as the name").matches(&longer));
    }
    Some(name)
}

fn check_pattern(text: &str, name: Option<&OperationName>) {
    let Ok(pattern) = text.parse::<OperationPattern>() else { return };
    assert_eq!(pattern.to_string(), text);
    assert_eq!(text.parse().as_ref(), Ok(&pattern));
    if let Some(name) = name {
        let [words, parts]: [Vec<_>; 2] = [text, name.as_str()].map(|text| text.split('/').collect());
        let expected = matches(&words, &parts, |word| *word == "**", word_matches);
        assert_eq!(pattern.matches(name), expected, "{text} and {name}");
    }
}

fn check_pointer(text: &str, document: &str) {
    let Ok(pointer) = text.parse::<JsonPointer>() else { return };
    assert_eq!(pointer.to_string(), text);
    let Ok(mut document) = serde_json::from_str::<Value>(document) else { return };
    let found = pointer.resolve(&document).cloned();
    assert_eq!(found.as_ref(), document.pointer(text), "{text} in {document}");
    assert_eq!(pointer.resolve_mut(&mut document).cloned(), found);
}

// Three lines at most: a pattern or a pointer, a name, and a document for the pointer.
fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let [first, second, document] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let name = check_name(second);
    check_name(first);
    check_pattern(first, name.as_ref());
    check_pattern(first, check_name(first).as_ref());
    check_pointer(first, document);
});
