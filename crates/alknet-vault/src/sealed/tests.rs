use argon2::{AssociatedData, ParamsBuilder};

use super::*;
use crate::encoding::push_hex;

/// The least that Argon2id can cost.
const CHEAP: Cost = Cost { memory_kib: 8, iterations: 1, parallelism: 1 };

fn sealed() -> SealedSeed {
    SealedSeed::seal(&Seed::from_bytes(&[5; 64]), b"right", CHEAP).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    push_hex(&mut text, bytes);
    text
}

/// The file with one piece of its text replaced and the checksum made right again, as an attacker would do it.
fn forged(from: &str, to: &str) -> String {
    let json = sealed().to_json();
    assert_eq!(json.matches(from).count(), 1, "{from}");
    let mut json: serde_json::Value = serde_json::from_str(&json.replace(from, to)).unwrap();
    let kdf = &json["kdf"];
    let body = format!(
        r#"{{"format":{},"version":{},"kdf":{{"algorithm":{},"memory_kib":{},"iterations":{},"parallelism":{},"salt":{}}},"iv":{},"data":{}}}"#,
        json["format"],
        json["version"],
        kdf["algorithm"],
        kdf["memory_kib"],
        kdf["iterations"],
        kdf["parallelism"],
        kdf["salt"],
        json["iv"],
        json["data"]
    );
    json["checksum"] = sha256_hex(body.as_bytes()).into();
    json.to_string()
}

