//! `[[import]]`: operations of services that are no nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use alknet_call::{OperationName, OperationPattern};
use alknet_core::Scope;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::hub::Hub;
use super::reader::{Place, Reader};
use super::text::Parsed;

/// The first words of names that are the node's own.
const OWN: [&str; 6] = ["config", "metrics", "node", "resources", "services", "tty"];

/// In the place of a security scheme: any that has no entry of its own.
const ANY_SCHEME: &str = "*";

/// An entry of `[[import]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// How the service describes itself.
    pub from: ImportKind,
    /// The word that stands before the names of its operations.
    pub name: ImportName,
    /// Where the description is.
    pub spec: SpecSource,
    /// Which operations, by their names here: with that word in front, which the file does not repeat.
    pub operations: Vec<OperationPattern>,
    /// The entries of the vault by the security schemes of the service that they are for.
    pub credentials: BTreeMap<String, String>,
    /// Where the service is, if not where its description says.
    pub server: Option<String>,
    /// Whether callers from outside may call them.
    pub export: bool,
    /// What such a caller needs; if nothing is given, to be a known peer.
    pub required_scopes: Vec<Scope>,
}

/// The ways in which a service can describe itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportKind {
    /// OpenAPI 3.0 or 3.1.
    OpenApi,
}

/// The name of a source: one word of an operation's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImportName(String);

impl ImportName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A pattern of operations of this source, written without its name.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn pattern(&self, text: &str) -> Result<OperationPattern, String> {
        format!("{self}/{text}").parse().map_err(|_| {
            format!(
                "\"{}\" is no pattern of operations: write names as alknet import list shows them, with * for a word or a \
                 part of one and ** for several",
                text.escape_debug()
            )
        })
    }
}

impl fmt::Display for ImportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImportName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if OWN.contains(&text) {
            return Err(format!(
                "\"{text}\" is taken: {text}/… are operations of the node itself; choose another name"
            ));
        }
        match OperationName::from_str(&format!("{text}/x")) {
            Ok(name) if name.service() == text && !text.contains('/') => Ok(Self(text.to_owned())),
            _ => Err(format!(
                "\"{}\" is no name of a source: write a word of 1 to 64 characters of a-z, 0-9, - and _, the first a letter or a digit",
                text.escape_debug()
            )),
        }
    }
}

/// Where a description is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpecSource {
    /// A file; a relative path starts beside the configuration.
    File(PathBuf),
    /// An address on the web.
    Url(String),
}

impl FromStr for SpecSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            _ if text.is_empty() => Err("the description needs a path or an https:// address".to_owned()),
            Some(("https" | "http", rest)) if !rest.is_empty() => Ok(Self::Url(text.to_owned())),
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Err(format!("\"{}\" is neither a path nor an https:// address", text.escape_debug()))
            }
            _ => Ok(Self::File(text.into())),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportKeys {
    from: ImportKind,
    name: Spanned<Parsed<ImportName>>,
    spec: Parsed<SpecSource>,
    operations: Vec<Spanned<String>>,
    credential: Option<Spanned<String>>,
    #[serde(default)]
    credentials: BTreeMap<String, String>,
    server: Option<Spanned<String>>,
    #[serde(default)]
    export: bool,
    #[serde(default)]
    required_scopes: Vec<Parsed<Scope>>,
}

pub(super) fn read<'t>(reader: &mut Reader<'t>, document: &mut DeTable<'t>, hub: &Hub) -> Vec<Import> {
    let Some(imports) = document.remove("import") else { return Vec::new() };
    let span = imports.span();
    let DeValue::Array(entries) = imports.into_inner() else {
        let message = "import is a list: write [[import]], in two brackets, above each source";
        reader.problem(&span, "import".to_owned(), message);
        return Vec::new();
    };
    let mut imports: Vec<Import> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let Some(import) = entry_in(reader, hub, &imports, index, entry) else { continue };
        imports.push(import);
    }
    imports
}

