//! What the kernel knows of a process.

use std::fs;
use std::time::Duration;

/// What it has used of the processor so far: the sum over its threads (proc_pid_schedstat(5)), in which a thread that has
/// ended is missing; the measured ones live as long as their process.
pub(crate) fn on_processor(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let accounts = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok());
    accounts.map(|account| Duration::from_nanos(account.split_whitespace().next().unwrap().parse().unwrap())).sum()
}

/// Its resident memory in bytes.
pub(crate) fn resident(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
}
