//! Certificate files that change while the node runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Node;

/// How often the files are looked at. Looking works for every way in which a renewal can replace them: in place, by a
/// rename, by a link to another folder, on a network file system.
const INTERVAL: Duration = Duration::from_secs(2);

pub(super) async fn certificates(node: Arc<Node>) {
    let mut interval = interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let certificates = node.certificates.clone();
        match tokio::task::spawn_blocking(move || certificates.reload_if_changed()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => tracing::info!("the certificate files have changed and were read again"),
            Ok(Err(error)) => tracing::error!("the changed certificates cannot be used, the old ones stay: {error}"),
            Err(_) => return,
        }
    }
}