fn entry_in<'t>(
    reader: &mut Reader<'t>,
    hub: &Hub,
    others: &[Import],
    index: usize,
    entry: Spanned<DeValue<'t>>,
) -> Option<Import> {
    let place = Place::entry("import", index);
    let keys: ImportKeys = reader.section(&place, entry, &[])?;
    let name = keys.name.get_ref().0.clone();
    if others.iter().any(|other| other.name == name) {
        let message =
            format!("{}.name: there is an import \"{name}\" already; each needs a name of its own", place.key);
        reader.problem(&keys.name.span(), format!("{}.name", place.key), message);
    }
    if let Some(export) = hub.reexport.iter().find(|export| first_word(export.prefix.as_str()) == name.as_str()) {
        let message = format!(
            "{}.name: \"{name}\" is the prefix of the operations of the peer \"{}\"; choose another name",
            place.key, export.peer
        );
        reader.problem(&keys.name.span(), format!("{}.name", place.key), message);
    }
    if let Some(server) = &keys.server
        && !["https://", "http://"].iter().any(|scheme| server.get_ref().starts_with(scheme))
    {
        let message = format!(
            "{}.server: \"{}\" is no address of a service: write https://…",
            place.key,
            server.get_ref().escape_debug()
        );
        reader.problem(&server.span(), format!("{}.server", place.key), message);
    }
    let operations = keys.operations.iter().filter_map(|written| match name.pattern(written.get_ref()) {
        Ok(pattern) => Some(pattern),
        Err(message) => {
            reader.problem(&written.span(), format!("{}.operations", place.key), message);
            None
        }
    });
    let operations = operations.collect();
    let mut credentials = keys.credentials;
    if let Some(entry) = keys.credential
        && let Some(other) = credentials.insert(ANY_SCHEME.to_owned(), entry.get_ref().clone())
    {
        let message =
            format!("{0}.credential and {0}.credentials.\"*\" (\"{other}\") mean the same: remove one", place.key);
        reader.problem(&entry.span(), format!("{}.credential", place.key), message);
    }
    Some(Import {
        from: keys.from,
        name,
        spec: keys.spec.0,
        operations,
        credentials,
        server: keys.server.map(Spanned::into_inner),
        export: keys.export,
        required_scopes: keys.required_scopes.into_iter().map(|scope| scope.0).collect(),
    })
}

fn first_word(prefix: &str) -> &str {
    prefix.split('/').next().unwrap_or_default()
}

#[cfg(test)]
#[cfg(feature = "http")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, ConfigErrors, parse};

    const ENTRY: &str = "[[import]]\nfrom = \"openapi\"\nname = \"github\"\nspec = \"github.yaml\"\n\
        operations = [\"issues/*\"]\n";

    fn read(text: &str) -> Result<Config, ConfigErrors> {
        parse(text, Path::new("alknet.toml"))
    }

    fn error(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn an_import_names_its_source_its_operations_and_its_credentials() {
        let config =
            read(&format!("{ENTRY}credential = \"github\"\ncredentials = {{ app = \"github-app\" }}\n")).unwrap();
        let import = &config.imports[0];
        assert_eq!((import.name.as_str(), &import.spec), ("github", &SpecSource::File("github.yaml".into())));
        assert_eq!(import.operations[0].as_str(), "github/issues/*");
        assert!(read(&ENTRY.replace("issues/*", "ping")).is_ok(), "a name may have one word");
        let credentials: Vec<_> = import.credentials.iter().map(|(scheme, entry)| (&**scheme, &**entry)).collect();
        assert_eq!(credentials, [("*", "github"), ("app", "github-app")]);
        assert!(!import.export, "what is imported stays inside unless somebody says otherwise");
        let url = read(&ENTRY.replace("github.yaml", "https://a.example/openapi.json")).unwrap();
        assert_eq!(url.imports[0].spec, SpecSource::Url("https://a.example/openapi.json".to_owned()));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        let hub =
            "[[peers]]\nid = \"w\"\n[[hub.reexport]]\npeer = \"w\"\noperations = [\"**\"]\nprefix = \"github/x\"\n";
        for (text, expected) in [
            (ENTRY.replace("\"github\"", "\"tty\""), "\"tty\" is taken"),
            (ENTRY.replace("\"github\"", "\"a/b\""), "\"a/b\" is no name of a source"),
            (format!("{ENTRY}{ENTRY}"), "there is an import \"github\" already"),
            (format!("{ENTRY}{hub}"), "is the prefix of the operations of the peer \"w\""),
            (ENTRY.replace("openapi", "openapy"), "unknown variant `openapy`"),
            (ENTRY.replace("github.yaml", "ftp://x"), "neither a path nor an https:// address"),
            (format!("{ENTRY}server = \"github.com\"\n"), "\"github.com\" is no address of a service"),
            (format!("{ENTRY}credential = \"a\"\ncredentials = {{ \"*\" = \"b\" }}\n"), "mean the same"),
            (ENTRY.replace("issues/*", "Issues"), "\"Issues\" is no pattern of operations"),
            (ENTRY.replace("operations", "operation"), "did you mean \"operations\"?"),
            (format!("{ENTRY}token = \"ghp_x\"\n"), "unknown key \"token\" in [[import]]"),
            ("[import]\nname = \"a\"\n".to_owned(), "import is a list"),
        ] {
            let error = error(&text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
