//! `[[import]]`: operations of services that are no nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::ops::Range;
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
const OWN: [&str; 7] = ["config", "dashboard", "metrics", "node", "resources", "services", "tty"];

/// In the place of a security scheme: any that has no entry of its own.
const ANY_SCHEME: &str = "*";

/// Before the id of the peer whose calls alone go out with an entry. No name of a scheme or an entry is meant by it.
const OWN_ENTRY: &str = "@";

/// An entry of `[[import]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The word that stands before the names of its operations.
    pub name: ImportName,
    /// Where they come from.
    pub source: ImportSource,
    /// Which operations, by their names here: with that word in front, which the file does not repeat.
    pub operations: Vec<OperationPattern>,
    /// The entries of the vault by what they are for: a security scheme of the service; `*` for whatever has none of its
    /// own; `@alice` for the calls of the peer `alice`.
    pub credentials: BTreeMap<String, String>,
    /// Whether callers from outside may call them.
    pub export: bool,
    /// What such a caller needs; if nothing is given, to be a known peer.
    pub required_scopes: Vec<Scope>,
}

/// Where operations come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSource {
    /// From a description in OpenAPI 3.0 or 3.1.
    OpenApi {
        /// Where that is.
        spec: SpecSource,
        /// Where the service is, if not where its description says.
        server: Option<String>,
    },
    /// From a server of the Model Context Protocol.
    Mcp {
        /// Where that is.
        url: String,
    },
}

/// The ways in which a service can describe itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ImportKind {
    OpenApi,
    Mcp,
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
    spec: Option<Spanned<Parsed<SpecSource>>>,
    url: Option<Spanned<String>>,
    operations: Vec<Spanned<String>>,
    credential: Option<Spanned<String>>,
    credentials: Option<Spanned<BTreeMap<String, String>>>,
    credentials_for: Option<Spanned<BTreeMap<String, String>>>,
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
    let (place, span) = (Place::entry("import", index), entry.span());
    let mut keys: ImportKeys = reader.section(&place, entry, &[])?;
    let name = keys.name.get_ref().0.clone();
    check_name(reader, &place, hub, others, &keys.name);
    let source = source(reader, &place, &span, &mut keys);
    let operations = keys.operations.iter().filter_map(|written| match name.pattern(written.get_ref()) {
        Ok(pattern) => Some(pattern),
        Err(message) => {
            reader.problem(&written.span(), format!("{}.operations", place.key), message);
            None
        }
    });
    let operations = operations.collect();
    let mut credentials = keys.credentials.map(Spanned::into_inner).unwrap_or_default();
    if let Some(entry) = keys.credential
        && let Some(other) = credentials.insert(ANY_SCHEME.to_owned(), entry.get_ref().clone())
    {
        let message =
            format!("{0}.credential and {0}.credentials.\"*\" (\"{other}\") mean the same: remove one", place.key);
        reader.problem(&entry.span(), format!("{}.credential", place.key), message);
    }
    let own = keys.credentials_for.map(Spanned::into_inner).unwrap_or_default();
    credentials.extend(own.into_iter().map(|(id, entry)| (format!("{OWN_ENTRY}{id}"), entry)));
    Some(Import {
        name,
        source: source?,
        operations,
        credentials,
        export: keys.export,
        required_scopes: keys.required_scopes.into_iter().map(|scope| scope.0).collect(),
    })
}

fn check_name(
    reader: &mut Reader<'_>,
    place: &Place,
    hub: &Hub,
    others: &[Import],
    written: &Spanned<Parsed<ImportName>>,
) {
    let name = &written.get_ref().0;
    if others.iter().any(|other| other.name == *name) {
        let message =
            format!("{}.name: there is an import \"{name}\" already; each needs a name of its own", place.key);
        reader.problem(&written.span(), format!("{}.name", place.key), message);
    }
    if let Some(export) = hub.reexport.iter().find(|export| first_word(export.prefix.as_str()) == name.as_str()) {
        let message = format!(
            "{}.name: \"{name}\" is the prefix of the operations of the peer \"{}\"; choose another name",
            place.key, export.peer
        );
        reader.problem(&written.span(), format!("{}.name", place.key), message);
    }
}

/// What an entry is about. Keys that mean nothing for its kind are reported: somebody expects something of them.
fn source(reader: &mut Reader<'_>, place: &Place, span: &Range<usize>, keys: &mut ImportKeys) -> Option<ImportSource> {
    let spans = [
        ("spec", keys.spec.as_ref().map(Spanned::span)),
        ("server", keys.server.as_ref().map(Spanned::span)),
        ("credentials", keys.credentials.as_ref().map(Spanned::span)),
        ("url", keys.url.as_ref().map(Spanned::span)),
        ("credentials_for", keys.credentials_for.as_ref().map(Spanned::span)),
    ];
    let (kind, strange) = match keys.from {
        ImportKind::OpenApi => ("openapi", &["url", "credentials_for"][..]),
        ImportKind::Mcp => ("mcp", &["spec", "server", "credentials"][..]),
    };
    for (key, span) in spans.iter().filter(|(key, _)| strange.contains(key)) {
        if let Some(span) = span {
            let message = format!("{}.{key}: an import from \"{kind}\" has no such key; remove it", place.key);
            reader.problem(span, format!("{}.{key}", place.key), message);
        }
    }
    let mut missing = |key: &str, example: &str| {
        let message = format!("the key \"{key}\" is missing in {}: write {key} = \"{example}\"", place.header);
        reader.problem(span, format!("{}.{key}", place.key), message);
    };
    match keys.from {
        ImportKind::OpenApi => {
            let Some(spec) = keys.spec.take() else {
                missing("spec", "https://…");
                return None;
            };
            let server = keys.server.take();
            if let Some(server) = &server
                && !["https://", "http://"].iter().any(|scheme| server.get_ref().starts_with(scheme))
            {
                let written = server.get_ref().escape_debug();
                let message =
                    format!("{}.server: \"{written}\" is no address of a service: write https://…", place.key);
                reader.problem(&server.span(), format!("{}.server", place.key), message);
            }
            Some(ImportSource::OpenApi { spec: spec.into_inner().0, server: server.map(Spanned::into_inner) })
        }
        ImportKind::Mcp => {
            let Some(url) = keys.url.take() else {
                missing("url", "https://…");
                return None;
            };
            let problem = match cfg!(feature = "mcp") {
                false => Some("is not in this build (feature \"mcp\"); use a build with it, or remove the entry"),
                true if is_private(url.get_ref()) => None,
                true => Some(
                    "needs an address that starts with https:// and has no password in it; http:// is for this machine only",
                ),
            };
            if let Some(problem) = problem {
                let message = format!("{}.url: an import from \"mcp\" {problem}", place.key);
                reader.problem(&url.span(), format!("{}.url", place.key), message);
            }
            Some(ImportSource::Mcp { url: url.into_inner() })
        }
    }
}

