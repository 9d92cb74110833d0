//! All terminals of a node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alknet_core::OwnershipStore;
use arc_swap::ArcSwap;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::life::{Birth, live};
use crate::slots::Slots;
use crate::terminal::Terminal;
use crate::{AttachOptions, Attachment, Signal, SpawnRequest, TerminalInfo, TtyConfig, TtyError};

/// The most bytes that one write takes.
pub const MAX_WRITE: usize = 64 * 1024;

/// How long a killed terminal may take to be gone before that is reported. It is longer than all that is tried takes.
const KILL_LIMIT: Duration = Duration::from_secs(15);

/// The terminals of a node. Cheap to clone; when the last clone is dropped, they end.
///
/// Whoever calls has been checked: this decides who owns what, and not who may do what.
#[derive(Clone)]
pub struct Terminals {
    shared: Arc<Shared>,
    _hang_up: Arc<DropGuard>,
}

/// What the lives of all terminals share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn OwnershipStore>,
    /// All terminals are to end, and no more are started.
    pub(crate) closing: CancellationToken,
    config: ArcSwap<TtyConfig>,
    slots: Arc<Slots>,
    table: Mutex<Table>,
    lives: TaskTracker,
    /// How many have been entered in the table.
    pub(crate) births: watch::Sender<u64>,
}

