use std::fs;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::secret::Seed;
use crate::slip10::{KeyVersionError, LAST_KEY_VERSION};

fn vault() -> Vault {
    Vault::from_seed(Seed::from_bytes(&[9; 64]))
}

fn two_entries() -> CredentialFile {
    let mut file = CredentialFile::new();
    file.set("db.password", b"hunter2", &vault()).unwrap();
    file.set("mail_key-1", b"\x00\xff", &vault()).unwrap();
    file
}

fn json(file: &CredentialFile) -> serde_json::Value {
    serde_json::to_value(file).unwrap()
}

fn read_error(json: &serde_json::Value) -> String {
    CredentialFile::from_json(json.to_string().as_bytes()).unwrap_err().to_string()
}

#[test]
fn entries_are_set_replaced_and_removed() {
    let mut file = two_entries();
    assert_eq!(file.names().collect::<Vec<_>>(), ["db.password", "mail_key-1"]);
    file.set("db.password", b"correct horse", &vault()).unwrap();
    assert_eq!(file.get("db.password", &vault()).unwrap().as_slice(), b"correct horse");
    assert_eq!(file.get("mail_key-1", &vault()).unwrap().as_slice(), b"\x00\xff");
    file.remove("db.password").unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["mail_key-1"]);
    for error in [file.remove("db.password").unwrap_err(), file.get("db.password", &vault()).err().unwrap()] {
        assert_eq!(error.to_string(), "there is no entry `db.password` in the credentials file");
    }
}

#[test]
fn names_are_checked() {
    let mut file = CredentialFile::new();
    let long = "x".repeat(65);
    for name in ["", " ", "a b", "a/b", "é", "a\n", "\"", long.as_str()] {
        assert!(matches!(file.set(name, b"", &vault()), Err(CredentialsError::Name { .. })), "{name:?}");
        assert!(matches!(file.get(name, &vault()), Err(CredentialsError::Name { .. })), "{name:?}");
        assert!(matches!(file.remove(name), Err(CredentialsError::Name { .. })), "{name:?}");
    }
    for name in ["x", "..", "A-z_0.9", &long[1..]] {
        file.set(name, b"", &vault()).unwrap();
    }
}

#[test]
fn entries_cannot_be_swapped() {
    let mut swapped = json(&two_entries());
    let entries = swapped["entries"].as_object_mut().unwrap();
    let (one, two) = (entries["db.password"].clone(), entries["mail_key-1"].clone());
    entries["db.password"] = two;
    entries["mail_key-1"] = one;
    let file = CredentialFile::from_json(swapped.to_string().as_bytes()).unwrap();
    for name in ["db.password", "mail_key-1"] {
        let error = file.get(name, &vault()).err().unwrap();
        assert!(error.to_string().starts_with(&format!("entry `{name}`: cannot decrypt")), "{error}");
    }
}

#[test]
fn rotation_takes_every_entry_along() {
    let mut file = two_entries();
    // An entry that an earlier rotation did not reach is taken along, too.
    assert_eq!(file.rotate(&vault()).unwrap(), Rotation { from: 2, to: 3, entries: 2 });
    let old = vault().encrypt(b"old", b"old", 2).unwrap();
    file.entries.insert("old".to_owned(), old);
    assert_eq!(file.rotate(&vault()).unwrap(), Rotation { from: 3, to: 4, entries: 3 });
    assert_eq!(file.key_version(), 4);
    assert!(file.entries.values().all(|entry| entry.key_version() == 4));
    assert_eq!(file.get("db.password", &vault()).unwrap().as_slice(), b"hunter2");
    assert_eq!(file.get("old", &vault()).unwrap().as_slice(), b"old");
}

#[test]
fn rotation_is_all_or_nothing() {
    let mut file = two_entries();
    let foreign = Vault::from_seed(Seed::from_bytes(&[0; 64])).encrypt(b"x", b"foreign", 2).unwrap();
    file.entries.insert("foreign".to_owned(), foreign);
    let before = file.clone();
    let error = file.rotate(&vault()).unwrap_err();
    assert!(error.to_string().starts_with("entry `foreign`: cannot decrypt"), "{error}");
    assert_eq!(file, before);
}

#[test]
fn rotation_ends_at_the_last_version() {
    let mut file = CredentialFile { key_version: LAST_KEY_VERSION, ..CredentialFile::new() };
    let error = file.rotate(&vault()).unwrap_err();
    let expected = KeyVersionError { version: LAST_KEY_VERSION + 1 };
    assert!(matches!(error, CredentialsError::Vault(VaultError::KeyVersion(e)) if e == expected), "{error}");
    assert_eq!(file.key_version(), LAST_KEY_VERSION);
}

