//! The commands that need no network, run as a user runs them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests, too")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A user with a home of his own.
struct User {
    home: TempDir,
}

/// What a command left.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    /// A user with a node in `node`.
    fn with_node() -> Self {
        let user = Self::new();
        user.ok(&["init", "--dir", "node"]);
        // A port that nobody listens on: edits are told to the node that runs with the configuration, and none does.
        user.write("node/alknet.toml", user.read("node/alknet.toml").replace("[::]:4433", "[::]:1"));
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs a command in the user's home, with nothing of this process's environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alknet"));
        command.args(arguments).env_clear().current_dir(self.home.path());
        // The state folder has to be named, too: these tests may run as root, whose state is the system's.
        command.env("HOME", self.home.path()).env("XDG_STATE_HOME", self.path("state"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments), b"")
    }

    fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped());
        ran(command, input)
    }

    /// Runs a command that is to succeed, and answers its standard output.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
        ran.out
    }

    /// Runs a command that is to fail with this code, and answers its standard error.
    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        ran.err
    }

    /// The same for a command on the node in `node`.
    #[track_caller]
    fn node_ok(&self, arguments: &[&str]) -> String {
        self.ok(&[&["--config", "node/alknet.toml"], arguments].concat())
    }

    #[track_caller]
    fn node_fails(&self, code: i32, arguments: &[&str]) -> String {
        self.fails(code, &[&["--config", "node/alknet.toml"], arguments].concat())
    }

    #[track_caller]
    fn node_json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.node_ok(&[arguments, &["--json"]].concat())).unwrap()
    }
}

fn ran(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        // A command that has seen enough does not wait for the rest.
        if let Err(error) = stdin.write_all(input) {
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        }
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}

const FINGERPRINT: &str = "ed25519:abababababababababababababababababababababababababababababababab";

#[test]
fn init_makes_a_node_once() {
    let user = User::new();
    let made: serde_json::Value =
        serde_json::from_str(&user.ok(&["init", "--dir", "node", "--name", "hub", "--words", "12", "--json"])).unwrap();
    assert_eq!(made["phrase"].as_str().unwrap().split(' ').count(), 12);
    assert_eq!(made["config"], user.path("node/alknet.toml").canonicalize().unwrap().to_str().unwrap());
    let id = user.node_json(&["id"]);
    assert_eq!((&id["name"], &id["fingerprint"]), (&"hub".into(), &made["fingerprint"]));
    assert_eq!(id["node"][0], format!("{}@localhost:4433", made["fingerprint"].as_str().unwrap()));

    assert_eq!(mode(&user.path("node/passphrase")), 0o600);
    assert_eq!(mode(&user.path("node/state/vault.json")), 0o600);
    assert_eq!(mode(&user.path("node/state")), 0o700);
    assert_eq!(mode(&user.path("node/alknet.toml")), 0o644);
    for file in ["node/alknet.toml", "node/state/vault.json", "node/passphrase"] {
        assert!(!user.read(file).contains(made["phrase"].as_str().unwrap()), "{file}");
    }

    let before = user.read("node/alknet.toml");
    let error = user.fails(1, &["init", "--dir", "node"]);
    assert!(error.contains("node/alknet.toml exists already, and is left as it is: choose another"), "{error}");
    fs::remove_file(user.path("node/alknet.toml")).unwrap();
    let error = user.fails(1, &["init", "--dir", "node"]);
    assert!(error.contains("node/state/vault.json exists already"), "{error}");
    assert!(!user.path("node/alknet.toml").exists());
    user.write("node/alknet.toml", before);
    user.node_ok(&["id"]);
}

#[test]
fn init_prints_the_phrase_and_the_next_command() {
    let user = User::new();
    let text = user.ok(&["init"]);
    let config = user.path(".config/alknet/alknet.toml");
    assert!(
        text.contains(&format!("Next: alknet serve --config {}", config.canonicalize().unwrap().display())),
        "{text}"
    );
    assert_eq!(text.lines().filter(|line| line.starts_with("    ")).flat_map(str::split_whitespace).count(), 24);
    user.ok(&["id"]);
    assert!(user.path("state/alknet/vault.json").exists());
    assert!(user.ok(&["check-config"]).ends_with("alknet.toml: no errors\n"));
}

