//! Edits of the configuration file by commands: peers come and go, and so do their tokens.
//!
//! Comments and layout stay as they are. The text that an edit makes is parsed before anything is written, the new file
//! takes the old one's place at once, and two commands at the same time wait for each other.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use alknet_core::TokenHash;
use toml_edit::{Array, ArrayOfTables, Decor, Document, DocumentMut, InlineTable, Item, RawString, Table, Value};

use super::replace::{self, ReplaceError};
use super::{Config, ConfigErrors, PeerEntry, PeerId, parse, read_text};

/// A configuration file under edit. Nothing is written before [`Editor::save`].
pub struct Editor {
    file: PathBuf,
    text: String,
    config: Config,
    /// Holds the other commands off.
    _lock: File,
}

impl Editor {
    /// Opens a configuration that has no errors.
    ///
    /// # Errors
    /// When it has some, it or its folder cannot be written, or another command does not finish its own edit.
    pub fn open(file: &Path) -> Result<Self, EditError> {
        // Before the rest, so that a missing file is told as what it is.
        read_text(file)?;
        let lock = replace::lock(file)?;
        let text = read_text(file)?;
        let config = parse(&text, file)?;
        Ok(Self { file: file.to_owned(), text, config, _lock: lock })
    }

    /// The configuration as it is after the edits so far.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The peer of an id.
    ///
    /// # Errors
    /// When there is none.
    pub fn peer(&self, id: &PeerId) -> Result<&PeerEntry, EditError> {
        let found = self.config.peers.iter().find(|peer| peer.id == *id);
        found.ok_or_else(|| EditError::NoSuchPeer { id: id.clone(), file: self.file.clone() })
    }

    /// Appends a peer.
    ///
    /// # Errors
    /// When there is one of that id, or the peer conflicts with another one.
    pub fn add_peer(&mut self, peer: &PeerEntry) -> Result<(), EditError> {
        if self.peer(&peer.id).is_ok() {
            return Err(EditError::PeerExists { id: peer.id.clone(), file: self.file.clone() });
        }
        let mut document = self.document()?;
        let text = match document.get_mut("peers") {
            Some(peers) => {
                self.tables(peers)?.push(peer_table(peer));
                document.to_string()
            }
            // Behind everything, also behind a comment that ends the file.
            None => self.with_first_peer(peer),
        };
        let mut peers = self.config.peers.clone();
        peers.push(peer.clone());
        self.accept(text, &peers)
    }

    fn with_first_peer(&self, peer: &PeerEntry) -> String {
        let end = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        format!("{}{end}{}", self.text, peers_text(std::slice::from_ref(peer)))
    }

    /// Removes a peer, with the comment right above it.
    ///
    /// # Errors
    /// When there is none of that id.
    pub fn remove_peer(&mut self, id: &PeerId) -> Result<PeerEntry, EditError> {
        let removed = self.peer(id)?.clone();
        let span = self.lines_of(id)?;
        let mut text = self.text.clone();
        text.replace_range(span, "");
        let rest: Vec<_> = self.config.peers.iter().filter(|peer| peer.id != *id).cloned().collect();
        self.accept(text, &rest)?;
        Ok(removed)
    }

    /// Gives a peer a further token.
    ///
    /// # Errors
    /// When there is no such peer.
    pub fn add_token(&mut self, id: &PeerId, token: TokenHash) -> Result<(), EditError> {
        let mut tokens = self.peer(id)?.tokens.clone();
        tokens.push(token);
        self.change_tokens(id, tokens, |item| add_text(item, &token.to_string()))
    }

    /// Takes tokens from a peer.
    ///
    /// # Errors
    /// When there is no such peer.
    pub fn remove_tokens(&mut self, id: &PeerId, gone: &[TokenHash]) -> Result<(), EditError> {
        let tokens: Vec<_> = self.peer(id)?.tokens.iter().filter(|token| !gone.contains(token)).copied().collect();
        let is_gone = |text: &str| text.parse().is_ok_and(|hash: TokenHash| gone.contains(&hash));
        self.change_tokens(id, tokens, |item| remove_texts(item, is_gone))
    }

    fn change_tokens(
        &mut self,
        id: &PeerId,
        tokens: Vec<TokenHash>,
        change: impl FnOnce(&mut Item),
    ) -> Result<(), EditError> {
        let mut document = self.document()?;
        let tables = self.tables(document.entry("peers").or_insert(Item::None))?;
        let table = tables.iter_mut().find(|table| has_id(table, id)).ok_or_else(|| self.unexpected())?;
        let item = table.entry("token_sha256").or_insert(Item::None);
        change(item);
        if item.is_none() {
            table.remove("token_sha256");
        }
        let mut peers = self.config.peers.clone();
        peers.iter_mut().filter(|peer| peer.id == *id).for_each(|peer| peer.tokens.clone_from(&tokens));
        self.accept(document.to_string(), &peers)
    }

    /// Puts the new text in the file's place.
    ///
    /// # Errors
    /// When it cannot be written; then the old one is still there.
    pub fn save(self) -> Result<Config, EditError> {
        replace::replace(&self.file, &self.text)?;
        Ok(self.config)
    }

    /// Takes an edited text, if it says what it is meant to say.
    fn accept(&mut self, text: String, expected: &[PeerEntry]) -> Result<(), EditError> {
        let config = parse(&text, &self.file).map_err(EditError::Refused)?;
        if config.peers != expected {
            return Err(self.unexpected());
        }
        (self.text, self.config) = (text, config);
        Ok(())
    }

    fn document(&self) -> Result<DocumentMut, EditError> {
        self.text.parse().map_err(|_| self.unexpected())
    }

