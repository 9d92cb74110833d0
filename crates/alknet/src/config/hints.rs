//! From serde's words to ours: what it says of a key, and which key was meant.

/// What a message of serde is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SerdeMessage<'m> {
    /// A key that the struct does not have, and those that it has.
    UnknownKey { key: &'m str, known: Vec<&'m str> },
    /// A key that must be there.
    MissingKey { key: &'m str },
    /// Anything else.
    Other(&'m str),
}

/// Takes a message of serde apart. Serde offers no other way to learn which keys a struct knows.
pub(super) fn understand(message: &str) -> SerdeMessage<'_> {
    if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return SerdeMessage::MissingKey { key };
    }
    let Some(rest) = message.strip_prefix("unknown field `") else { return SerdeMessage::Other(message) };
    if let Some(key) = rest.strip_suffix("`, there are no fields") {
        return SerdeMessage::UnknownKey { key, known: Vec::new() };
    }
    // The last such place: a key may hold anything, the names of struct fields hold no backtick.
    let Some((key, known)) = rest.rsplit_once("`, expected ") else { return SerdeMessage::Other(message) };
    SerdeMessage::UnknownKey { key, known: known.split('`').skip(1).step_by(2).collect() }
}

/// What serde says was expected is a type of Rust; this says what to write in TOML.
pub(super) fn in_toml_words(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative and not too large",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" => "a text in quotes",
        "path string" => "a path in quotes",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    format!("{found}, expected {expected}")
}

/// What to write instead of an unknown key.
pub(super) fn suggest(key: &str, known: &[&str]) -> String {
    if let Some(file_key) = secret_file_key(key, known) {
        return format!(
            "a secret has no place in this file: write it into a file of its own and name that with {file_key}"
        );
    }
    if is_secret_word(key) && known.contains(&"credential") {
        return "a secret has no place in this file: store it with alknet vault encrypt --name NAME, and write \
                credential = \"NAME\""
            .to_owned();
    }
    match nearest(key, known) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None if known.is_empty() => "no key is known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// What people call a secret.
const SECRET_WORDS: [&str; 9] =
    ["passphrase", "password", "mnemonic", "phrase", "seed", "token", "secret", "private_key", "api_key"];

fn is_secret_word(key: &str) -> bool {
    SECRET_WORDS.contains(&&*key.to_ascii_lowercase().replace('-', "_"))
}

/// The key that takes a file (or a hash) where `key` would take the secret itself.
fn secret_file_key<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    let word = SECRET_WORDS.into_iter().find(|word| key == **word)?;
    let wanted = match word {
        "password" | "secret" => "passphrase",
        "mnemonic" | "phrase" => "seed",
        word => word,
    };
    known.iter().find(|name| **name == format!("{wanted}_file") || **name == format!("{wanted}_sha256")).copied()
}

/// The known key that `key` is most likely a slip of.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    // Longer ones are no slip of anything, and comparing takes time in the square of the length.
    let key = Some(plain(key)).filter(|key| key.len() <= 64)?;
    let distance = |name: &str| {
        let near = strsim::damerau_levenshtein(&key, name);
        let begins = name.len().min(key.len()) >= 3 && (name.starts_with(&key) || key.starts_with(name));
        // Two letters in a short word make another word, in a long one they are a slip.
        (begins || near <= 1 + key.chars().count() / 4).then_some(near)
    };
    known.iter().filter_map(|name| Some((distance(name)?, *name))).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use serde::de::Error as _;

    use super::*;

    fn understood<'m>(error: &'m toml::de::Error) -> SerdeMessage<'m> {
        understand(error.message())
    }

    #[test]
    fn serdes_messages_are_taken_apart() {
        let unknown = |names| toml::de::Error::unknown_field("x", names);
        for names in [&[][..], &["a"], &["a", "b"], &["a", "b", "c"]] {
            let expected = SerdeMessage::UnknownKey { key: "x", known: names.to_vec() };
            assert_eq!(understood(&unknown(names)), expected);
        }
        assert_eq!(understood(&toml::de::Error::missing_field("x")), SerdeMessage::MissingKey { key: "x" });
        assert_eq!(understood(&toml::de::Error::custom("no")), SerdeMessage::Other("no"));
    }

    #[test]
    fn keys_that_imitate_the_message_confuse_nothing() {
        for key in ["`", "", "a`, expected `b", "`, there are no fields", "é\n"] {
            let error = toml::de::Error::unknown_field(key, &["a", "b"]);
            assert_eq!(understood(&error), SerdeMessage::UnknownKey { key, known: vec!["a", "b"] });
        }
    }

    #[test]
    fn types_are_told_in_the_words_of_toml() {
        let told = |text: &str| {
            let error = toml::from_str::<std::collections::BTreeMap<String, Vec<u16>>>(text).unwrap_err();
            in_toml_words(error.message())
        };
        assert_eq!(told("a = 1"), "invalid type: integer `1`, expected a list");
        assert!(told("a = [-1]").ends_with("expected a whole number that is not negative and not too large"));
        assert_eq!(in_toml_words("no type"), "no type");
    }

    #[test]
    fn slips_are_found() {
        let known = ["id", "fingerprints", "token_sha256", "scopes", "address", "enabled"];
        for (slip, meant) in [
            ("fingerprint", "fingerprints"),
            ("Fingerprints", "fingerprints"),
            ("token-sha256", "token_sha256"),
            ("adress", "address"),
            ("enable", "enabled"),
            ("scope", "scopes"),
        ] {
            assert_eq!(nearest(slip, &known), Some(meant));
        }
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest(&"x".repeat(1000), &known), None);
        assert!(suggest("colour", &known).starts_with("known here: id, "));
    }

    #[test]
    fn secrets_are_sent_to_files() {
        let suggestion = suggest("passphrase", &["passphrase_file", "seed_file", "file"]);
        assert!(suggestion.ends_with("name that with passphrase_file"), "{suggestion}");
        assert!(suggest("mnemonic", &["passphrase_file", "seed_file"]).contains("seed_file"));
        assert!(suggest("token", &["id", "token_sha256"]).contains("token_sha256"));
        assert!(suggest("token", &["tokens"]).contains("did you mean"));
    }
}
