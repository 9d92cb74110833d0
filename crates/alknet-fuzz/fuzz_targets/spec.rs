//! Any JSON as the description of an operation, as another node sends it: what is accepted says the same when it is written
//! and read again.
#![no_main]

use alknet_call::OperationSpec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(json) = serde_json::from_slice(input) else { return };
    match OperationSpec::from_json(&json) {
        Ok(spec) => {
            let written = spec.to_json();
            let again = OperationSpec::from_json(&written).expect("what was written can be read");
            assert_eq!(again, spec);
            assert_eq!(again.to_json(), written);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
