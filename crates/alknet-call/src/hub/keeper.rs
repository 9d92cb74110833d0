//! Keeps what is exported of a peer: waits for the peer, learns what it has, and follows what becomes of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use alknet_core::OwnershipStore;
use serde_json::Value;

use super::books::{Books, News};
use super::export::{export, kinds};
use super::mount::Mount;
use crate::peers::{FromCall, Peers};
use crate::{
    AdapterError, Bundle, CallClient, ClientError, NameTaken, OperationSpec, Overlay, Registry, Reservation,
    Subscription,
};

/// How long to wait before a peer is asked again that is connected and does not answer as it should.
const RETRY: Duration = Duration::from_secs(5);

/// How long to wait for a peer to say that it will tell of changes. One of an earlier version says at once that it will not.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait for further changes after one, so that many together cost as much as one.
const SETTLE: Duration = Duration::from_millis(200);

/// Keeps what is exported of a peer for as long as there is a registry to export it in. `away` are the reservations of its
/// names.
pub(super) async fn keep(
    mount: Mount,
    away: Vec<Reservation>,
    registry: Weak<Registry>,
    ownership: Arc<dyn OwnershipStore>,
    peers: Arc<Peers>,
) {
    let peer = mount.peer.clone();
    let books = Arc::new(Books::new(mount, ownership));
    let mut keeper = Keeper { books, registry, away, overlay: None, told: None };
    loop {
        let (number, client) = peers.wait_for(&peer).await;
        // From before the names are asked for.
        let Some(mut changes) = keeper.registry.upgrade().map(|registry| registry.changes()) else { return };
        let served = tokio::select! {
            served = keeper.serve(&client) => match served {
                // What there was serves until there is something else.
                Ok(Served::Changed) => continue,
                served => served.map(drop),
            },
            () = peers.superseded(&peer, number) => {
                // A newer connection takes over, and until it has, this one serves.
                if peers.client(&peer).is_none() {
                    keeper.hide();
                    tracing::info!(peer = &*peer, "the peer's operations are not available any more");
                }
                continue;
            }
        };
        keeper.hide();
        let names_are_taken = matches!(served, Err(KeepError::Names(_)));
        keeper.tell(served);
        tokio::select! {
            () = peers.superseded(&peer, number) => {}
            () = tokio::time::sleep(RETRY) => {}
            // Whoever has the names may have given them back, as what was exported before a reload does.
            _ = changes.changed(), if names_are_taken => {}
        }
    }
}

/// How the export of a peer's operations came to an end.
enum Served {
    /// The connection has ended.
    Ended,
    /// The peer has other operations.
    Changed,
}

struct Keeper {
    books: Arc<Books>,
    registry: Weak<Registry>,
    /// The names, while they are not there.
    away: Vec<Reservation>,
    /// The operations, while they are there.
    overlay: Option<Overlay>,
    /// The error that was logged last. A peer may fail in the same way for days.
    told: Option<String>,
}

impl Keeper {
    /// Exports the peer's operations for as long as it tells what becomes of our resources, and they stay what they are.
    async fn serve(&mut self, client: &CallClient) -> Result<Served, KeepError> {
        let mut watch = client.subscribe("resources/watch", &Value::Null).await?;
        // Before they are asked for: what changes after that is told.
        let mut services = client.subscribe("services/watch", &Value::Null).await?;
        let mut is_told =
            tokio::time::timeout(PATIENCE, services.next()).await.is_ok_and(|first| matches!(first, Some(Ok(_))));
        let bundles = self.bundles(client).await?;
        self.books.follow(bundles.iter().flat_map(|bundle| kinds(bundle.spec())).cloned().collect());
        // Before the first call is let through the books say what the peer says.
        match next(&self.books, &mut watch).await? {
            Some(News::Snapshot(snapshot)) => self.books.enter(News::Snapshot(snapshot)).await,
            Some(_) => return Err(KeepError::NoSnapshot),
            None => return Ok(Served::Ended),
        }
        self.show(bundles)?;
        let settled = tokio::time::sleep(Duration::MAX);
        tokio::pin!(settled);
        loop {
            tokio::select! {
                news = next(&self.books, &mut watch) => match news? {
                    Some(news) => self.books.enter(news).await,
                    None => return Ok(Served::Ended),
                },
                change = services.next(), if is_told => {
                    is_told = false;
                    if matches!(change, Some(Ok(_))) {
                        settled.as_mut().reset(tokio::time::Instant::now() + SETTLE);
                    }
                }
                () = &mut settled => return Ok(Served::Changed),
            }
        }
    }

    async fn bundles(&self, client: &CallClient) -> Result<Vec<Bundle>, AdapterError> {
        let (connection, exports) = (client.clone(), &self.books.mount().exports);
        let patterns = exports.iter().flat_map(|export| export.operations.clone()).collect();
        let adapter = FromCall::new(move || Ok(connection.clone()), patterns);
        let specs = adapter.specs().await?;
        let bundle = |spec: OperationSpec| {
            let forward = adapter.forward(&spec);
            export(spec, forward, &self.books)
        };
        Ok(specs.into_iter().filter_map(bundle).collect())
    }

    /// Puts the operations in the place of the reservations, or of the operations that an older connection serves.
    fn show(&mut self, bundles: Vec<Bundle>) -> Result<(), NameTaken> {
        let Some(registry) = self.registry.upgrade() else { return Ok(()) };
        match &mut self.overlay {
            Some(overlay) => overlay.replace(bundles)?,
            None => self.overlay = Some(registry.install(bundles)?),
        }
        self.away.clear();
        self.told = None;
        let specs = self.overlay.iter().flat_map(Overlay::specs);
        let names: Vec<_> = specs.map(|spec| spec.name.as_str()).collect();
        tracing::info!(peer = &*self.books.mount().peer, "exporting {}", names.join(", "));
        Ok(())
    }

    /// Puts the reservations in the place of the operations.
    fn hide(&mut self) {
        if let Some(overlay) = self.overlay.take() {
            // First, so that nobody finds that there is nothing.
            if let Some(registry) = self.registry.upgrade() {
                self.away = self.books.mount().reserve(&registry);
            }
            drop(overlay);
        }
    }

    fn tell(&mut self, served: Result<(), KeepError>) {
        let peer = &*self.books.mount().peer;
        match served {
            Ok(()) => tracing::info!(peer, "the peer's operations are not available any more"),
            Err(error) => {
                let text = error.to_string();
                if self.told.as_ref() == Some(&text) {
                    tracing::debug!(peer, %error, "the peer's operations still cannot be exported");
                } else {
                    tracing::warn!(peer, %error, "the peer's operations cannot be exported");
                    self.told = Some(text);
                }
            }
        }
    }
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

/// Why the operations of a peer that is connected cannot be exported.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("the peer does not say what we own there: {0}")]
    Watch(#[from] ClientError),
    #[error("the peer does not say what we own there: its first event is no snapshot")]
    NoSnapshot,
    #[error(transparent)]
    Import(#[from] AdapterError),
    #[error(transparent)]
    Names(#[from] NameTaken),
}
