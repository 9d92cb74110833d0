//! A description with all files that it refers to, and the way from a reference to what it means.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use super::document::{self, MAX_SIZE};
use super::error::Source;

/// How many files may belong to one description.
const MAX_FILES: usize = 4096;

/// How many references may lead to one another.
const MAX_CHAIN: usize = 32;

/// The documents of a description: the first one is its own.
#[derive(Debug)]
pub(super) struct Documents {
    roots: Vec<Value>,
    /// To which document a document's reference leads, by what stands before the `#`.
    links: HashMap<(usize, String), Result<usize, &'static str>>,
}

/// A value in one of the documents: a reference in it counts from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) document: usize,
    pub(super) value: &'a Value,
}

/// A reference that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reference:?} cannot be followed: {reason}")]
pub(super) struct BadReference {
    reference: String,
    reason: &'static str,
}

impl Documents {
    /// Reads what `root` refers to. A file that cannot be read matters only to those who follow the reference.
    pub(super) fn load(root: Value, source: &Source) -> Self {
        let mut loader = Loader::new(source, root);
        let mut document = 0;
        while let Some(root) = loader.documents.roots.get(document) {
            let mut references = BTreeSet::new();
            external_references(root, &mut references);
            for reference in references {
                let link = loader.link(document, &reference);
                loader.documents.links.insert((document, reference), link);
            }
            document += 1;
        }
        loader.documents
    }

    /// The description itself.
    pub(super) fn root(&self) -> Node<'_> {
        const NOTHING: &Value = &Value::Null;
        Node { document: 0, value: self.roots.first().unwrap_or(NOTHING) }
    }

    /// What a node means: itself, unless it is a reference.
    pub(super) fn follow<'a>(&'a self, node: Node<'a>) -> Result<Node<'a>, BadReference> {
        let mut node = node;
        for _ in 0..MAX_CHAIN {
            match node.text("$ref") {
                Some(reference) => node = self.resolve(node.document, reference)?,
                None => return Ok(node),
            }
        }
        Err(BadReference::new(node.text("$ref").unwrap_or_default(), "it leads on to others without an end"))
    }

    /// What a reference in a document is to; that may be another reference.
    pub(super) fn resolve<'a>(&'a self, document: usize, reference: &str) -> Result<Node<'a>, BadReference> {
        self.lookup(document, reference, &mut { MAX_CHAIN }).map_err(|reason| BadReference::new(reference, reason))
    }

    fn lookup<'a>(&'a self, document: usize, reference: &str, left: &mut usize) -> Result<Node<'a>, &'static str> {
        let (place, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = match place {
            "" => document,
            place => (*self.links.get(&(document, place.to_owned())).ok_or("it was not looked up")?)?,
        };
        let value = self.roots.get(document).ok_or("its document is not there")?;
        let root = Node { document, value };
        let decoded = percent_decode_str(fragment).decode_utf8_lossy();
        // Some files have percent signs in it that mean nothing but themselves.
        let found = self.point(root, &decoded, left).or_else(|| self.point(root, fragment, left));
        found.ok_or("nothing is there")
    }

    /// Follows a JSON pointer (RFC 6901), and the references that lie in its way.
    fn point<'a>(&'a self, root: Node<'a>, pointer: &str, left: &mut usize) -> Option<Node<'a>> {
        if pointer.is_empty() {
            return Some(root);
        }
        let mut node = root;
        for token in pointer.strip_prefix('/')?.split('/') {
            let token = token.replace("~1", "/").replace("~0", "~");
            let value = loop {
                match node.value {
                    Value::Object(fields) => match (fields.get(&token), node.text("$ref")) {
                        (Some(value), _) => break value,
                        (None, Some(reference)) => {
                            *left = left.checked_sub(1)?;
                            node = self.lookup(node.document, reference, left).ok()?;
                        }
                        (None, None) => return None,
                    },
                    Value::Array(items) => break items.get(token.parse::<usize>().ok()?)?,
                    _ => return None,
                }
            };
            node = Node { value, ..node };
        }
        Some(node)
    }
}

impl BadReference {
    fn new(reference: &str, reason: &'static str) -> Self {
        Self { reference: reference.chars().take(200).collect(), reason }
    }
}

