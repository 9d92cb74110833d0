//! Any JSON as a schema, and any other checked against it: both come to an end, whatever they are, and what is told of a
//! value is short.
#![no_main]

use alknet_call::Schema;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

// Two documents, one after the other: a schema and a value. The schema is a value, too.
fuzz_target!(|input: &[u8]| {
    let mut documents = serde_json::Deserializer::from_slice(input).into_iter::<Value>();
    let Some(Ok(json)) = documents.next() else { return };
    let schema = match Schema::new(json.clone()) {
        Ok(schema) => schema,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(schema.as_json(), &json);
    assert_eq!(Schema::new(json.clone()).as_ref(), Ok(&schema), "what was accepted is accepted again");
    for value in documents.map_while(Result::ok).take(4).chain([json]) {
        if let Err(violations) = schema.validate(&value) {
            let each: Vec<_> = violations.iter().collect();
            assert!((1..=8).contains(&each.len()));
            // 256 characters and an ellipsis.
            assert!(each.iter().all(|each| each.path.chars().count() <= 257 && each.reason.chars().count() <= 257));
            assert!(!violations.to_string().is_empty());
        }
    }
});
