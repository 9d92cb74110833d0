//! The task that a terminal's life is: it alone has the process, so whatever happens to those who use the terminal, the
//! process is started, recorded, reaped and revoked in this order.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use alknet_core::OwnershipRecord;
use tokio::select;
use tokio::sync::oneshot;
use tokio::task::consume_budget;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use crate::audit::{Actor, SPAWN, audit};
use crate::output::{CHUNK, Output};
use crate::process::Process;
use crate::pty::{Keyboard, Screen};
use crate::request::Program;
use crate::slots::Slot;
use crate::terminal::{Life, Terminal};
use crate::terminals::Shared;
use crate::{Attachment, ExitStatus, KIND, TerminalInfo, TtyError, id};

/// How long the store may take to record a terminal.
const RECORD_LIMIT: Duration = Duration::from_secs(10);

/// The kernel holds less than this of what a program has written. What escaped the terminal's session may go on writing,
/// so there is a limit.
const MAX_DRAIN: usize = 64 * 1024;

/// A terminal that is to be.
pub(crate) struct Birth {
    pub(crate) program: Program,
    pub(crate) owner: Arc<str>,
    pub(crate) claim: Option<Arc<str>>,
    pub(crate) slot: Slot,
    pub(crate) scrollback: usize,
    /// Whether the spawner is attached from the first byte on.
    pub(crate) attach: bool,
}

/// A terminal on the way to its spawner. If it does not arrive, nobody knows of the terminal, so it ends.
pub(crate) struct Spawned {
    info: TerminalInfo,
    attachment: Option<Attachment>,
    unclaimed: DropGuard,
}

impl Spawned {
    fn of(terminal: &Terminal, attach: bool) -> Self {
        let attachment = attach.then(|| terminal.output.attach_first(&terminal.id));
        Self { info: terminal.info(), attachment, unclaimed: terminal.life.kill.clone().drop_guard() }
    }

    pub(crate) fn claim(self) -> (TerminalInfo, Option<Attachment>) {
        self.unclaimed.disarm();
        (self.info, self.attachment)
    }
}

/// Lives a terminal's life.
pub(crate) async fn live(shared: Arc<Shared>, birth: Birth, spawner: oneshot::Sender<Result<Spawned, TtyError>>) {
    if spawner.is_closed() {
        return;
    }
    match begin(&shared, birth).await {
        Ok(Begun { terminal, mut process, screen, spawned }) => {
            // If the spawner is gone, this drops the terminal's guard, and the terminal ends.
            let _ = spawner.send(Ok(spawned));
            run(&terminal, &mut process, screen).await;
            end(&shared, terminal, process).await;
        }
        Err(error) => drop(spawner.send(Err(error))),
    }
}

struct Begun {
    terminal: Arc<Terminal>,
    process: Process,
    screen: Screen,
    spawned: Spawned,
}

async fn begin(shared: &Shared, birth: Birth) -> Result<Begun, TtyError> {
    if shared.closing.is_cancelled() {
        return Err(TtyError::ShuttingDown);
    }
    let id = id::generate().map_err(|_| TtyError::NoRandomness)?;
    let (mut process, keyboard, screen, program) = start(birth.program).await?;
    let record = OwnershipRecord::new(KIND, id.clone(), birth.owner.clone()).with_claim(birth.claim.clone());
    if let Err(error) = keep_record(shared, record).await {
        process.kill().await;
        process.session.sweep().await;
        // Nobody has heard of it.
        let _ = process.reap().await;
        return Err(error);
    }
    let terminal = Arc::new(Terminal {
        id,
        command: program.command,
        pid: process.pid(),
        owner: birth.owner,
        claim: birth.claim,
        spawned: SystemTime::now(),
        size: Mutex::new((program.rows, program.cols)),
        keyboard,
        session: process.session,
        output: Arc::new(Output::new(birth.scrollback, birth.slot)),
        life: Life::within(&shared.closing),
    });
    let spawned = Spawned::of(&terminal, birth.attach);
    shared.table().insert(terminal.id.clone(), terminal.clone());
    shared.births.send_modify(|births| *births += 1);
    let Terminal { id, owner, claim, command, pid, .. } = &*terminal;
    audit!(SPAWN, &**id, Actor::new(owner, claim.as_deref()), command, pid = *pid; "terminal spawned");
    Ok(Begun { terminal, process, screen, spawned })
}

