//! The sections of handlers that this build does not have.

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::Reader;
use crate::handlers::HandlerInfo;

#[cfg(feature = "http")]
pub use alknet_http::HttpConfig;
#[cfg(feature = "tty")]
pub use alknet_tty::TtyConfig;

/// The settings of a handler that this build does not have: none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Absent {}

/// The settings of HTTP, which this build does not have.
#[cfg(not(feature = "http"))]
pub type HttpConfig = Absent;

/// The settings of terminals, which this build does not have.
#[cfg(not(feature = "tty"))]
pub type TtyConfig = Absent;

/// Takes the sections of handlers that are not built out of the file, and reports them: a node must not start without
/// what it was told to serve. One that is switched off asks for nothing, so that a fleet of several builds can share a
/// file.
pub(super) fn refuse<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>, handlers: &[HandlerInfo]) {
    for handler in handlers.iter().filter(|handler| !handler.is_built) {
        for section in handler.sections {
            let Some((at, value)) = take(document, section).filter(|(_, value)| !is_off(value)) else { continue };
            let header = match value {
                DeValue::Array(_) => format!("[[{section}]]"),
                _ => format!("[{section}]"),
            };
            let message = format!(
                "{header} is not in this build (feature \"{}\"); use a build with it, or remove the section",
                handler.feature.unwrap_or(handler.name)
            );
            reader.problem(&at, (*section).to_owned(), message);
        }
    }
}

fn take<'t>(document: &mut DeTable<'t>, section: &str) -> Option<(std::ops::Range<usize>, DeValue<'t>)> {
    let at = document.keys().find(|key| key.get_ref() == section).map(Spanned::span)?;
    Some((at, document.remove(section)?.into_inner()))
}

fn is_off(section: &DeValue<'_>) -> bool {
    let enable = section.as_table().and_then(|table| table.get("enable"));
    enable.is_some_and(|enable| matches!(enable.get_ref(), DeValue::Boolean(false)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::handlers::HANDLERS;

    /// The errors of a build that has nothing but calls.
    fn errors(text: &str) -> String {
        let lean = HANDLERS.map(|mut handler| {
            handler.is_built = handler.feature.is_none();
            handler
        });
        let mut reader = Reader::new(Path::new("a.toml"), text);
        let mut document = reader.document().unwrap();
        refuse(&mut reader, &mut document, &lean);
        let left: Vec<_> = document.keys().map(|key| key.get_ref().to_string()).collect();
        assert!(!left.iter().any(|key| ["http", "import", "tty"].contains(&&**key)), "{left:?}");
        reader.finish(()).err().map_or_else(String::new, |errors| errors.to_string())
    }

    #[test]
    fn a_section_of_a_handler_that_is_not_built_is_named_with_its_line_and_feature() {
        assert_eq!(
            errors("[call]\nenable = true\n[http]\nenable = true\n[[import]]\n[[import]]\n[tty]\ncommands = []\n"),
            "a.toml:3: [http] is not in this build (feature \"http\"); use a build with it, or remove the section\n\
             a.toml:5: [[import]] is not in this build (feature \"http\"); use a build with it, or remove the section\n\
             a.toml:7: [tty] is not in this build (feature \"tty\"); use a build with it, or remove the section"
        );
        for text in ["\n[http.outbound]\nmax_retries = 1\n", "\nhttp.enable = true\n", "\nhttp = 3\n", "\n[http]\n"] {
            assert!(errors(text).starts_with("a.toml:2: [http] is not in this build"), "{text:?}");
        }
    }

    #[test]
    fn a_section_that_is_switched_off_asks_for_nothing() {
        assert_eq!(errors("[http]\nenable = false\nmax_headers = 1\n[http.outbound]\n[tty]\nenable = false\n"), "");
        assert!(errors("[tty]\nenable = \"false\"\n").starts_with("a.toml:1: [tty]"));
    }
}
