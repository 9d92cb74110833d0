use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tempfile::TempDir;

use super::*;

const FILE: &str = r#"# The hub.
[node]
name = "hub" # as in DNS

# --- people ---

# Alice, of accounts.
[[peers]]
id = "alice"
token_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" # laptop
  [peers.resources]
  repo = ["site"] # hers

# Bob.
[[peers]]
id = 'bob'

[call]
enable = true # of course
"#;

fn file_of(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alknet.toml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

fn id(text: &str) -> PeerId {
    text.parse().unwrap()
}

fn peer(name: &str) -> PeerEntry {
    PeerEntry {
        id: id(name),
        fingerprints: vec![format!("ed25519:{}", "ab".repeat(32)).parse().unwrap()],
        tokens: vec![],
        scopes: vec!["tty:*".parse().unwrap()],
        resources: [("repo".to_owned(), vec!["site".to_owned()])].into(),
        address: Some("carol.example:443".parse().unwrap()),
        connect: false,
        enabled: true,
    }
}

fn edit(file: &Path, change: impl FnOnce(&mut Editor) -> Result<(), EditError>) -> Result<String, EditError> {
    let mut editor = Editor::open(file)?;
    change(&mut editor)?;
    editor.save()?;
    Ok(fs::read_to_string(file).unwrap())
}

#[test]
fn a_peer_that_is_added_and_removed_leaves_the_file_as_it_was() {
    let without_call = FILE.split("\n[call]").next().unwrap();
    for original in [FILE, without_call, "", "# nothing\n", "[node]\nname = \"a\"\n"] {
        let (_folder, file) = file_of(original);
        let added = edit(&file, |editor| editor.add_peer(&peer("carol"))).unwrap();
        assert_eq!(super::super::load(&file).unwrap().peers.last().unwrap(), &peer("carol"));
        for line in original.lines() {
            assert!(added.contains(line), "{line:?} is gone from {added}");
        }
        let removed = edit(&file, |editor| editor.remove_peer(&id("carol")).map(drop)).unwrap();
        assert_eq!(removed.trim_end(), original.trim_end());
    }
}

#[test]
fn a_removed_peer_takes_its_own_comment_and_no_other() {
    let (_folder, file) = file_of(FILE);
    let text = edit(&file, |editor| editor.remove_peer(&id("alice")).map(drop)).unwrap();
    let expected = "# The hub.\n[node]\nname = \"hub\" # as in DNS\n\n# --- people ---\n\n# Bob.\n[[peers]]\nid = 'bob'\n\n\
                    [call]\nenable = true # of course\n";
    assert_eq!(text, expected);
}

#[test]
fn tokens_come_and_go_in_place() {
    let (_folder, file) = file_of(FILE);
    let (one, two) = (TokenHash::of("one"), TokenHash::of("two"));
    let first: TokenHash = TokenHash::of("abc");
    let text = edit(&file, |editor| editor.add_token(&id("alice"), one)).unwrap();
    assert!(text.contains(&format!("token_sha256 = [\"{first}\", \"{one}\"] # laptop\n")), "{text}");
    let text = edit(&file, |editor| editor.add_token(&id("bob"), two)).unwrap();
    assert!(text.contains(&format!("id = 'bob'\ntoken_sha256 = \"{two}\"\n")), "{text}");
    let text = edit(&file, |editor| editor.remove_tokens(&id("alice"), &[first])).unwrap();
    assert!(text.contains(&format!("token_sha256 = [\"{one}\"] # laptop\n")), "{text}");
    edit(&file, |editor| editor.remove_tokens(&id("alice"), &[one])).unwrap();
    let text = edit(&file, |editor| editor.remove_tokens(&id("bob"), &[two])).unwrap();
    assert_eq!(text, FILE.replace(&format!("token_sha256 = \"{first}\" # laptop\n"), ""));
}

#[test]
fn a_list_with_lines_gets_a_line() {
    let (first, second) = (TokenHash::of("1"), TokenHash::of("2"));
    let (_folder, file) = file_of(&format!("[[peers]]\nid = \"a\"\ntoken_sha256 = [\n  \"{first}\", # one\n]\n"));
    let text = edit(&file, |editor| editor.add_token(&id("a"), second)).unwrap();
    assert!(text.contains("# one") && text.contains(&format!("\n  \"{second}\"")), "{text}");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let (_folder, file) = file_of(FILE);
    let mut failures = vec![
        edit(&file, |editor| editor.add_peer(&peer("alice"))),
        edit(&file, |editor| editor.remove_peer(&id("carol")).map(drop)),
        edit(&file, |editor| editor.add_token(&id("carol"), TokenHash::of("x"))),
        // The token is alice's.
        edit(&file, |editor| editor.add_token(&id("bob"), TokenHash::of("abc"))),
    ];
    let messages: Vec<String> = failures.drain(..).map(|result| result.unwrap_err().to_string()).collect();
    assert!(messages[0].starts_with("there is a peer \"alice\" in "), "{messages:?}");
    assert!(messages[1].starts_with("there is no peer \"carol\" in "), "{messages:?}");
    assert!(messages[3].contains("would have errors"), "{messages:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), FILE);
}

#[test]
fn peers_in_one_line_are_left_to_people() {
    let text = "peers = [{ id = \"a\" }]\n";
    let (_folder, file) = file_of(text);
    let error = edit(&file, |editor| editor.remove_peer(&id("a")).map(drop)).unwrap_err();
    assert!(matches!(error, EditError::Layout { .. }), "{error}");
    let error = edit(&file, |editor| editor.add_peer(&peer("b"))).unwrap_err();
    assert!(matches!(error, EditError::Layout { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn mode_links_and_folder_stay_as_they_are() {
    let (folder, file) = file_of(FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink("alknet.toml", &link).unwrap();
    edit(&link, |editor| editor.add_peer(&peer("carol"))).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o640);
    assert_eq!(super::super::load(&file).unwrap().peers.len(), 3);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file stays behind");
}

#[test]
fn a_read_only_file_is_sent_to_its_maker() {
    let (_folder, file) = file_of(FILE);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let error = edit(&file, |editor| editor.add_peer(&peer("carol"))).unwrap_err().to_string();
    assert!(
        error.contains("is read-only (mode 0444): run this as its owner, or make the change where the file is made"),
        "{error}"
    );
}