impl<'a> Node<'a> {
    pub(super) fn get(self, key: &str) -> Option<Node<'a>> {
        self.value.get(key).map(|value| Node { value, ..self })
    }

    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        self.value.get(key).and_then(Value::as_str)
    }

    /// A boolean, also one that was written as text.
    pub(super) fn flag(self, key: &str) -> Option<bool> {
        match self.value.get(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text == "true" => Some(true),
            Value::String(text) if text == "false" => Some(false),
            _ => None,
        }
    }

    /// The fields of the object at a key; none if there is no object.
    pub(super) fn fields(self, key: &str) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        self.get(key).into_iter().flat_map(Node::entries)
    }

    /// The fields of the object itself.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let fields = self.value.as_object().into_iter().flatten();
        fields.map(move |(key, value)| (key.as_str(), Node { value, ..self }))
    }

    /// The items of the list at a key; none if there is no list.
    pub(super) fn items(self, key: &str) -> impl Iterator<Item = Node<'a>> {
        let items = self.value.get(key).and_then(Value::as_array).into_iter().flatten();
        items.map(move |value| Node { value, ..self })
    }
}

/// What stands before the `#` in references to other documents.
fn external_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| external_references(item, found)),
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let place = reference.split('#').next().unwrap_or_default();
                if !place.is_empty() && !found.contains(place) {
                    found.insert(place.to_owned());
                }
            }
            fields.values().for_each(|field| external_references(field, found));
        }
        _ => {}
    }
}

/// Reads documents as references to them turn up.
struct Loader {
    documents: Documents,
    /// Where each document is; none if that is not known.
    places: Vec<Option<PathBuf>>,
    known: HashMap<PathBuf, Result<usize, &'static str>>,
    /// Beneath which files are read. None are if the description is no file.
    folder: Option<PathBuf>,
    address: Option<Url>,
    size: usize,
}

impl Loader {
    fn new(source: &Source, root: Value) -> Self {
        let (place, address) = match source {
            Source::File(path) => (path.canonicalize().ok(), None),
            Source::Url(url) => (None, Some(url.clone())),
        };
        let known = place.iter().map(|place| (place.clone(), Ok(0))).collect();
        let folder = place.as_deref().and_then(Path::parent).map(Path::to_owned);
        let documents = Documents { roots: vec![root], links: HashMap::new() };
        Self { documents, places: vec![place], known, folder, address, size: MAX_SIZE }
    }

