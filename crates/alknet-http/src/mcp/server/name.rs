//! What the tool of an operation is called.

use alknet_call::OperationName;

/// The longest name of a tool that clients have to take.
const LONGEST: usize = 128;

/// The tool of an operation: `a/tty/spawn` is `a.tty.spawn`, as it is in the OpenAPI description. No word of an
/// operation's name has a dot, so no two operations become one tool. One whose name is too long has none.
pub(super) fn tool(name: &OperationName) -> Option<String> {
    (name.as_str().len() <= LONGEST).then(|| name.as_str().replace('/', "."))
}

/// The operation of a tool.
pub(super) fn operation(tool: &str) -> Option<OperationName> {
    match tool.len() <= LONGEST && !tool.contains('/') {
        true => tool.replace('.', "/").parse().ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tool_is_called_as_its_operation_with_dots() {
        assert_eq!(tool(&"a/tty/spawn".parse().unwrap()).unwrap(), "a.tty.spawn");
        assert_eq!(operation("a.tty.spawn").unwrap().as_str(), "a/tty/spawn");
        let long = format!("{}/{}/{}", "a".repeat(64), "b".repeat(60), "c".repeat(2));
        assert_eq!(tool(&long.parse().unwrap()).map(|name| name.len()), Some(128));
        assert_eq!(tool(&format!("{long}c").parse().unwrap()), None);
    }

    #[test]
    fn what_is_no_name_is_no_tool() {
        for text in ["", "tty", "a/tty/spawn", "a.tty/spawn", ".tty.spawn", "tty..spawn", "Tty.spawn", "tty.spawn "] {
            assert_eq!(operation(text), None, "{text:?}");
        }
        assert_eq!(operation(&format!("a.{}.{}.c", "a".repeat(64), "b".repeat(64))), None);
    }

    proptest! {
        #[test]
        fn each_name_comes_back_and_each_tool_is_legal(words in prop::collection::vec("[a-z0-9][a-z0-9_-]{0,12}", 2..=8)) {
            let name: OperationName = words.join("/").parse().unwrap();
            let tool = tool(&name).unwrap();
            prop_assert!(tool.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
            prop_assert_eq!(operation(&tool), Some(name));
        }

        #[test]
        fn a_text_that_names_an_operation_is_its_tools_name(text in "[a-zA-Z0-9._/-]{0,20}") {
            if let Some(name) = operation(&text) {
                prop_assert_eq!(tool(&name), Some(text));
            }
        }
    }
}
