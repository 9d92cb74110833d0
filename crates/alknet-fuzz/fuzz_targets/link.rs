//! Any text as a pairing link: what is accepted is written as it was, but for upper case.
#![no_main]

use alknet::pairing::PairingLink;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(link) = text.parse::<PairingLink>() else { return };
    assert_eq!(*link.reveal(), text.to_ascii_lowercase());
    let again: PairingLink = text.to_ascii_uppercase().parse().expect("case does not matter");
    assert_eq!(again.reveal(), link.reveal());
});
