//! The ledger on disk: `peers.toml` and `invitations.json` in the state folder.
//!
//! A running node and commands change them in turns, each by reading, changing and replacing them under a lock, so nobody
//! has an old copy to write back.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use alknet_vault::file::read_secret;
use zeroize::Zeroizing;

use super::{Invitations, Joined, Ledger, PairingError};
use crate::config::edit::peers_text;
use crate::config::{ConfigError, ConfigErrors, MAX_FILE_LEN, parse_peers};
use crate::files::{FileFailure, Owner, lock_folder, put};

const PEERS: &str = "peers.toml";
const INVITATIONS: &str = "invitations.json";

const HEADER: &str = "# The peers that have joined. alknet writes this file: \"alknet peer remove ID\" removes one.\n";

/// The files of a state folder. They need not be there: then nobody has joined.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

impl Store {
    /// The files in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file of those that have joined.
    pub fn peers_file(&self) -> PathBuf {
        self.folder.join(PEERS)
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// When a file cannot be read, or is damaged.
    pub fn read(&self) -> Result<Ledger, PairingError> {
        Ok(Ledger { joined: self.read_joined()?, invitations: self.read_invitations()? })
    }

    /// Changes what is there, if `change` succeeds. Gives what that gives, and the ledger as it is then.
    ///
    /// # Errors
    /// Those of `change`, and when a file cannot be read or written.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Ledger) -> Result<T, PairingError>,
    ) -> Result<(T, Ledger), PairingError> {
        let _lock = self.lock()?;
        let old = self.read()?;
        let mut new = old.clone();
        let result = change(&mut new)?;
        let peers = format!("{HEADER}{}", peers_text(new.joined.peers()));
        let path = self.peers_file();
        if peers.len() > MAX_FILE_LEN {
            return Err(PairingError::Full { path });
        }
        // A token first: a crash in between leaves one that is used up for nothing, and none that can be used twice.
        if new.invitations != old.invitations {
            let path = self.folder.join(INVITATIONS);
            let text = new.invitations.to_json().map_err(|error| damaged(&path, error))?;
            self.put(&path, &text)?;
        }
        if new.joined != old.joined {
            self.put(&path, peers.as_bytes())?;
        }
        Ok((result, new))
    }

    fn read_joined(&self) -> Result<Joined, PairingError> {
        let path = self.peers_file();
        let Some(bytes) = read(&path)? else { return Ok(Joined::default()) };
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ConfigErrors::from(ConfigError::of_file(&path, "the text is not UTF-8, as TOML must be")))?;
        Ok(Joined::new(parse_peers(text, &path)?))
    }

    fn read_invitations(&self) -> Result<Invitations, PairingError> {
        let path = self.folder.join(INVITATIONS);
        let Some(bytes) = read(&path)? else { return Ok(Invitations::default()) };
        Invitations::from_json(&bytes).map_err(|error| damaged(&path, error))
    }

    fn lock(&self) -> Result<File, PairingError> {
        if !self.folder.exists() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.folder);
            made.map_err(FileFailure::of("make the state folder", &self.folder))?;
        }
        lock_folder(&self.folder)?.ok_or_else(|| PairingError::Busy { folder: self.folder.clone() })
    }

    /// For whoever has the folder: a node runs as a user of its own, and root may be who runs the command.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), PairingError> {
        let folder = fs::metadata(&self.folder).map_err(FileFailure::of("read", &self.folder))?;
        Ok(put(path, &self.folder, bytes, Owner { uid: folder.uid(), gid: folder.gid(), mode: 0o600 })?)
    }
}

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, PairingError> {
    match read_secret(path, MAX_FILE_LEN) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn damaged(path: &Path, error: serde_json::Error) -> PairingError {
    PairingError::Invitations { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use alknet_core::TokenHash;

    use super::*;
    use crate::config::PeerEntry;
    use crate::pairing::joined::tests::{key, peer};
    use crate::pairing::{Invitation, Known};

    fn known() -> Known {
        Known { configured: Vec::new(), own: key(255), now: 100 }
    }

    fn on_disk(folder: &Path) -> Vec<PeerEntry> {
        Store::new(folder.to_owned()).read().unwrap().joined.peers().to_vec()
    }

    fn invitation(id: &str) -> Invitation {
        Invitation {
            id: id.parse().unwrap(),
            scopes: Vec::new(),
            resources: Default::default(),
            token: TokenHash::of(id),
            expires: 200,
        }
    }

    #[test]
    fn what_was_changed_is_there_for_the_next_one_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("state"));
        assert_eq!(store.read().unwrap(), Ledger::default());
        assert!(!folder.path().join("state").exists(), "reading makes nothing");
        store.change(|ledger| ledger.invite(invitation("worker"), &known())).unwrap();
        let (joined, ledger) = store.change(|ledger| ledger.join(&TokenHash::of("worker"), key(1), &known())).unwrap();
        assert_eq!(ledger.joined.peers(), [joined]);
        assert_eq!(store.read().unwrap(), ledger);
        for name in [PEERS, INVITATIONS] {
            assert_eq!(fs::metadata(folder.path().join("state").join(name)).unwrap().mode() & 0o7777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn of_many_who_race_for_one_token_one_comes_in() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        store.change(|ledger| ledger.invite(invitation("worker"), &known())).unwrap();
        let race = |who: u8| store.change(|ledger| ledger.join(&TokenHash::of("worker"), key(who), &known())).is_ok();
        let winners: Vec<u8> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|who| (who, scope.spawn(move || race(who)))).collect();
            racers.into_iter().filter_map(|(who, racer)| racer.join().unwrap().then_some(who)).collect()
        });
        assert_eq!(winners.len(), 1);
        assert_eq!(on_disk(folder.path())[0].fingerprints, [key(winners[0])]);
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let failed = store.change(|ledger| {
            ledger.joined.put(peer("bob", 1));
            Err::<(), _>(PairingError::Refused)
        });
        assert!(failed.is_err() && on_disk(folder.path()).is_empty());
        let huge = "x".repeat(MAX_FILE_LEN);
        let full = store.change(|ledger| {
            let mut entry = peer("bob", 1);
            entry.resources.insert("repo".to_owned(), vec![huge]);
            ledger.joined.put(entry);
            Ok(())
        });
        assert!(matches!(full, Err(PairingError::Full { .. })) && on_disk(folder.path()).is_empty());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let error = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            let error = store.read().unwrap_err().to_string();
            fs::remove_file(folder.path().join(name)).unwrap();
            error
        };
        let key = "[[peers]]\nid = \"a\"\nfingerprint = \"x\"\n";
        assert!(error(PEERS, key.as_bytes()).contains("peers.toml:3: unknown key"));
        assert!(error(PEERS, b"[http]\nenable = true\n").contains("peers.toml:1: unknown key \"http\""));
        assert!(error(PEERS, b"\xff").contains("peers.toml: the text is not UTF-8"));
        assert!(error(PEERS, &vec![b'#'; MAX_FILE_LEN + 1]).contains("peers.toml is larger than"));
        let text = error(INVITATIONS, b"{\"invitations\": [");
        assert!(text.contains("invitations.json: the invitations cannot be read (EOF"), "{text}");
    }
}