#[test]
fn init_takes_a_passphrase_or_writes_a_seed() {
    let user = User::new();
    user.write("secret", "correct horse\nbattery staple\n");
    fs::set_permissions(user.path("secret"), fs::Permissions::from_mode(0o644)).unwrap();
    let ran = user.run(&["init", "--dir", "node", "--passphrase-file", "secret"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("has mode 0644, so others can get at it"), "{}", ran.err);
    assert!(user.read("node/state/vault.json").contains("65536"), "a person's passphrase is stretched");
    user.write("secret", "correct horse");
    user.node_ok(&["id"]);

    let made = user.ok(&["init", "--dir", "other", "--seed-credential", "other/seed", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!((user.read("other/seed").len(), mode(&user.path("other/seed"))), (128, 0o600));
    assert!(!user.path("other/state/vault.json").exists());
    assert!(user.ok(&["--config", "other/alknet.toml", "id"]).contains(made["fingerprint"].as_str().unwrap()));
    // The phrase is worth the seed.
    user.write("other/seed", made["phrase"].as_str().unwrap());
    assert!(user.ok(&["--config", "other/alknet.toml", "id"]).contains(made["fingerprint"].as_str().unwrap()));
}

#[test]
fn init_that_cannot_write_leaves_nothing() {
    let user = User::new();
    user.write("file", "");
    let error = user.fails(1, &["init", "--dir", "/proc/node"]);
    assert!(error.starts_with("error: cannot make /proc/node\n  caused by: "), "{error}");
    for arguments in [&["--dir", "file/node"][..], &["--dir", "node", "--state-dir", "file/state"]] {
        let error = user.fails(1, &[&["init"], arguments].concat());
        assert!(error.ends_with("/file\n  caused by: not a directory\n"), "{error}");
    }
    assert!(!user.path("node").exists());
    assert_eq!(user.run(&["init", "--words", "13"]).code, 2);
    assert!(user.fails(2, &["init", "--config", "node/alknet.toml"]).contains("say --dir FOLDER"));
}

#[test]
fn check_config_names_file_line_and_nearest_key() {
    let user = User::new();
    user.write("a.toml", "[node]\nname = \"hub\"\n\n[[peers]]\nid = \"alice\"\nfingerprint = []\n[htpp]\n");
    assert_eq!(
        user.fails(2, &["check-config", "a.toml"]),
        "error: a.toml:6: unknown key \"fingerprint\" in [[peers]]; did you mean \"fingerprints\"?\n\
         error: a.toml:7: unknown key \"htpp\"; did you mean \"http\"?\n"
    );
    let ran = user.run(&["check-config", "a.toml", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &report["errors"][0]["line"]), (2, &6.into()));

    user.write("secret.toml", "[vault]\npassphrase = \"hunter2\"\n");
    let error = user.fails(2, &["check-config", "secret.toml"]);
    assert!(error.contains("passphrase_file") && !error.contains("hunter2"), "{error}");

    user.write("good.toml", "[call]\nenable = true\n");
    assert_eq!(user.ok(&["check-config", "good.toml"]), "good.toml: no errors\n");
    user.write("bytes.toml", b"# \xff");
    assert!(user.fails(2, &["check-config", "bytes.toml"]).contains("bytes.toml:1: the text is not UTF-8"));
    let error = user.fails(2, &["id"]);
    assert!(error.contains("cannot be read") && error.contains("hint: \"alknet init\""), "{error}");
}

#[test]
fn peers_come_and_go_and_comments_stay() {
    let user = User::with_node();
    let before = user.read("node/alknet.toml");
    user.node_ok(&[
        "peer",
        "add",
        "alice",
        "--fingerprint",
        FINGERPRINT,
        "--scope",
        "tty:*",
        "--scope",
        "ssh:exec",
        "--address",
        "alice.example:443",
        "--resource",
        "repo=site",
        "--resource",
        "repo=blog",
    ]);
    let list = user.node_json(&["peer", "list"]);
    assert_eq!(list[0]["fingerprints"][0], FINGERPRINT);
    assert_eq!(list[0]["resources"]["repo"], serde_json::json!(["site", "blog"]));
    assert!(user.read("node/alknet.toml").starts_with(&before), "nothing that was there has changed");
    assert!(user.node_ok(&["peer", "list"]).contains("alice  enabled  0       tty:*,ssh:exec  alice.example:443"));

    let error = user.node_fails(1, &["peer", "add", "alice"]);
    assert!(error.contains("there is a peer \"alice\""), "{error}");
    let error = user.node_fails(2, &["peer", "add", "eve", "--fingerprint", FINGERPRINT]);
    assert!(error.contains("the change is not made") && error.contains("a key names one peer"), "{error}");
    let error = user.node_fails(1, &["peer", "remove", "bob"]);
    assert!(error.contains("there is no peer \"bob\"") && error.contains("hint: \"alknet peer list\""), "{error}");
    for bad in [["--fingerprint", "ed25519:00"], ["--scope", "all"], ["--address", "x"], ["--resource", "x"]] {
        assert_eq!(user.run(&[&["--config", "node/alknet.toml", "peer", "add", "bob"], &bad[..]].concat()).code, 2);
    }

    let ran = user.run(&["--config", "node/alknet.toml", "peer", "remove", "alice"]);
    assert!(ran.err.contains("no node runs with this configuration now"), "{}", ran.err);
    assert_eq!(user.read("node/alknet.toml").trim_end(), before.trim_end());
}

#[test]
fn commands_at_the_same_time_lose_nothing() {
    let user = User::with_node();
    let ids: Vec<String> = (0..8).map(|n| format!("peer-{n}")).collect();
    let start = |id: &String| user.command(&["--config", "node/alknet.toml", "peer", "add", id]).spawn().unwrap();
    let children: Vec<_> = ids.iter().map(start).collect();
    for child in children {
        assert!(child.wait_with_output().unwrap().status.success());
    }
    let mut listed: Vec<String> = user
        .node_json(&["peer", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| peer["id"].as_str().unwrap().into())
        .collect();
    listed.sort();
    assert_eq!(listed, ids);
}

#[test]
fn a_read_only_configuration_is_sent_to_its_maker() {
    let user = User::with_node();
    fs::set_permissions(user.path("node/alknet.toml"), fs::Permissions::from_mode(0o444)).unwrap();
    let error = user.node_fails(1, &["peer", "add", "alice"]);
    assert!(error.contains("is read-only") && error.contains("services.alknet.settings"), "{error}");
}

#[test]
fn tokens_are_shown_once_and_stored_as_hashes() {
    let user = User::with_node();
    user.node_ok(&["peer", "add", "alice"]);
    let token = user.node_ok(&["token", "new", "alice"]);
    let second = user.node_json(&["token", "new", "alice"]);
    let hash = alknet_core::TokenHash::of(token.trim()).to_string();
    let text = user.read("node/alknet.toml");
    assert!(text.contains(&hash) && !text.contains(token.trim()), "{text}");
    assert!(user.node_ok(&["token", "list"]).contains(&format!("alice  {}\n", &hash[..12])));
    assert_eq!(user.node_json(&["token", "list"])[1]["token_sha256"], second["token_sha256"]);

    let error = user.node_fails(2, &["token", "revoke", "alice"]);
    assert!(error.contains("2 tokens of \"alice\" match"), "{error}");
    user.node_ok(&["token", "revoke", "alice", &hash[..8]]);
    assert!(!user.read("node/alknet.toml").contains(&hash));
    user.node_ok(&["token", "revoke", "alice", "--all"]);
    assert_eq!(user.node_json(&["token", "list"]), serde_json::json!([]));
    assert!(user.node_fails(1, &["token", "new", "bob"]).contains("there is no peer \"bob\""));
}

#[test]
fn a_wrong_passphrase_and_a_damaged_vault_are_told_apart() {
    let user = User::with_node();
    let passphrase = user.read("node/passphrase");
    user.write("node/passphrase", "hunter2\n");
    let error = user.node_fails(1, &["id"]);
    assert!(error.contains("caused by: the passphrase is wrong") && !error.contains("hunter2"), "{error}");
    user.write("node/passphrase", "\n");
    assert!(user.node_fails(1, &["id"]).contains("the first line of "));
    fs::remove_file(user.path("node/passphrase")).unwrap();
    assert!(user.node_fails(1, &["id"]).contains("there is no secret file "));

    user.write("node/passphrase", passphrase);
    let vault = fs::read(user.path("node/state/vault.json")).unwrap();
    let mut flipped = vault.clone();
    let at = vault.windows(9).position(|window| window == b"\"data\": \"").unwrap() + 20;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    user.write("node/state/vault.json", &flipped);
    let error = user.node_fails(1, &["id"]);
    assert!(error.contains("the file is damaged") && error.contains("vault.json"), "{error}");
    user.write("node/state/vault.json", vault);
    user.node_ok(&["id"]);
    fs::remove_file(user.path("node/state/vault.json")).unwrap();
    assert!(user.node_fails(1, &["id"]).contains("hint: \"alknet init\" makes a vault"));
}

#[test]
fn secrets_are_encrypted_listed_rotated_and_decrypted() {
    let user = User::with_node();
    let node = ["--config", "node/alknet.toml", "vault"];
    let with = |arguments: &[&str], input: &[u8]| {
        let ran = user.run_with_input(&[&node[..], arguments].concat(), input);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    with(&["encrypt", "--name", "github"], b"hunter2\n");
    user.write("exact", "one\n");
    with(&["encrypt", "--name", "exact", "--exact", "exact"], b"");
    assert!(!user.read("node/state/credentials.json").contains("hunter2"));
    assert_eq!(with(&["decrypt", "--name", "github"], b""), "hunter2");
    assert_eq!(with(&["decrypt", "--name", "exact"], b""), "one\n");
    assert_eq!(with(&["list"], b""), "exact\ngithub\n");

    let printed = with(&["encrypt"], b"s3cret");
    assert_eq!(with(&["decrypt", "-"], printed.as_bytes()), "s3cret");

    let rotation = user.node_json(&["vault", "rotate"]);
    assert_eq!(rotation, serde_json::json!({"from": 2, "to": 3, "entries": 2}));
    assert_eq!(with(&["decrypt", "--name", "github"], b""), "hunter2");
    assert_eq!(with(&["decrypt"], printed.as_bytes()), "s3cret", "what was printed keeps its key version");

    with(&["remove", "exact"], b"");
    assert_eq!(user.node_json(&["vault", "list"]), serde_json::json!({"key_version": 3, "names": ["github"]}));
    assert!(user.node_fails(1, &["vault", "decrypt", "--name", "exact"]).contains("there is no entry `exact`"));
    assert!(user.node_fails(1, &["vault", "encrypt", "--name", "a/b"]).contains("`a/b` is no name"));
    let ran = user.run_with_input(&[&node[..], &["decrypt"]].concat(), b"{}");
    assert!(ran.err.contains("this is not what \"alknet vault encrypt\" prints"), "{}", ran.err);
    let ran = user.run_with_input(&[&node[..], &["encrypt"]].concat(), &vec![b'x'; 300 * 1024]);
    assert!(ran.code == 1 && ran.err.contains("it is longer than 256 KiB"), "{}", ran.err);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_named() {
    let user = User::with_node();
    let config = user.read("node/alknet.toml");
    let line = config.lines().find(|line| line.starts_with("state_dir")).unwrap();
    let vault = format!("file = {:?}\npassphrase_file", user.path("node/state/vault.json"));
    let moved = config.replace(line, "state_dir = \"/proc/alknet\"").replacen("passphrase_file", &vault, 1);
    user.write("node/alknet.toml", moved);
    let error = user.node_fails(1, &["vault", "encrypt", "--name", "x", "node/passphrase"]);
    assert!(error.contains("cannot make the state folder /proc/alknet"), "{error}");
}

#[test]
fn completions_and_manual_pages_are_made() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(user.ok(&["completions", shell]).contains("check-config"), "{shell}");
    }
    assert!(user.ok(&["man"]).contains(".TH"));
    fs::create_dir(user.path("man")).unwrap();
    user.ok(&["man", "man"]);
    assert!(user.path("man/alknet.1").exists() && user.path("man/alknet-peer-add.1").exists());
    assert!(user.fails(1, &["man", "none"]).contains("cannot write manual pages into none"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let user = User::new();
    let mut child = user.command(&["completions", "bash"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_environment_holds_no_configuration() {
    let user = User::with_node();
    user.node_ok(&["peer", "add", "alice", "--fingerprint", FINGERPRINT]);
    for arguments in [&["id", "--json"][..], &["peer", "list", "--json"], &["check-config"]] {
        let arguments = [&["--config", "node/alknet.toml"], arguments].concat();
        let clean = user.run(&arguments);
        let mut poisoned = user.command(&arguments);
        for name in ["OPENAI_API_KEY", "ALKNET_CONFIG", "ALKNET_PASSPHRASE", "SSLKEYLOGFILE", "HTTPS_PROXY"] {
            poisoned.env(name, "poison");
        }
        let poisoned = ran(poisoned, b"");
        assert_eq!((clean.code, clean.out, clean.err), (poisoned.code, poisoned.out, poisoned.err));
    }
    assert!(!user.path("poison").exists());
}

#[cfg(feature = "tty")]
#[test]
fn what_is_no_terminal_of_a_node_is_refused_before_anything_is_dialed() {
    let user = User::new();
    for (arguments, said) in [
        (&["tty", "list", "hub/A"][..], "what is behind the slash is the prefix"),
        (&["tty", "list", "/a"], "write a node"),
        (&["tty", "spawn", "hub", "--env", "TERM"], "write NAME=VALUE"),
        (&["tty", "spawn", "hub", "--rows", "0"], "0 is not in 1..=4096"),
        (&["tty", "spawn", "hub", "/bin/sh"], "unexpected argument"),
        (&["tty", "attach", "hub"], "<ID>"),
        (&["tty", "attach", "hub", "t-1", "--escape", "ab"], "write one character"),
        (&["tty", "signal", "hub", "t-1", "NONE"], "\"NONE\" is no signal"),
        (&["call", "hub", "/x/y", "--count", "0"], "--count"),
        (&["services"], "NODE[/PREFIX]"),
    ] {
        let ran = user.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
    let user = User::with_node();
    for command in [&["tty", "spawn"][..], &["tty", "list"], &["services"]] {
        let error = user.node_fails(1, &[command, &["hub/a"]].concat());
        assert!(error.contains("\"hub\" is no node: write a peer's id"), "{error}");
    }
    let error = user.node_fails(1, &["tty", "kill", "localhost:1", "t-1", "--timeout", "2", "--transport", "tcp"]);
    assert!(error.contains("localhost:1 cannot be reached"), "{error}");
}

#[cfg(feature = "tty")]
#[test]
fn the_help_of_terminals_says_how_to_leave_one() {
    let user = User::new();
    let help = user.ok(&["tty", "attach", "--help"]);
    assert!(help.contains("[default: ~]") && help.contains(". detaches"), "{help}");
    assert!(user.ok(&["tty", "spawn", "--help"]).contains("[-- <ARGS>...]"));
}
