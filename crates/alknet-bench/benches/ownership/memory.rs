//! What a record keeps.

use crate::population::RESOURCES;

/// Builds something of so many records, and prints how much more memory the process holds for each.
pub(crate) fn measure<T>(name: &str, build: impl FnOnce() -> T) -> T {
    let before = resident();
    let built = build();
    println!("{name}: {:.0} bytes per record, its id included", (resident() - before) / RESOURCES as f64);
    built
}

/// Resident memory of this process in bytes (proc_pid_status(5)).
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
}