async fn start(program: Program) -> Result<(Process, Keyboard, Screen, Program), TtyError> {
    let started = tokio::task::spawn_blocking(move || (Process::start(&program), program)).await;
    match started {
        Ok((Ok((process, keyboard, screen)), program)) => Ok((process, keyboard, screen, program)),
        Ok((Err(source), program)) => Err(TtyError::SpawnFailed { command: program.command, source }),
        // The runtime is going down.
        Err(_) => Err(TtyError::ShuttingDown),
    }
}

async fn keep_record(shared: &Shared, record: OwnershipRecord) -> Result<(), TtyError> {
    let id = record.id.clone();
    match timeout(RECORD_LIMIT, shared.store.record(record)).await {
        Ok(recorded) => Ok(recorded?),
        Err(_) => {
            // It may have been recorded all the same.
            let _ = timeout(RECORD_LIMIT, shared.store.revoke(KIND, &id)).await;
            Err(TtyError::StoreTimedOut)
        }
    }
}

/// From the first output to the last. Returns when no process of the terminal is alive; the program is not reaped yet.
async fn run(terminal: &Terminal, process: &mut Process, mut screen: Screen) {
    let dying = async {
        select! {
            () = process.ended() => {}
            () = terminal.life.kill.cancelled() => process.kill().await,
        }
        process.session.sweep().await;
    };
    select! {
        never = read(&mut screen, &terminal.output) => match never {},
        () = dying => {}
    }
    drain(&screen, &terminal.output);
}

/// Reads as fast as there is room.
async fn read(screen: &mut Screen, output: &Output) -> Infallible {
    let mut buffer = vec![0; CHUNK];
    loop {
        output.has_room().await;
        match screen.read(&mut buffer, || output.room()).await {
            Ok(read) => output.push(buffer.get(..read).unwrap_or_default()),
            Err(error) => {
                // The end of the program decides, not that of its terminal.
                tracing::warn!(%error, "a terminal cannot be read");
                std::future::pending::<()>().await;
            }
        }
        // A program that never stops writing must not keep its thread from other tasks.
        consume_budget().await;
    }
}

/// Takes what is still on its way. Nobody is waited for: an attachment finds it in the ring.
fn drain(screen: &Screen, output: &Output) {
    output.extend(MAX_DRAIN);
    let mut buffer = vec![0; CHUNK];
    let mut drained = 0;
    while drained < MAX_DRAIN {
        match screen.read_now(&mut buffer) {
            Ok(read) if read > 0 => {
                drained += read;
                output.push(buffer.get(..read).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
}

/// Takes the terminal away: from those who look for it, then from those who are attached, then from its owner.
async fn end(shared: &Shared, terminal: Arc<Terminal>, process: Process) {
    let status = process.reap().await.unwrap_or_else(|error| {
        tracing::error!(terminal = &*terminal.id, %error, "how a program ended is not known");
        ExitStatus::Code(-1)
    });
    shared.table().remove(&terminal.id);
    terminal.life.over.cancel();
    terminal.output.finish(status);
    let (id, life) = (terminal.id.clone(), terminal.life.clone());
    let Terminal { owner, claim, command, pid, .. } = &*terminal;
    let forwarded_for = claim.as_deref();
    tracing::info!(terminal = &*id, peer = &**owner, forwarded_for, command, pid, exit = %status, "terminal exited");
    // Closes the pseudo-terminal.
    drop(terminal);
    // Without a limit: a record of what is no more is worse than a task that waits.
    shared.store.revoke(KIND, &id).await;
    life.gone.cancel();
}
