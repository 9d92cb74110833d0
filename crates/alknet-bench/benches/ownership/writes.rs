//! How many resources can come and go.

use std::time::{Duration, Instant};

use alknet_core::{MemoryOwnership, OwnershipStore as _};

use crate::rivals::Ownership as _;

const TIME: Duration = Duration::from_secs(3);

pub(crate) fn measure(store: &MemoryOwnership) {
    print("nobody watches", store);
    let _watches = [store.watch(Some("owner-0000")), store.watch(None)];
    print("the owner and everybody are watched", store);
}

fn print(case: &str, store: &MemoryOwnership) {
    let begin = Instant::now();
    let pairs = store.change(|| begin.elapsed() >= TIME);
    println!("  {:.0} times record and revoke per second, {case}", pairs as f64 / begin.elapsed().as_secs_f64());
}
