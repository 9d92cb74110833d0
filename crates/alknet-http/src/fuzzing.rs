//! What the fuzz targets reach of the inside. Not for others.

use std::collections::BTreeSet;

use alknet_call::OperationName;

use crate::openapi::import::read::read;
use crate::openapi::import::{DescriptionError, Source};

/// Reads a description and looks at what comes of it: each operation has a name of its own, and each of its parameters a
/// key.
///
/// # Errors
/// Why it cannot be read.
///
/// # Panics
/// When what was read is not as it has to be.
pub fn description(text: &str, source: &Source) -> Result<(), DescriptionError> {
    let service = read(text, source, &|_| true)?;
    let mut names = BTreeSet::new();
    for operation in &service.operations {
        let name = &operation.name;
        assert!(format!("source/{name}").parse::<OperationName>().is_ok(), "{name:?} is no name");
        assert!(names.insert(name), "{name:?} stands for two operations");
        let mut keys = BTreeSet::new();
        let keys_differ = operation.parameters.iter().all(|parameter| keys.insert(&parameter.key));
        assert!(keys_differ, "{name}: two parameters have one key");
    }
    assert!(service.left_out.iter().all(|one| !one.reason.is_empty()), "an operation is left out without a reason");
    Ok(())
}
