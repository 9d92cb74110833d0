//! What the numbers were measured on, and where the node's program is.

use std::fs;
use std::path::PathBuf;

/// Processor, number of its cores that we may use, and kernel.
pub(crate) fn describe() -> String {
    let line_of = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", line_of("/proc/cpuinfo", "model name"), kernel.trim())
}

/// The release build of `alknet`: it lies in the folder above the benchmark's own.
///
/// # Errors
/// How to make it, when it is not there.
pub(crate) fn alknet() -> Result<PathBuf, String> {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("alknet");
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("there is no {}: run `cargo build --release -p alknet` first", path.display()))
}