    fn link(&mut self, from: usize, reference: &str) -> Result<usize, &'static str> {
        if let Some(address) = &self.address {
            return match address.join(reference) {
                Ok(target) if target == *address => Ok(0),
                _ => Err("a description that was fetched cannot refer to other documents; bundle it into one"),
            };
        }
        // A letter and a colon are the drive of another system, not a scheme.
        if reference.split_once(':').is_some_and(|(scheme, _)| scheme.len() > 1 && !scheme.contains('/')) {
            return Err("it leads into the network; bundle the description into one file");
        }
        let path = self.path(from, reference)?;
        if let Some(known) = self.known.get(&path) {
            return *known;
        }
        let document = self.read(&path);
        self.known.insert(path, document);
        document
    }

    /// The file that a reference is to, which lies beneath the description's folder once all links are followed.
    fn path(&self, from: usize, reference: &str) -> Result<PathBuf, &'static str> {
        let here = self.places.get(from).and_then(Option::as_deref).and_then(Path::parent);
        let (Some(here), Some(folder)) = (here, self.folder.as_deref()) else {
            return Err("the folder of the description cannot be read");
        };
        let file = percent_decode_str(reference).decode_utf8().map_err(|_| "it is not UTF-8")?;
        let path = here.join(&*file).canonicalize().map_err(|_| "the file is not there or cannot be read")?;
        match path.starts_with(folder) {
            true => Ok(path),
            false => Err("it leads out of the folder of the description"),
        }
    }

    fn read(&mut self, path: &Path) -> Result<usize, &'static str> {
        const UNREADABLE: &str = "the file cannot be read";
        if self.documents.roots.len() >= MAX_FILES {
            return Err("the description has too many files");
        }
        // Opening anything else may wait for ever.
        if !path.metadata().is_ok_and(|file| file.is_file()) {
            return Err("it leads to no file");
        }
        let mut text = String::new();
        let limit = u64::try_from(self.size).unwrap_or(u64::MAX);
        let file = File::open(path).map_err(|_| UNREADABLE)?;
        file.take(limit.saturating_add(1)).read_to_string(&mut text).map_err(|_| UNREADABLE)?;
        self.size = self.size.checked_sub(text.len()).ok_or("the files of the description are too large altogether")?;
        let root = document::parse(&text).map_err(|_| "the file is neither JSON nor YAML")?;
        self.documents.roots.push(root);
        self.places.push(Some(path.to_owned()));
        Ok(self.documents.roots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn alone(root: Value) -> Documents {
        Documents::load(root, &Source::Url("https://example.com/a/openapi.json".parse().unwrap()))
    }

    fn followed(documents: &Documents, key: &str) -> Result<Value, String> {
        let node = documents.root().get(key).unwrap();
        documents.follow(node).map(|node| node.value.clone()).map_err(|error| error.to_string())
    }

    #[test]
    fn references_are_pointers_with_all_their_escapes() {
        let documents = alone(json!({
            "paths": { "/a~b/{id}": { "get": [10, 20] }, "100%": 3 },
            "escaped": { "$ref": "#/paths/~1a~0b~1%7Bid%7D/get/1" },
            "raw": { "$ref": "#/paths/100%" },
            "chain": { "$ref": "#/escaped" },
            "alias": { "$ref": "#/paths" },
            "through": { "$ref": "#/alias/100%25" },
            "within": { "$ref": "#/within/x" },
            "own": { "$ref": "https://example.com/a/openapi.json#/paths/100%25" },
            "beside": { "$ref": "openapi.json#/paths/100%25" },
            "missing": { "$ref": "#/paths/~1nothing" },
            "circle": { "$ref": "#/circle2" },
            "circle2": { "$ref": "#/circle" },
            "elsewhere": { "$ref": "https://example.com/b.json#/x" },
            "file": { "$ref": "file:///etc/passwd" },
        }));
        assert_eq!(followed(&documents, "escaped").unwrap(), 20);
        assert_eq!(followed(&documents, "chain").unwrap(), 20);
        for key in ["raw", "own", "beside", "through"] {
            assert_eq!(followed(&documents, key).unwrap(), 3, "{key}");
        }
        assert!(followed(&documents, "within").unwrap_err().contains("nothing is there"));
        let missing = followed(&documents, "missing").unwrap_err();
        assert_eq!(missing, r##""#/paths/~1nothing" cannot be followed: nothing is there"##);
        assert!(followed(&documents, "circle").unwrap_err().contains("without an end"));
        for key in ["elsewhere", "file"] {
            assert!(followed(&documents, key).unwrap_err().contains("bundle it into one"), "{key}");
        }
    }

    #[test]
    fn files_beneath_the_description_are_read_and_no_others() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("api");
        std::fs::create_dir_all(folder.join("parts")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(outside.path().join(name), text).unwrap();
        write("secret.yaml", "secret: 1");
        write("api/parts/a b.yaml", "x: {$ref: 'c.json#/y'}\nup: {$ref: '../main.yaml#/here'}");
        write("api/parts/c.json", r#"{"y": {"z": 7}}"#);
        write("api/parts/bad.yaml", "[");
        write("api/main.yaml", "");
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("secret.yaml"), folder.join("link.yaml")).unwrap();
        let root = json!({
            "here": 5,
            "chain": { "$ref": "parts/a%20b.yaml#/x" },
            "back": { "$ref": "./parts/a b.yaml#/up" },
            "whole": { "$ref": "parts/c.json" },
            "above": { "$ref": "../secret.yaml" },
            "link": { "$ref": "link.yaml" },
            "absolute": { "$ref": outside.path().join("secret.yaml").to_str().unwrap() },
            "web": { "$ref": "https://example.com/x.yaml" },
            "none": { "$ref": "parts/none.yaml" },
            "bad": { "$ref": "parts/bad.yaml" },
            "folder": { "$ref": "parts" },
        });
        let documents = Documents::load(root, &Source::File(folder.join("main.yaml")));
        assert_eq!(followed(&documents, "chain").unwrap(), json!({ "z": 7 }));
        assert_eq!(followed(&documents, "back").unwrap(), 5);
        assert_eq!(followed(&documents, "whole").unwrap(), json!({ "y": { "z": 7 } }));
        for key in ["above", "link", "absolute"] {
            assert!(followed(&documents, key).unwrap_err().contains("out of the folder"), "{key}");
        }
        for (key, reason) in [
            ("web", "into the network"),
            ("none", "not there"),
            ("bad", "neither JSON nor YAML"),
            ("folder", "leads to no file"),
        ] {
            assert!(followed(&documents, key).unwrap_err().contains(reason), "{key}");
        }
    }
}
