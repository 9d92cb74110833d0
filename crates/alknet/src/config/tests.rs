use std::fs;

use super::*;

fn errors(text: &str) -> Vec<String> {
    let errors = parse(text, Path::new("a.toml")).expect_err("there should be errors");
    errors.iter().map(ToString::to_string).collect()
}

fn only_error(text: &str) -> ConfigError {
    let errors = parse(text, Path::new("a.toml")).expect_err("there should be an error");
    assert_eq!(errors.iter().count(), 1, "{errors}");
    errors.iter().next().unwrap().clone()
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_text() {
    let text = "\u{feff}# one\n# two\n[call]\nenable = true\n";
    assert!(parse(text, Path::new("a.toml")).unwrap().call.enable);
}

#[test]
fn an_empty_file_is_a_node_without_handlers() {
    let config = parse("", Path::new("/etc/alknet/alknet.toml")).unwrap();
    assert_eq!(config.node.name.as_str(), "node");
    assert_eq!(config.endpoint.listen, ["[::]:4433".parse().unwrap()]);
    assert_eq!(config.endpoint.drain_timeout.as_secs(), 10);
    assert_eq!(config.vault, VaultSource::Sealed { file: None, passphrase_file: "passphrase".into() });
    assert!(!config.http.enable && !config.call.enable && config.peers.is_empty());
    let environment = Environment { state_directory: Some("/s".into()), ..Environment::default() };
    assert_eq!(config.vault_file(&environment), Path::new("/s/vault.json"));
    assert_eq!(config.beside(Path::new("x")), Path::new("/etc/alknet/x"));
    assert_eq!(config.warnings().len(), 1);
}

#[cfg(feature = "http")]
#[test]
fn a_decoy_and_what_would_give_it_away_are_warned_of() {
    let read = |http: &str| parse(&format!("[http]\nenable = true\n{http}"), Path::new("alknet.toml"));
    let decoy = "decoy = { imitate = \"nginx\" }\n";
    assert!(read(decoy).unwrap().warnings().is_empty());
    let config = read(&format!("{decoy}cors.origins = [\"https://a.example\"]\n")).unwrap();
    assert!(config.warnings()[0].contains("would give it away"), "{:?}", config.warnings());
    let errors = read("decoy = { imitate = \"ngnix\" }\n").unwrap_err().to_string();
    assert!(errors.contains("ngnix") && errors.contains("alknet.toml:3"), "{errors}");
    let errors = read("outbound.proxy = \"http://proxy\"\n").unwrap_err().to_string();
    assert!(errors.contains("unknown key \"proxy\" in [http.outbound]"), "{errors}");
}

#[test]
fn everything_that_can_be_written_is_read() {
    let text = r#"
        [node]
        name = "hub"
        state_dir = "state"
        [endpoint]
        listen = ["0.0.0.0:443", "[::1]:0", "[::1]:0"]
        drain_timeout_seconds = 3
        certificates = [{ certificate = "fullchain.pem", key = "key.pem" }]
        [endpoint.limits]
        max_connections = 9
        [vault]
        seed_file = "seed"
        [[peers]]
        id = "alice"
        fingerprints = ["ssh:SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]
        token_sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        scopes = ["tty:*", "ssh:exec"]
        resources = { repo = ["site"] }
        address = "alice.example:443"
        [[peers]]
        id = "bob"
        token_sha256 = []
        address = "bob.example:443"
        enabled = false
        [call]
        enable = true
        [http]
        enable = false
    "#;
    let config = parse(text, Path::new("/c/alknet.toml")).unwrap();
    assert_eq!(config.state_dir(&Environment::default()), Path::new("/c/state"));
    assert_eq!((config.endpoint.listen.len(), config.endpoint.limits.max_connections), (3, 9));
    assert_eq!(config.vault, VaultSource::Seed { seed_file: "seed".into() });
    assert_eq!(config.endpoint.certificates[0].key, Path::new("key.pem"));
    let peers = config.peers();
    assert_eq!(peers[0].tokens, [alknet_core::TokenHash::of("abc")]);
    assert_eq!(peers[0].identity.resources["repo"], ["site"]);
    assert!(!peers[1].enabled);
    assert!(config.call.enable && !config.http.enable);
    assert!(config.warnings().is_empty());
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_key() {
    let error = only_error("[[peers]]\nid = \"alice\"\n  fingerprint = []\n");
    assert_eq!(error.to_string(), "a.toml:3: unknown key \"fingerprint\" in [[peers]]; did you mean \"fingerprints\"?");
    assert_eq!((error.line, error.column, &*error.key), (Some(3), Some(3), "peers[0].fingerprint"));

    let suggestions = [
        ("[htpp]\n", "a.toml:1: unknown key \"htpp\"; did you mean \"http\"?"),
        ("peer = 1\n", "a.toml:1: unknown key \"peer\"; did you mean \"peers\"?"),
        ("[node]\nNAME = \"x\"\n", "a.toml:2: unknown key \"NAME\" in [node]; did you mean \"name\"?"),
        ("[call]\nenabled = true\n", "a.toml:2: unknown key \"enabled\" in [call]; did you mean \"enable\"?"),
        (
            "[endpoint.limits]\nmax_conections = 1\n",
            "a.toml:2: unknown key \"max_conections\" in [endpoint.limits]; did you mean \"max_connections\"?",
        ),
        (
            "[endpoint]\ncertificates = [{ certificate = \"a\", key = \"b\", kye = \"c\" }]\n",
            "a.toml:2: unknown key \"kye\" in [endpoint.certificates]; did you mean \"key\"?",
        ),
    ];
    for (text, message) in suggestions {
        assert_eq!(only_error(text).to_string(), message);
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let text = r#"[node]
name = "Hub"
colour = "red"
shape = "round"
[endpoint]
listen = ["*:443", "[::]:1", "[::]:1"]
drain_timeout_seconds = -1
[[peers]]
fingerprints = ["ed25519:00", "rsa:1"]
scopes = ["everything"]
[[peers]]
id = "bob"
address = "bob"
token_sha256 = 5
[call]
enable = "yes"
"#;
    let expected = [
        (2, "node.name: \"Hub\" is no node name"),
        (3, "unknown key \"colour\" in [node]; known here: name, state_dir"),
        (4, "unknown key \"shape\" in [node]; did you mean \"name\"?"),
        (6, "endpoint.listen[0]: \"*:443\" is no IP address and port"),
        (6, "endpoint.listen names [::]:1 twice"),
        (7, "endpoint.drain_timeout_seconds: invalid value: integer `-1`"),
        (9, "peers[0].fingerprints[0]: \"ed25519:00\" is no fingerprint"),
        (9, "peers[0].fingerprints[1]: \"rsa:1\" is no fingerprint"),
        (10, "peers[0].scopes[0]: \"everything\" is no scope"),
        (13, "peers[1].address: \"bob\" is no address"),
        (14, "peers[1].token_sha256: invalid type: integer `5`, expected a text in quotes or a list of them"),
        (16, "call.enable: invalid type: string \"yes\", expected true or false"),
    ];
    let found = errors(text);
    for ((line, message), found) in expected.iter().zip(&found) {
        assert!(found.starts_with(&format!("a.toml:{line}: {}", message.split("; did").next().unwrap())), "{found}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn what_two_peers_share_is_told_at_the_second() {
    let key = format!("ed25519:{}", "00".repeat(32));
    let hash = alknet_core::TokenHash::of("x");
    let text = format!(
        "[[peers]]\nid = \"a\"\nfingerprints = [\"{key}\"]\ntoken_sha256 = \"{hash}\"\n\
         [[peers]]\nid = \"b\"\nfingerprints = [\"{key}\"]\ntoken_sha256 = [\"{hash}\"]\n[[peers]]\nid = \"a\"\n"
    );
    let found = errors(&text);
    assert_eq!(found.len(), 3);
    assert!(found[0].starts_with("a.toml:7: peer \"a\" has the fingerprint ed25519:00"), "{found:?}");
    assert_eq!(found[1], "a.toml:8: peer \"a\" has this token, too; a token names one peer");
    assert_eq!(found[2], "a.toml:10: a second peer with the id \"a\"; give each its own");
}

#[test]
fn a_missing_key_is_told_at_its_table() {
    let error = only_error("\n[[peers]]\nscopes = []\n");
    assert_eq!(error.to_string(), "a.toml:2: the key \"id\" is missing in [[peers]]");
    assert_eq!(error.key, "peers[0].id");
}

#[test]
fn secrets_are_no_values() {
    let error = only_error("[vault]\npassphrase = \"hunter2\"\n").to_string();
    assert!(error.contains("name that with passphrase_file") && !error.contains("hunter2"), "{error}");
    let error = only_error("[[peers]]\nid = \"a\"\ntoken_sha256 = \"alk_hunter2\"\n").to_string();
    assert!(error.contains("this is a token, not its SHA-256") && !error.contains("hunter2"), "{error}");
    let error = only_error("[vault]\nseed_file = \"a\"\npassphrase_file = \"b\"\n");
    assert!(error.to_string().starts_with("a.toml:3: vault.seed_file and vault.passphrase_file exclude each other"));
    assert_eq!(
        errors("[vault]\nseed_file = \"\"\n")[0],
        "a.toml:2: vault.seed_file is empty: write a path, or leave the key out"
    );
}

#[test]
fn limits_and_shapes_are_checked() {
    let error = only_error("[endpoint.limits]\nidle_timeout_seconds = 1\n");
    assert_eq!(error.to_string(), "a.toml:1: endpoint.limits.idle_timeout_seconds = 1: write 5 to 86400");
    for (text, message) in [
        ("[endpoint]\nlisten = []\n", "a.toml:2: endpoint.listen is empty: a node listens somewhere"),
        ("peers = 3\n", "a.toml:1: peers is a list: write [[peers]], in two brackets, above each peer"),
        ("[peers]\nid = \"a\"\n", "a.toml:1: peers is a list: write [[peers]], in two brackets, above each peer"),
        ("call = 3\n", "a.toml:1: call: invalid type: integer `3`, expected a table"),
        ("node = []\n[node.x]\n", ""),
    ] {
        assert!(errors(text)[0].starts_with(message), "{:?}", errors(text));
    }
}

#[test]
fn a_slip_in_the_syntax_has_its_place() {
    let error = only_error("[node]\nname = \"hub\n");
    assert_eq!((error.line, error.key.as_str()), (Some(2), ""));
    assert_eq!(only_error("[node]\n[node]\n").to_string(), "a.toml:2: the key node is there already");
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alknet.toml");
    fs::write(&file, b"# one\n# \xff\n").unwrap();
    let name = file.display();
    assert_eq!(load(&file).unwrap_err().to_string(), format!("{name}:2: the text is not UTF-8, as TOML must be"));
    fs::write(&file, "#".repeat(MAX_FILE_LEN)).unwrap();
    assert!(load(&file).is_ok());
    fs::write(&file, "#".repeat(MAX_FILE_LEN + 1)).unwrap();
    assert_eq!(load(&file).unwrap_err().to_string(), format!("{name}: the configuration is larger than 1024 KiB"));
    assert!(load(folder.path()).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn a_flood_of_problems_is_cut_short() {
    let keys: String = (0..20_000).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(errors(&format!("[node]\n{keys}")).len(), 50);
    let peers = "[[peers]]\n".repeat(20_000);
    assert_eq!(errors(&peers).len(), 50);
    assert!(errors(&keys).len() <= 50);
}

#[test]
fn changes_that_need_a_restart_are_named() {
    let config = |text| parse(text, Path::new("a.toml")).unwrap();
    let old = config("[node]\nname = \"a\"\n");
    let new = config("[endpoint]\nlisten = [\"[::]:1\"]\n[vault]\nseed_file = \"s\"\n[call]\nenable = true\n");
    assert_eq!(Config::restart_needed(&old, &new), ["node.name", "endpoint.listen", "vault"]);
    assert!(Config::restart_needed(&old, &config("[node]\nname = \"a\"\n[[peers]]\nid = \"b\"\n")).is_empty());
}

proptest::proptest! {
    #[test]
    fn no_file_panics(parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..40)) {
        let text = parts.concat();
        if let Err(errors) = parse(&text, Path::new("a")) {
            let lines = text.lines().count() + 1;
            proptest::prop_assert!(errors.iter().all(|error| error.line.is_some_and(|line| (1..=lines).contains(&line))));
        }
    }
}

const PARTS: &[&str] = &[
    "\n",
    "[node]\n",
    "[endpoint]\n",
    "[endpoint.limits]\n",
    "[vault]\n",
    "[[peers]]\n",
    "[peers.resources]\n",
    "[http]\n",
    "peers = ",
    "node.name = ",
    "name = ",
    "listen = ",
    "id = ",
    "fingerprints = ",
    "token_sha256 = ",
    "scopes = ",
    "address = ",
    "enable = ",
    "file = ",
    "seed_file = ",
    "passphrase_file = ",
    "certificates = ",
    "key = ",
    "é = ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "=",
    ".",
    "#",
    "\"a\"",
    "\"[::]:1\"",
    "\"ssh:exec\"",
    "\"\"",
    "1",
    "-1",
    "true",
    "1979-05-27",
    "\"\"\"",
    "'",
];

#[test]
fn no_text_panics() {
    // Every prefix, and every text with one byte of another kind, of a file that uses everything.
    let text = "[node]\nname='é'\n[endpoint]\nlisten=[\"[::]:1\"]\nlimits={max_connections=1}\n[[peers]]\nid=\"a\"\n\
                resources={a=[\"b\"]}\n[http]\nenable=true\n";
    for (end, _) in text.char_indices() {
        let _ = parse(&text[..end], Path::new("a"));
        for other in ["]", "\"", "=", "\0", "{", "\n", ".", "é"] {
            let rest = text[end..].chars().skip(1).collect::<String>();
            let _ = parse(&format!("{}{other}{rest}", &text[..end]), Path::new("a"));
        }
    }
    let _ = parse(&"[".repeat(100_000), Path::new("a"));
    let _ = parse(&format!("a = {}", "[".repeat(100_000)), Path::new("a"));
    let _ = parse(&"a.".repeat(100_000), Path::new("a"));
}