    fn tables<'i>(&self, peers: &'i mut Item) -> Result<&'i mut ArrayOfTables, EditError> {
        peers.as_array_of_tables_mut().ok_or_else(|| self.unexpected())
    }

    /// The lines of a peer's entry: the comment right above it, its keys and tables, and one empty line.
    fn lines_of(&self, id: &PeerId) -> Result<Range<usize>, EditError> {
        let document = Document::parse(self.text.as_str()).map_err(|_| self.unexpected())?;
        let tables = document.get("peers").and_then(Item::as_array_of_tables);
        let table = tables.and_then(|tables| tables.iter().find(|table| has_id(table, id)));
        let header = table.and_then(Table::span).ok_or_else(|| self.unexpected())?;
        let last = table.map_or(header.end, |table| end_of(table, header.end));
        let start = start_with_comment(&self.text, header.start);
        let end =
            self.text.get(last..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |line| last + line + 1);
        let empty_line = self.text.get(end..).filter(|rest| rest.starts_with('\n')).map_or(0, |_| 1);
        Ok(start..end + empty_line)
    }

    fn unexpected(&self) -> EditError {
        EditError::Layout { file: self.file.clone() }
    }
}

/// Peers as they stand in a configuration.
pub(crate) fn peers_text(peers: &[PeerEntry]) -> String {
    let mut document = DocumentMut::new();
    document.insert("peers", Item::ArrayOfTables(peers.iter().map(peer_table).collect()));
    document.to_string()
}

fn has_id(table: &Table, id: &PeerId) -> bool {
    table.get("id").and_then(Item::as_str) == Some(id.as_str())
}

/// Where the last of a table's values ends.
fn end_of(table: &Table, start: usize) -> usize {
    let ends = table.iter().map(|(_, item)| match item {
        Item::Table(inner) => end_of(inner, inner.span().map_or(0, |span| span.end)),
        item => item.span().map_or(0, |span| span.end),
    });
    ends.fold(start, usize::max)
}

/// The start of the line at `offset`, or of the comment lines that end right above it.
fn start_with_comment(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or_default();
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    let lines = before.get(..line).unwrap_or_default().split_inclusive('\n').rev();
    line - lines.take_while(|line| line.trim_start().starts_with('#')).map(str::len).sum::<usize>()
}

fn peer_table(peer: &PeerEntry) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix("\n");
    let mut set = |key: &str, value: Value| drop(table.insert(key, Item::Value(value)));
    set("id", peer.id.as_str().into());
    if !peer.fingerprints.is_empty() {
        set("fingerprints", peer.fingerprints.iter().map(ToString::to_string).collect());
    }
    if !peer.tokens.is_empty() {
        set("token_sha256", peer.tokens.iter().map(ToString::to_string).collect());
    }
    if !peer.scopes.is_empty() {
        set("scopes", peer.scopes.iter().map(ToString::to_string).collect());
    }
    if !peer.resources.is_empty() {
        let resources = peer.resources.iter().map(|(kind, names)| (kind.as_str(), names.iter().collect::<Value>()));
        set("resources", InlineTable::from_iter(resources).into());
    }
    if let Some(address) = &peer.address {
        set("address", address.as_str().into());
    }
    if peer.connect {
        set("connect", true.into());
    }
    if !peer.enabled {
        set("enabled", false.into());
    }
    table
}

/// Nothing becomes a text, a text becomes a list of two, and a list grows.
fn add_text(item: &mut Item, text: &str) {
    match item {
        Item::Value(Value::Array(array)) => {
            // In a list with a line for each, the new one gets a line, too.
            let lines = array.iter().last().and_then(|last| last.decor().prefix()?.as_str().map(str::to_owned));
            match lines.filter(|prefix| prefix.contains('\n') && !prefix.contains('#')) {
                Some(prefix) => array.push_formatted(Value::from(text).decorated(prefix, "")),
                None => array.push(text),
            }
        }
        Item::Value(Value::String(first)) => {
            let decor: Decor = first.decor().clone();
            let mut array = Array::from_iter([first.value().as_str(), text]);
            *array.decor_mut() = decor;
            *item = Item::Value(array.into());
        }
        _ => *item = Item::Value(text.into()),
    }
}

fn remove_texts(item: &mut Item, gone: impl Fn(&str) -> bool) {
    let empty = match item {
        Item::Value(Value::Array(array)) => {
            array.retain(|value| !value.as_str().is_some_and(&gone));
            // The space after a comma that is gone.
            let first = array.get_mut(0).map(Value::decor_mut);
            if let Some(decor) = first.filter(|decor| decor.prefix().and_then(RawString::as_str) == Some(" ")) {
                decor.set_prefix("");
            }
            array.is_empty()
        }
        Item::Value(Value::String(text)) => gone(text.value()),
        _ => false,
    };
    if empty {
        *item = Item::None;
    }
}

/// An edit that was not made. The file is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file has errors already.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The file would have errors afterwards.
    #[error("the change is not made, because the configuration would have errors")]
    Refused(#[source] ConfigErrors),
    /// No peer has the id.
    #[error("there is no peer \"{id}\" in {}", file.display())]
    NoSuchPeer {
        /// The id.
        id: PeerId,
        /// The configuration.
        file: PathBuf,
    },
    /// A peer has the id.
    #[error("there is a peer \"{id}\" in {} already", file.display())]
    PeerExists {
        /// The id.
        id: PeerId,
        /// The configuration.
        file: PathBuf,
    },
    /// The file is written in a way that a program cannot edit safely.
    #[error("the peers of {} are not written as [[peers]] tables: change it by hand", file.display())]
    Layout {
        /// The configuration.
        file: PathBuf,
    },
    /// The file cannot be replaced.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
}

#[cfg(test)]
mod tests;