#[test]
fn a_file_is_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    assert_eq!(CredentialFile::load(&path).unwrap(), CredentialFile::new());
    let mut file = two_entries();
    file.save(&path).unwrap();
    assert_eq!(CredentialFile::load(&path).unwrap(), file);
    file.rotate(&vault()).unwrap();
    file.save(&path).unwrap();
    assert_eq!(CredentialFile::load(&path).unwrap(), file);
}

#[test]
fn a_file_too_large_to_be_read_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    two_entries().save(&path).unwrap();
    let mut file = two_entries();
    file.set("large", &vec![0; 800_000], &vault()).unwrap();
    let error = file.save(&path).unwrap_err();
    assert!(matches!(error, CredentialsError::TooLarge { .. }), "{error}");
    assert_eq!(CredentialFile::load(&path).unwrap().names().count(), 2);
    fs::write(&path, vec![b' '; MAX_FILE_LEN + 1]).unwrap();
    let error = CredentialFile::load(&path).unwrap_err();
    assert!(matches!(error, CredentialsError::File(FileError::TooLarge { .. })), "{error}");
}

#[test]
fn updates_at_the_same_time_lose_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    thread::scope(|scope| {
        for thread in 0..4 {
            let path = &path;
            scope.spawn(move || {
                for entry in 0..5 {
                    CredentialFile::update(path, |file| file.set(&format!("{thread}.{entry}"), b"x", &vault()))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(CredentialFile::load(&path).unwrap().names().count(), 20);
    let error = CredentialFile::update(&path, |file| {
        file.remove("0.0")?;
        file.remove("none")
    });
    assert!(matches!(error, Err(CredentialsError::Missing { .. })));
    assert_eq!(CredentialFile::load(&path).unwrap().names().count(), 20, "a failed change is not saved");
}

#[test]
fn damaged_files_are_refused_with_a_reason() {
    let good = json(&two_entries());
    let mut bad = good.clone();
    bad["version"] = 2.into();
    assert!(read_error(&bad).contains("has version 2, and this program reads version 1"));
    bad = good.clone();
    bad["key_version"] = 1.into();
    assert!(read_error(&bad).contains("field `key_version`: there is no key of version 1"));
    bad = good.clone();
    bad["extra"] = 1.into();
    assert!(read_error(&bad).contains("unknown field `extra`"));
    bad = good.clone();
    bad["entries"]["db.password"]["iv"] = "AAAA".into();
    assert!(read_error(&bad).contains("entry `db.password`: field `iv` has 3 bytes instead of 12"));
    bad = good.clone();
    bad["entries"]["db.password"]["key_version"] = 3.into();
    assert_eq!(read_error(&bad), "entry `db.password` has key version 3, newer than the credentials file's 2");
    bad = good.clone();
    bad["entries"]["a b"] = good["entries"]["db.password"].clone();
    assert!(read_error(&bad).contains("`a b` is no name of an entry"));
    bad = good.clone();
    bad["entries"] = serde_json::json!([]);
    assert!(read_error(&bad).contains("expected an object of entries"));
    bad = good.clone();
    bad["entries"]["db.password"] = "hunter2".into();
    let error = read_error(&bad);
    assert!(error.contains("entry `db.password`: invalid type") && !error.contains("hunter2"), "{error}");
    bad = good;
    bad.as_object_mut().unwrap().remove("entries");
    assert!(read_error(&bad).contains("missing field `entries`"));
}

#[test]
fn an_entry_that_is_there_twice_is_refused() {
    let entry = json(&two_entries())["entries"]["db.password"].to_string();
    let json = format!(r#"{{"version":1,"key_version":2,"entries":{{"a":{entry},"a":{entry}}}}}"#);
    let error = CredentialFile::from_json(json.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("entry `a` is there twice"), "{error}");
}

proptest! {
    #[test]
    fn a_file_survives_its_json(
        secrets in prop::collection::btree_map("[A-Za-z0-9._-]{1,64}", any::<Vec<u8>>(), 0..8)
    ) {
        let mut file = CredentialFile::new();
        for (name, secret) in &secrets {
            file.set(name, secret, &vault()).unwrap();
        }
        let read = CredentialFile::from_json(&serde_json::to_vec(&file).unwrap()).unwrap();
        prop_assert_eq!(&read, &file);
        for (name, secret) in &secrets {
            let opened = read.get(name, &vault()).unwrap();
            prop_assert_eq!(opened.as_slice(), secret.as_slice());
        }
    }

    #[test]
    fn no_contents_panic(contents: Vec<u8>, text in r#"\{("version":1|"key_version":2|"entries":\{\}|,|\{|\}){0,8}"#) {
        let _ = CredentialFile::from_json(&contents);
        let _ = CredentialFile::from_json(text.as_bytes());
    }
}
