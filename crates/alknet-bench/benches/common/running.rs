//! Children of this process.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};
use std::{io, thread};

/// Ends its process when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// How it ended; nothing if it has not by then.
    #[allow(dead_code, reason = "not every benchmark has children that end by themselves")]
    pub(crate) fn wait_within(&mut self, patience: Duration) -> Option<io::Result<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            match self.0.try_wait() {
                Ok(None) if Instant::now() >= deadline => return None,
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Ok(Some(status)) => return Some(Ok(status)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