/// Those that are there, by id.
type Table = BTreeMap<Arc<str>, Arc<Terminal>>;

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terminals {
    /// No terminals yet. Whose they are is recorded in `store`.
    pub fn new(config: TtyConfig, store: Arc<dyn OwnershipStore>) -> Self {
        let closing = CancellationToken::new();
        let shared = Shared {
            store,
            closing: closing.clone(),
            config: ArcSwap::from_pointee(config),
            slots: Arc::default(),
            table: Mutex::default(),
            lives: TaskTracker::new(),
            births: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared), _hang_up: Arc::new(closing.drop_guard()) }
    }

    /// Replaces the configuration, for what is spawned and attached from now on.
    pub fn configure(&self, config: TtyConfig) {
        self.shared.config.store(Arc::new(config));
    }

    /// Starts a program in a new terminal. The record of its owner is there before this returns; dropping the future ends
    /// the terminal, if there is one by then.
    ///
    /// # Errors
    /// When the configuration does not allow it, a limit is reached, or the system or the store refuses.
    pub async fn spawn(&self, request: SpawnRequest) -> Result<TerminalInfo, TtyError> {
        Ok(self.start(request, false).await?.0)
    }

    /// As [`spawn`](Self::spawn), with an attachment from before the first byte on: nothing is missed, however fast the
    /// program writes or ends.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    pub async fn spawn_attached(&self, request: SpawnRequest) -> Result<(TerminalInfo, Attachment), TtyError> {
        match self.start(request, true).await? {
            (info, Some(attachment)) => Ok((info, attachment)),
            (info, None) => Err(TtyError::NotThere(info.id.to_string())),
        }
    }

    /// The terminal of this id.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, id: &str) -> Result<TerminalInfo, TtyError> {
        Ok(self.find(id)?.info())
    }

    /// All terminals that are there, of all owners, by the time of their beginning.
    pub fn list(&self) -> Vec<TerminalInfo> {
        let mut all: Vec<_> = self.shared.table().values().map(|terminal| terminal.info()).collect();
        all.sort_by_key(|info| info.spawned);
        all
    }

    /// Attaches to a terminal's output.
    ///
    /// # Errors
    /// When there is no such terminal, when it has no room for another attachment, or has not put out that much.
    pub fn attach(&self, id: &str, options: AttachOptions) -> Result<Attachment, TtyError> {
        let terminal = self.find(id)?;
        terminal.output.attach(&terminal.id, options, self.shared.config.load().max_attachments)
    }

    /// Types into a terminal: waits until the system has taken every byte, for as long as the program reads nothing. No
    /// other write comes in between. Dropping the future leaves typed what is.
    ///
    /// # Errors
    /// When there is no such terminal, or it ends meanwhile; when there are more than [`MAX_WRITE`] bytes.
    pub async fn write(&self, id: &str, bytes: &[u8]) -> Result<(), TtyError> {
        if bytes.len() > MAX_WRITE {
            return Err(TtyError::WriteTooLong { given: bytes.len() });
        }
        self.find(id)?.write(bytes).await
    }

    /// Gives a terminal another size, which its programs learn by `SIGWINCH`.
    ///
    /// # Errors
    /// When there is no such terminal, or the size is none.
    pub fn resize(&self, id: &str, rows: u16, cols: u16) -> Result<(), TtyError> {
        self.find(id)?.resize(rows, cols)
    }

    /// Sends a signal to what runs in the foreground of a terminal, as its keys do.
    ///
    /// # Errors
    /// When there is no such terminal.
    pub async fn signal(&self, id: &str, signal: Signal) -> Result<(), TtyError> {
        self.find(id)?.signal(signal).await
    }

    /// Ends a terminal with everything in it: hangs up, and kills after a second what has not gone. Returns when it is
    /// gone and its record revoked; dropping the future does not keep it.
    ///
    /// # Errors
    /// When there is no such terminal, or the system cannot kill its program.
    pub async fn kill(&self, id: &str) -> Result<(), TtyError> {
        // The terminal itself is not held while it ends: its descriptor is to go first.
        let life = self.find(id)?.life.clone();
        life.kill.cancel();
        let gone = timeout(KILL_LIMIT, life.gone.cancelled()).await;
        gone.map_err(|_| TtyError::StillThere(id.to_owned()))
    }

    /// As [`kill`](Self::kill), without waiting. False if it is not there, or was told before.
    pub(crate) fn hang_up(&self, id: &str) -> bool {
        let Ok(terminal) = self.find(id) else { return false };
        let is_first = !terminal.life.kill.is_cancelled();
        terminal.life.kill.cancel();
        is_first
    }

    /// Where it is recorded whose they are.
    pub(crate) fn store(&self) -> &dyn OwnershipStore {
        &*self.shared.store
    }

    /// Changes value whenever a terminal has come.
    pub(crate) fn births(&self) -> watch::Receiver<u64> {
        self.shared.births.subscribe()
    }

    /// Resolves when all terminals are to end.
    pub(crate) async fn closing(&self) {
        self.shared.closing.cancelled().await;
    }

    /// Ends all terminals and waits until they are gone; none is started any more. Gives how many are left because the
    /// system cannot kill their programs.
    pub async fn shutdown(&self) -> usize {
        self.shared.closing.cancel();
        self.shared.lives.close();
        if timeout(KILL_LIMIT, self.shared.lives.wait()).await.is_err() {
            tracing::error!(left = self.shared.lives.len(), "terminals do not end");
        }
        self.shared.lives.len()
    }

    async fn start(&self, request: SpawnRequest, attach: bool) -> Result<(TerminalInfo, Option<Attachment>), TtyError> {
        let config = self.shared.config.load_full();
        let program = request.program(&config)?;
        let slot = self.shared.slots.take(&request.owner, request.claim.as_deref(), &config)?;
        let SpawnRequest { owner, claim, .. } = request;
        let birth = Birth { program, owner, claim, slot, scrollback: config.scrollback(), attach };
        let (spawner, spawned) = oneshot::channel();
        self.shared.lives.spawn(live(self.shared.clone(), birth, spawner));
        Ok(spawned.await.map_err(|_| TtyError::ShuttingDown)??.claim())
    }

    fn find(&self, id: &str) -> Result<Arc<Terminal>, TtyError> {
        let terminal = self.shared.table().get(id).cloned();
        terminal.ok_or_else(|| TtyError::NotThere(id.chars().take(40).collect()))
    }
}