#[test]
fn argon2id_of_rfc_9106() {
    // RFC 9106 §5.3. It has a secret and associated data, so it goes past `stretch`.
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .output_len(32)
        .build()
        .unwrap();
    let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    assert_eq!(hex(&tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

#[test]
fn argon2id_of_the_reference_implementation() {
    // phc-winner-argon2, src/test.c, "Test Argon2id", version 0x13.
    for (memory_kib, parallelism, expected) in [
        (256, 1, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
        (256, 2, "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"),
        (65536, 1, "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"),
    ] {
        let key = stretch(b"password", b"somesalt", Cost::new(memory_kib, 2, parallelism).unwrap()).unwrap();
        assert_eq!(hex(key.as_slice()), expected);
    }
}

#[test]
fn the_format_never_changes() {
    // Made with Python's cryptography and hashlib modules.
    let json = r#"{
  "format": "alknet-vault",
  "version": 1,
  "kdf": {
    "algorithm": "argon2id",
    "memory_kib": 64,
    "iterations": 2,
    "parallelism": 2,
    "salt": "w8PDw8PDw8PDw8PDw8PDww=="
  },
  "iv": "1NTU1NTU1NTU1NTU",
  "data": "D1nuGU55SVi3SvqWA6cVSUqaZy3lW3y3ZFZAO3SgmqY6Zr5qSr0MP2t2jwlGuxjcbJhINex1eSgvFXqV98JKOp5TQ6X+9CAjmBogtW8nsIQ=",
  "checksum": "8bb73d80a27a470d03ca202358f52a7c7b2ebb7119057117b8f20ef250bb8c87"
}
"#;
    let seed = Seed::from_bytes(&std::array::from_fn(|i| i as u8));
    let cost = Cost::new(64, 2, 2).unwrap();
    let sealed = SealedSeed::seal_with(&seed, b"correct horse", cost, [0xc3; 16], [0xd4; 12]).unwrap();
    assert_eq!(sealed.to_json(), json);
    let read = SealedSeed::from_json(json.as_bytes()).unwrap();
    assert_eq!(read, sealed);
    assert_eq!(read.open(b"correct horse").unwrap().as_bytes(), seed.as_bytes());
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let json = sealed().to_json().into_bytes();
    let mut damaged = 0;
    for index in 0..json.len() {
        for bit in 0..8 {
            let mut changed = json.clone();
            changed[index] ^= 1 << bit;
            let error = SealedSeed::from_json(&changed).and_then(|sealed| sealed.open(b"right")).err();
            let error = error.unwrap_or_else(|| panic!("bit {bit} of byte {index}"));
            assert!(
                !matches!(error, SealedError::WrongPassphrase),
                "bit {bit} of byte {index} was taken for a wrong passphrase"
            );
            damaged += usize::from(matches!(error, SealedError::Damaged));
        }
    }
    assert!(damaged > 1000, "the checksum found {damaged}");
}

#[test]
fn no_truncated_file_is_read() {
    let json = sealed().to_json();
    for length in 0..json.trim_end().len() {
        let error = SealedSeed::from_json(&json.as_bytes()[..length]).unwrap_err();
        assert!(matches!(error, SealedError::Syntax { .. }), "{length}: {error}");
    }
    assert!(SealedSeed::from_json((json + "{}").as_bytes()).is_err());
}

#[test]
fn a_wrong_passphrase_is_told_from_damage() {
    let sealed = sealed();
    assert!(sealed.open(b"right").is_ok());
    for passphrase in ["wrong", "Right", "right\n", "r"] {
        let error = sealed.open(passphrase.as_bytes()).err().unwrap();
        assert!(matches!(error, SealedError::WrongPassphrase), "{error}");
    }
    let damaged = sealed.to_json().replace("\"memory_kib\": 8", "\"memory_kib\": 9");
    let error = SealedSeed::from_json(damaged.as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("the file is damaged: its checksum does not match"), "{error}");
}

#[test]
fn an_empty_passphrase_is_refused() {
    let error = SealedSeed::seal(&Seed::from_bytes(&[5; 64]), b"", CHEAP).unwrap_err();
    assert!(matches!(error, SealedError::EmptyPassphrase), "{error}");
    assert!(matches!(sealed().open(b"").err(), Some(SealedError::EmptyPassphrase)));
}

#[test]
fn a_forged_header_does_not_open() {
    for (from, to) in [
        ("\"memory_kib\": 8", "\"memory_kib\": 9"),
        ("\"iterations\": 1", "\"iterations\": 2"),
        (
            "\"memory_kib\": 8,\n    \"iterations\": 1,\n    \"parallelism\": 1",
            "\"memory_kib\": 16, \"iterations\": 1, \"parallelism\": 2",
        ),
    ] {
        let sealed = SealedSeed::from_json(forged(from, to).as_bytes()).unwrap();
        assert!(matches!(sealed.open(b"right").err(), Some(SealedError::WrongPassphrase)), "{to}");
    }
}

#[test]
fn the_header_is_authenticated_even_where_the_key_does_not_depend_on_it() {
    let mut sealed = sealed();
    let key = stretch(b"right", &sealed.salt, sealed.cost).unwrap();
    sealed.cost = Cost::RANDOM_KEY;
    assert_eq!(aead::open(&key, &sealed.iv, json::header(&sealed).as_bytes(), &sealed.data).err(), Some(AeadError));
}

#[test]
fn the_cost_in_a_file_is_bounded_before_any_work() {
    for (from, to, expected) in [
        ("\"memory_kib\": 8", "\"memory_kib\": 1048577", CostError::Memory { found: 1_048_577, least: 8 }),
        ("\"memory_kib\": 8", "\"memory_kib\": 7", CostError::Memory { found: 7, least: 8 }),
        ("\"parallelism\": 1", "\"parallelism\": 2", CostError::Memory { found: 8, least: 16 }),
        ("\"iterations\": 1", "\"iterations\": 65", CostError::Iterations { found: 65 }),
        ("\"iterations\": 1", "\"iterations\": 0", CostError::Iterations { found: 0 }),
        ("\"parallelism\": 1", "\"parallelism\": 17", CostError::Parallelism { found: 17 }),
        ("\"parallelism\": 1", "\"parallelism\": 0", CostError::Parallelism { found: 0 }),
    ] {
        match SealedSeed::from_json(forged(from, to).as_bytes()) {
            Err(SealedError::Cost(error)) => assert_eq!(error, expected),
            other => panic!("{to}: {other:?}"),
        }
    }
    for cost in [Cost::PASSPHRASE, Cost::RANDOM_KEY, CHEAP] {
        assert_eq!(Cost::new(cost.memory_kib(), cost.iterations(), cost.parallelism()), Ok(cost));
    }
    assert!(Cost::new(Cost::MAX_MEMORY_KIB, Cost::MAX_ITERATIONS, Cost::MAX_PARALLELISM).is_ok());
}

#[test]
fn other_files_are_refused_with_a_reason() {
    let json = sealed().to_json();
    for (from, to, expected) in [
        ("\"version\": 1", "\"version\": 2", "has version 2, and this program reads version 1"),
        ("\"alknet-vault\"", "\"age\"", "its `format` is not `alknet-vault`"),
        ("\"iv\"", "\"vi\"", "unknown field `vi`"),
        ("\"iterations\": 1", "\"iterations\": \"1\"", "field `iterations`: invalid type"),
        ("\"memory_kib\": 8,", "", "missing field `memory_kib`"),
    ] {
        let error = SealedSeed::from_json(json.replace(from, to).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for (from, to, expected) in [
        ("\"argon2id\"", "\"argon2i\"", "`kdf.algorithm` is not `argon2id`"),
        ("\"iv\": \"", "\"iv\": \"AAAA", "field `iv` has 15 bytes instead of 12"),
        ("\"data\": \"", "\"data\": \"*", "field `data` is not standard base64"),
    ] {
        let error = SealedSeed::from_json(forged(from, to).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_is_saved_and_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.json");
    let sealed = sealed();
    sealed.save(&path, Overwrite::Never).unwrap();
    assert!(matches!(sealed.save(&path, Overwrite::Never), Err(FileError::Exists { .. })));
    assert_eq!(SealedSeed::load(&path).unwrap(), sealed);
    std::fs::write(&path, " ".repeat(MAX_FILE_LEN) + &sealed.to_json()).unwrap();
    assert!(matches!(SealedSeed::load(&path), Err(SealedError::File(FileError::TooLarge { .. }))));
}
