//! What the numbers were measured on.

use std::fs;

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
