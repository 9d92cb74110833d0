//! Reads a section of the file into its struct, and reports not the first problem but all of them.
//!
//! Serde stops at the first problem. Here the key or value that it stopped at is reported, cut out of the section, and
//! the rest is tried again.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::error::{ConfigError, ConfigErrors};
use super::hints::{SerdeMessage, in_toml_words, suggest, understand};

/// More problems than anyone reads at once. Each costs a pass over its section, so this bounds the time, too.
const MAX_ERRORS: usize = 50;

/// Collects what is wrong with one file.
pub(super) struct Reader<'t> {
    file: &'t Path,
    text: &'t str,
    errors: Vec<ConfigError>,
}

/// Where a section stands: as its header is written, and as a key (`[[peers]]` and `peers[0]`).
#[derive(Clone)]
pub(super) struct Place {
    pub(super) header: String,
    pub(super) key: String,
}

impl Place {
    /// The place of the table `[name]`.
    pub(super) fn table(name: &str) -> Self {
        Self { header: format!("[{name}]"), key: name.to_owned() }
    }

    /// The place of an entry of `[[name]]`.
    pub(super) fn entry(name: &str, index: usize) -> Self {
        Self { header: format!("[[{name}]]"), key: format!("{name}[{index}]") }
    }
}

impl<'t> Reader<'t> {
    pub(super) fn new(file: &'t Path, text: &'t str) -> Self {
        Self { file, text, errors: Vec::new() }
    }

    /// The file's tables and values, if it is TOML. If not, what would follow is anyone's guess.
    pub(super) fn document(&mut self) -> Result<DeTable<'t>, ConfigErrors> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            let message = match self.text.get(span.clone()) {
                Some(key) if error.message() == "duplicate key" => format!("the key {key} is there already"),
                _ => error.message().replace('\n', ", "),
            };
            self.problem(&span, String::new(), message);
        }
        self.take_errors().map_or(Ok(table.into_inner()), Err)
    }

    /// Reports a problem of `key`, which stands at `span`.
    pub(super) fn problem(&mut self, span: &Range<usize>, key: String, message: impl Into<String>) {
        // Finding the line takes time, so this is not left to the end.
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(ConfigError::at(self.file, self.text, span, key, message.into()));
        }
    }

    /// Reports a key that is not known at a place.
    pub(super) fn unknown_key(&mut self, span: &Range<usize>, path: String, key: &str, header: &str, known: &[&str]) {
        let place = if header.is_empty() { String::new() } else { format!(" in {header}") };
        let key = key.escape_debug();
        let before = self.errors.len();
        self.problem(span, path, format!("unknown key \"{key}\"{place}"));
        if let Some(error) = self.errors.get_mut(before) {
            error.suggestion = Some(suggest(&key.to_string(), known));
        }
    }

    /// Reads a section. `also` are keys that belong to it besides those of `T`.
    ///
    /// What comes back is complete only if nothing was reported, but later checks can use it in either case.
    pub(super) fn section<T: DeserializeOwned>(
        &mut self,
        place: &Place,
        mut section: Spanned<DeValue<'t>>,
        also: &[&str],
    ) -> Option<T> {
        let original = section.clone();
        let mut whole = true;
        while self.errors.len() < MAX_ERRORS {
            let error = match T::deserialize(ValueDeserializer::from(section.clone())) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| section.span());
            let message = understand(error.message());
            // A key that was cut out for a bad value is missed afterwards.
            if whole || !matches!(message, SerdeMessage::MissingKey { .. }) {
                // Cutting shifts the indexes of arrays, so the path is that in the original.
                let path = path_to(original.get_ref(), &span).unwrap_or_default();
                self.report(place, &path, &span, message, also);
            }
            whole = false;
            let path = path_to(section.get_ref(), &span)?;
            cut(&mut section, &path);
        }
        None
    }

    fn report(&mut self, place: &Place, path: &[Step], span: &Range<usize>, message: SerdeMessage<'_>, also: &[&str]) {
        let key = path.iter().fold(place.key.clone(), Step::append);
        match message {
            SerdeMessage::UnknownKey { key: unknown, mut known } => {
                let parent = path.split_last().map_or(path, |(_, parent)| parent);
                if parent.is_empty() {
                    known.extend(also);
                }
                self.unknown_key(span, key, unknown, &header(place, parent), &known);
            }
            SerdeMessage::MissingKey { key: missing } => {
                let message = format!("the key \"{missing}\" is missing in {}", header(place, path));
                self.problem(span, format!("{key}.{missing}"), message);
            }
            SerdeMessage::Other(message) => {
                self.problem(span, key.clone(), format!("{key}: {}", in_toml_words(message)))
            }
        }
    }

    /// Takes `key` out of a table and reads it.
    pub(super) fn take<T: DeserializeOwned>(&mut self, place: &Place, table: &mut DeTable<'t>, key: &str) -> Option<T> {
        let value = table.remove(key)?;
        let key = format!("{}.{key}", place.key);
        self.section(&Place { header: place.header.clone(), key }, value, &[])
    }

    /// `value`, if nothing was reported.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, ConfigErrors> {
        self.take_errors().map_or(Ok(value), Err)
    }

    fn take_errors(&mut self) -> Option<ConfigErrors> {
        Some(std::mem::take(&mut self.errors)).filter(|errors| !errors.is_empty()).map(ConfigErrors::new)
    }

    /// Whether something was reported.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }
}

