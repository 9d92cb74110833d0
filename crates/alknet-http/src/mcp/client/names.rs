//! What the tools of a server are called here.
//!
//! A name follows from the tool's own alone: its words in small letters, with a `/` for each `.`. So `list_pets` stays what
//! it is, `getUser` is `get-user` and `admin.tools.list` is `admin/tools/list`. Tools of one server that would have one
//! name all get a hash of their own behind it: a name never stands for one tool today and for another tomorrow.

use std::collections::HashMap;

use crate::openapi::import::{hash, with_suffix, words};

/// What the second operation of a tool has behind its name: the one that tells of progress.
pub(super) const STREAM: &str = "-stream";

/// The name of each tool.
pub(super) fn names(tools: &[&str]) -> Vec<String> {
    let plain: Vec<_> = tools.iter().map(|tool| plain(tool)).collect();
    let mut used: HashMap<&str, usize> = HashMap::new();
    plain.iter().for_each(|name| *used.entry(name).or_default() += 1);
    let name = |(name, tool): (&String, &&str)| match used.get(name.as_str()) {
        Some(1) => name.clone(),
        _ => hashed(name, tool),
    };
    plain.iter().zip(tools).map(name).collect()
}

fn plain(tool: &str) -> String {
    match words(tool.split(['.', '/']), tool) {
        // There is no letter and no digit in it.
        name if name.is_empty() => hashed("tool", tool),
        name => name,
    }
}

fn hashed(name: &str, tool: &str) -> String {
    with_suffix(name, &format!("-{}", hash(&[tool])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alknet_call::OperationName;
    use proptest::prelude::*;

    #[test]
    fn names_are_made_of_the_tools_own() {
        let tools = ["list_pets", "getUser", "admin.tools.list", "DATA_EXPORT_v2", "a-b", "x/y", "wetter größe"];
        let expected = ["list_pets", "get-user", "admin/tools/list", "data_export_v2", "a-b", "x/y", "wetter-gr-e"];
        assert_eq!(names(&tools), expected);
        assert!(names(&["日本"])[0].starts_with("tool-"));
    }

    #[test]
    fn tools_that_would_have_one_name_are_told_apart_whatever_else_there_is() {
        let both = names(&["getUser", "get-user", "other"]);
        assert_ne!(both[0], both[1]);
        assert!(both[..2].iter().all(|name| name.starts_with("get-user-") && name.len() == "get-user-".len() + 8));
        assert_eq!(both[2], "other");
        // In another order, and beside others: the same names.
        let again = names(&["GetUser", "get-user", "getUser"]);
        assert_eq!((&again[2], &again[1]), (&both[0], &both[1]));
    }

    proptest! {
        #[test]
        fn each_tool_has_a_name_that_is_one(tools in prop::collection::hash_set(".{0,12}|[a-zA-Z._/-]{0,100}", 0..12)) {
            let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
            let names = names(&tools);
            prop_assert_eq!(names.len(), tools.len());
            for name in names {
                prop_assert!(format!("server/{name}").parse::<OperationName>().is_ok(), "{}", name);
            }
        }
    }
}
