//! What the node tells systemd (sd_notify(3)). Without a supervisor that listens, all of it does nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use super::Node;

/// How often the status line is brought up to date, when no watchdog wants to hear of us more often.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

pub(super) fn ready(node: &Node) {
    tell(&[NotifyState::Ready, NotifyState::Status(&status(node))]);
}

pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// Feeds the watchdog twice in each of its intervals, from the runtime that serves the connections: when that one
/// hangs, so does this.
pub(super) async fn keep_informed(node: Arc<Node>) {
    let watchdog = sd_notify::watchdog_enabled();
    let mut interval =
        tokio::time::interval(watchdog.map_or(STATUS_INTERVAL, |limit| (limit / 2).min(STATUS_INTERVAL)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = status(&node);
    loop {
        interval.tick().await;
        if watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        let now = status(&node);
        if now != told {
            tell(&[NotifyState::Status(&now)]);
            told = now;
        }
    }
}

fn status(node: &Node) -> String {
    let addresses: Vec<_> = node.addresses().iter().map(ToString::to_string).collect();
    let (alpns, connections) = (node.handlers().alpns().len(), node.connections());
    format!("serving {alpns} ALPNs on {}, {connections} connections", addresses.join(" and "))
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("the supervisor cannot be told: {error}");
    }
}
