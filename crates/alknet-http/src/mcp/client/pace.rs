//! Keeping questions apart: a server that tells of changes without an end is not listened to all the time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many times in a row, and then once in a while.
const BURST: u32 = 5;
const PACE: Duration = Duration::from_secs(10);

/// When there may be another question.
pub(super) struct Pace {
    left: u32,
    since: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { left: BURST, since: Instant::now() }
    }

    /// Waits until it is time for another one.
    pub(super) async fn wait(&mut self) {
        if self.left == 0 {
            sleep_until(self.since + PACE).await;
        }
        let passed = u32::try_from(self.since.elapsed().as_millis() / PACE.as_millis()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_add(passed).min(BURST).saturating_sub(1);
        self.since += PACE.saturating_mul(passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_are_a_few_at_once_and_then_one_in_a_while() {
        let (start, mut pace) = (Instant::now(), Pace::new());
        for _ in 0..BURST {
            pace.wait().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for n in 1..5 {
            pace.wait().await;
            assert_eq!(start.elapsed().as_secs(), n * PACE.as_secs());
        }
        // Who has waited long may ask as often as at first, and not more.
        tokio::time::sleep(PACE * 100).await;
        let start = Instant::now();
        for _ in 0..=BURST {
            pace.wait().await;
        }
        assert!(start.elapsed() > Duration::ZERO && start.elapsed() <= PACE, "{:?}", start.elapsed());
    }
}