/// A step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Step {
    fn append(path: String, step: &Self) -> String {
        match step {
            Self::Key(key) => format!("{path}.{key}"),
            Self::Index(index) => format!("{path}[{index}]"),
        }
    }
}

/// The header that the table at `path` has or could have.
fn header(place: &Place, path: &[Step]) -> String {
    let names: Vec<&str> =
        path.iter().filter_map(|step| if let Step::Key(key) = step { Some(&**key) } else { None }).collect();
    if names.is_empty() {
        return place.header.clone();
    }
    let outer = place.header.trim_matches(['[', ']']);
    format!("[{outer}.{}]", names.join("."))
}

/// The way to what stands at exactly this place: a key, or a value inside `value`.
fn path_to(value: &DeValue<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    match value {
        DeValue::Table(table) => table.iter().find_map(|(key, value)| {
            let found = key.span() == *span || value.span() == *span;
            step_into(Step::Key(key.get_ref().to_string()), found, value.get_ref(), span)
        }),
        DeValue::Array(array) => array
            .iter()
            .enumerate()
            .find_map(|(index, value)| step_into(Step::Index(index), value.span() == *span, value.get_ref(), span)),
        _ => None,
    }
}

fn step_into(step: Step, found: bool, value: &DeValue<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    let rest = if found { Vec::new() } else { path_to(value, span)? };
    Some(std::iter::once(step).chain(rest).collect())
}

/// Removes what is at the end of `path`.
fn cut(value: &mut Spanned<DeValue<'_>>, path: &[Step]) {
    match (value.get_mut(), path) {
        (DeValue::Table(table), [Step::Key(key)]) => drop(table.remove(key.as_str())),
        (DeValue::Table(table), [Step::Key(key), rest @ ..]) => {
            if let Some(inner) = table.get_mut(key.as_str()) {
                cut(inner, rest);
            }
        }
        (DeValue::Array(array), [Step::Index(index)]) => {
            let all = std::mem::replace(array, DeArray::from_iter([])).into_iter().enumerate();
            *array = all.filter(|(at, _)| at != index).map(|(_, value)| value).collect();
        }
        (DeValue::Array(array), [Step::Index(index), rest @ ..]) => {
            if let Some(inner) = array.get_mut(*index) {
                cut(inner, rest);
            }
        }
        _ => {}
    }
}