/// Whether nobody on the way to an address can read what goes there, as far as its text tells.
fn is_private(url: &str) -> bool {
    let host_of = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    match url.split_once("://") {
        Some(("https", rest)) => !host_of(rest).is_empty() && !host_of(rest).contains('@'),
        Some(("http", rest)) => {
            let host = host_of(rest);
            let name = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
            ["localhost", "[::1]"].contains(&name)
                || host == "[::1]"
                || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    }
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

    fn spec(import: &Import) -> SpecSource {
        match &import.source {
            ImportSource::OpenApi { spec, .. } => spec.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_import_names_its_source_its_operations_and_its_credentials() {
        let config =
            read(&format!("{ENTRY}credential = \"github\"\ncredentials = {{ app = \"github-app\" }}\n")).unwrap();
        let import = &config.imports[0];
        assert_eq!((import.name.as_str(), spec(import)), ("github", SpecSource::File("github.yaml".into())));
        assert_eq!(import.operations[0].as_str(), "github/issues/*");
        assert!(read(&ENTRY.replace("issues/*", "ping")).is_ok(), "a name may have one word");
        let credentials: Vec<_> = import.credentials.iter().map(|(scheme, entry)| (&**scheme, &**entry)).collect();
        assert_eq!(credentials, [("*", "github"), ("app", "github-app")]);
        assert!(!import.export, "what is imported stays inside unless somebody says otherwise");
        let url = read(&ENTRY.replace("github.yaml", "https://a.example/openapi.json")).unwrap();
        assert_eq!(spec(&url.imports[0]), SpecSource::Url("https://a.example/openapi.json".to_owned()));
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
            (ENTRY.replace("spec", "url"), "import[0].url: an import from \"openapi\" has no such key"),
            (ENTRY.replace("spec = \"github.yaml\"\n", ""), "the key \"spec\" is missing in [[import]]"),
            (format!("{ENTRY}credentials_for = {{ alice = \"a\" }}\n"), "has no such key"),
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

    const MCP: &str = "[[import]]\nfrom = \"mcp\"\nname = \"shop\"\nurl = \"https://shop.example/mcp\"\n\
        operations = [\"list_*\"]\n";

    #[test]
    #[cfg(feature = "mcp")]
    fn a_server_of_mcp_has_an_address_and_entries_for_all_and_for_some() {
        let text = format!("{MCP}credential = \"all\"\ncredentials_for = {{ alice = \"hers\", \"*\" = \"odd\" }}\n");
        let import = read(&text).unwrap().imports.remove(0);
        assert_eq!(import.source, ImportSource::Mcp { url: "https://shop.example/mcp".to_owned() });
        assert_eq!(import.operations[0].as_str(), "shop/list_*");
        let credentials: Vec<_> = import.credentials.iter().map(|(name, entry)| (&**name, &**entry)).collect();
        assert_eq!(credentials, [("*", "all"), ("@*", "odd"), ("@alice", "hers")]);
        for address in ["http://127.0.0.1:8000/mcp", "http://localhost/mcp", "http://[::1]:1/mcp", "http://[::1]"] {
            assert!(read(&MCP.replace("https://shop.example/mcp", address)).is_ok(), "{address}");
        }
    }

    #[test]
    #[cfg(feature = "mcp")]
    fn what_cannot_be_meant_for_a_server_of_mcp_is_an_error() {
        for (text, expected) in [
            (MCP.replace("url = \"https://shop.example/mcp\"\n", ""), "the key \"url\" is missing in [[import]]"),
            (format!("{MCP}spec = \"a.yaml\"\n"), "import[0].spec: an import from \"mcp\" has no such key"),
            (format!("{MCP}server = \"https://a.example\"\n"), "import[0].server: an import from \"mcp\""),
            (format!("{MCP}credentials = {{ a = \"b\" }}\n"), "import[0].credentials: an import from \"mcp\""),
            (MCP.replace("https://shop", "http://shop"), "needs an address that starts with https://"),
            (MCP.replace("https://shop", "http://127.0.0.1.shop"), "needs an address that starts with https://"),
            (MCP.replace("https://shop", "https://me:secret@shop"), "has no password in it"),
            (MCP.replace("https://shop", "stdio://shop"), "needs an address that starts with https://"),
        ] {
            let error = error(&text);
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "mcp"))]
    fn a_build_without_mcp_says_so() {
        assert!(error(MCP).contains("is not in this build (feature \"mcp\")"));
    }
}
