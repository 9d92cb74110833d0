//! Handshakes that fail, in the log: enough of them to see what is going on, and no more than strangers may write there.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use crate::tls::ClientHelloInfo;

/// So many lines in so many seconds.
const LINES: u32 = 30;
const WINDOW_SECONDS: u64 = 60;

pub(crate) struct Refusals {
    start: Instant,
    window: AtomicU64,
    logged: AtomicU32,
}

/// What the log gets.
#[derive(Debug, PartialEq, Eq)]
enum Room {
    Line,
    LastLine,
    None,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), window: AtomicU64::new(0), logged: AtomicU32::new(0) }
    }

    /// Logs why a handshake failed, and what the client had offered. One that did not come as far as a ClientHello is
    /// noise of the network.
    pub(crate) fn log(
        &self,
        remote: SocketAddr,
        transport: &'static str,
        hello: Option<&ClientHelloInfo>,
        reason: &str,
    ) {
        let Some(hello) = hello else { return tracing::debug!(%remote, transport, "handshake failed: {reason}") };
        let room = self.room(self.start.elapsed().as_secs() / WINDOW_SECONDS);
        let offered = hello.offered();
        match room {
            Room::None => tracing::debug!(%remote, transport, %offered, "handshake failed: {reason}"),
            Room::Line | Room::LastLine => tracing::info!(%remote, transport, %offered, "handshake failed: {reason}"),
        }
        if room == Room::LastLine {
            tracing::info!("many handshakes fail; for the rest of the minute only the filter \"debug\" shows them");
        }
    }

    /// Two threads at the turn of a window may lose a count or two to each other, which does not matter.
    fn room(&self, window: u64) -> Room {
        if self.window.swap(window, Ordering::Relaxed) != window {
            self.logged.store(0, Ordering::Relaxed);
        }
        match self.logged.fetch_add(1, Ordering::Relaxed) + 1 {
            ..LINES => Room::Line,
            LINES => Room::LastLine,
            _ => Room::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_no_flood_in_the_log() {
        let refusals = Refusals::new();
        let in_window = |window| {
            let rooms: Vec<_> = (0..10_000).map(|_| refusals.room(window)).collect();
            (rooms.iter().filter(|room| **room != Room::None).count(), rooms[LINES as usize - 1] == Room::LastLine)
        };
        assert_eq!(in_window(0), (LINES as usize, true));
        assert_eq!(in_window(1), (LINES as usize, true));
    }
}
