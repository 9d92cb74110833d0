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

/// Its children.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// Its resident memory in bytes.
pub(crate) fn resident(process: u32) -> f64 {
    status(process, "VmRSS:")
}

/// The most resident memory that it had since [`forget_peak`], or since its start, in bytes.
pub(crate) fn peak(process: u32) -> f64 {
    status(process, "VmHWM:")
}

/// Has the kernel take what is resident now for the most that there was (proc_pid_clear_refs(5)).
pub(crate) fn forget_peak(process: u32) {
    fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
}

fn status(process: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
}
