//! The whole life of a node's secrets, as the programs use this crate.

use alknet_vault::file::{Overwrite, write_secret};
use alknet_vault::sealed::SealedError;
use alknet_vault::{Cost, CredentialFile, Mnemonic, SealedSeed, Seed, Vault, WordCount};

#[test]
fn from_a_new_phrase_to_a_restored_node() {
    let folder = tempfile::tempdir().unwrap();
    let (seed_path, credentials_path) = (folder.path().join("seed.json"), folder.path().join("credentials.json"));

    // A new node: the owner writes down the phrase; the seed goes to disk, sealed.
    let mnemonic = Mnemonic::generate(WordCount::default()).unwrap();
    let phrase = mnemonic.phrase();
    let vault = Vault::from_seed(mnemonic.to_seed(""));
    let sealed = SealedSeed::seal(vault.seed(), b"passphrase", Cost::RANDOM_KEY).unwrap();
    sealed.save(&seed_path, Overwrite::Never).unwrap();
    let node_key = *vault.node_key().as_bytes();
    CredentialFile::update(&credentials_path, |file| file.set("db.password", b"hunter2", &vault)).unwrap();
    drop(vault);

    // A later start: unseal, read, rotate.
    let sealed = SealedSeed::load(&seed_path).unwrap();
    assert!(matches!(sealed.open(b"Passphrase"), Err(SealedError::WrongPassphrase)));
    let vault = Vault::from_seed(sealed.open(b"passphrase").unwrap());
    assert_eq!(*vault.node_key().as_bytes(), node_key);
    let rotation = CredentialFile::update(&credentials_path, |file| file.rotate(&vault)).unwrap();
    assert_eq!((rotation.from, rotation.to, rotation.entries), (2, 3, 1));

    // A credential for systemd, in both forms.
    let hex = vault.seed().to_credential();
    for credential in [hex.as_str(), &format!("{}\n", *phrase)] {
        let path = folder.path().join("credential");
        write_secret(&path, credential.as_bytes(), Overwrite::Replace).unwrap();
        let seed = Seed::from_credential(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(seed.as_bytes(), vault.seed().as_bytes());
    }

    // The disk is lost but for the credentials file: the phrase brings everything back.
    let vault = Vault::from_seed(Mnemonic::parse(&phrase).unwrap().to_seed(""));
    let file = CredentialFile::load(&credentials_path).unwrap();
    assert_eq!(file.get("db.password", &vault).unwrap().as_slice(), b"hunter2");
}

#[test]
fn the_keys_of_a_node_differ() {
    let vault = Vault::from_seed(Seed::from_bytes(&[1; 64]));
    let keys = [vault.node_key(), vault.ssh_host_key(), vault.nix_signing_key()];
    for (index, key) in keys.iter().enumerate() {
        assert!(keys.iter().skip(index + 1).all(|other| other.as_bytes() != key.as_bytes()));
    }
}
