//! Keeps one export: waits for the peer, learns what it has, and follows what becomes of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use alknet_core::OwnershipStore;
use serde_json::Value;

use super::Export;
use super::books::{Books, News};
use super::export::export;
use crate::peers::{FromCall, Peers};
use crate::{CallClient, ClientError, Overlay, Registry, Subscription};

/// How long to wait before a peer is asked again that is connected and does not answer as it should.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps an export for ever.
pub(super) async fn keep(
    exported: Export,
    registry: Weak<Registry>,
    ownership: Arc<dyn OwnershipStore>,
    peers: Arc<Peers>,
) {
    let books = Arc::new(Books::new(exported, ownership));
    let mut changes = peers.changes();
    loop {
        changes.mark_unchanged();
        let Some(client) = peers.client(&books.export().peer) else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let peer = books.export().peer.clone();
        match serve(&books, &registry, &client).await {
            Ok(()) => tracing::info!(peer = &*peer, "the peer's operations are not available any more"),
            Err(error) => tracing::warn!(peer = &*peer, %error, "the peer's operations cannot be exported"),
        }
        // Mostly the connection has ended, and the next one is what is waited for.
        if !client.is_closed() {
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = client.closed() => {}
            }
        }
    }
}

/// Exports the peer's operations for as long as it tells what becomes of our resources.
async fn serve(books: &Arc<Books>, registry: &Weak<Registry>, client: &CallClient) -> Result<(), KeepError> {
    let mut watch = client.subscribe("resources/watch", &Value::Null).await?;
    // Before the first call is let through the books say what the peer says.
    match next(books, &mut watch).await? {
        Some(News::Snapshot(snapshot)) => books.enter(News::Snapshot(snapshot)).await,
        _ => return Err(KeepError::NoSnapshot),
    }
    let _overlay = install(books, registry, client).await?;
    while let Some(news) = next(books, &mut watch).await? {
        books.enter(news).await;
    }
    Ok(())
}

/// The next thing that the peer tells. What is not understood is passed over: a later version may tell more.
async fn next(books: &Books, watch: &mut Subscription) -> Result<Option<News>, KeepError> {
    while let Some(event) = watch.next().await {
        match event {
            Ok(event) => {
                if let Some(news) = books.read(&event) {
                    return Ok(Some(news));
                }
            }
            // The connection has ended, which is no error of anybody's.
            Err(ClientError::Connection(_) | ClientError::Unanswered) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

async fn install(
    books: &Arc<Books>,
    registry: &Weak<Registry>,
    client: &CallClient,
) -> Result<Option<Overlay>, KeepError> {
    let current = client.clone();
    let source = move || match current.is_closed() {
        false => Ok(current.clone()),
        true => Err(ClientError::Unanswered),
    };
    let adapter = FromCall::new(source, books.export().operations.clone());
    let specs = adapter.specs().await?;
    let bundles: Vec<_> = specs
        .into_iter()
        .filter_map(|spec| {
            let forward = adapter.forward(&spec);
            export(spec, forward, books)
        })
        .collect();
    let Some(registry) = registry.upgrade() else { return Ok(None) };
    let overlay = registry.install(bundles)?;
    let names: Vec<_> = overlay.specs().map(|spec| spec.name.to_string()).collect();
    let transport = client.connection().transport_name();
    tracing::info!(peer = &*books.export().peer, transport, "exporting {}", names.join(", "));
    Ok(Some(overlay))
}

/// Why the operations of a peer that is connected cannot be exported.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("the peer does not say what we own there: {0}")]
    Watch(#[from] ClientError),
    #[error("the peer does not say what we own there: its first event is no snapshot")]
    NoSnapshot,
    #[error(transparent)]
    Import(#[from] crate::AdapterError),
    #[error(transparent)]
    Names(#[from] crate::NameTaken),
}
