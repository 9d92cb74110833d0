//! Any text as an OpenAPI description: what it offers is read in the bounds that there are for it, each operation has a name
//! of its own, and each parameter of it a key.
#![no_main]

use alknet_http::DescriptionSource;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = DescriptionSource::Url("https://example.com/openapi.json".parse().expect("an address"));
    if let Err(error) = alknet_http::fuzzing::description(text, &source) {
        assert!(!error.to_string().is_empty());
    }
});
