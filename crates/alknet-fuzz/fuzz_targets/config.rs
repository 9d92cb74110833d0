//! Any text as a configuration: it is read without a panic, every error has its place, and what was accepted can be used
//! and says the same when it is read again.
#![no_main]

use std::path::Path;

use alknet_core::MemoryIdentities;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = Path::new("alknet.toml");
    let config = match alknet::config::parse(text, file) {
        Ok(config) => config,
        Err(errors) => {
            let lines = text.split('\n').count();
            let places: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
            assert!(!places.is_empty(), "refused without a reason");
            assert!(places.is_sorted(), "{errors}");
            assert!(places.iter().all(|(line, _)| line.is_none_or(|line| (1..=lines).contains(&line))), "{errors}");
            return;
        }
    };
    // A node that starts with it has to find nothing more to complain about.
    MemoryIdentities::new(config.peers()).expect("peers without conflicts");
    let _ = config.warnings();
    let again = alknet::config::parse(&format!("{text}\n# read before\n"), file).expect("it was accepted before");
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
});
