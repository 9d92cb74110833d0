//! The program of a terminal, from its start to its burial.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pty_process::{Command, Pts};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::pty::{self, Keyboard, Screen, into_io};
use crate::request::Program;
use crate::session::{HANGUP_GRACE, Session};
use crate::{ExitStatus, environment};

/// Held while a pseudo-terminal is opened and while a program is started: for a moment a new master is without the mark
/// that closes it in programs, and a program that is started right then would have another's terminal open.
static STARTS: Mutex<()> = Mutex::new(());

/// A running program. Dropping it kills the program itself, but leaves what that has started.
pub(crate) struct Process {
    pub(crate) session: Session,
    child: Child,
    /// Some child of the node has changed its state.
    changes: Signal,
    _pts: Pts,
}

impl Process {
    /// Starts `program` on a new pseudo-terminal. Blocks until the system has loaded it.
    pub(crate) fn start(program: &Program) -> io::Result<(Self, Keyboard, Screen)> {
        check_folder(&program.working_directory)?;
        let env = environment::of(program);
        let changes = signal(SignalKind::child())?;
        let guard = STARTS.lock().unwrap_or_else(PoisonError::into_inner);
        let (keyboard, screen, pts) = pty::open(program.rows, program.cols)?;
        // What the node was started with may be without that mark, too. Nothing of it is for a program.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let child = Command::new(&program.command)
            .args(&program.args)
            .env_clear()
            .envs(env)
            .current_dir(&program.working_directory)
            .kill_on_drop(true)
            .spawn_borrowed(&pts)
            .map_err(into_io)?;
        drop(guard);
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
        let pid = pid.ok_or_else(|| io::Error::other("the program has no process id"))?;
        Ok((Self { session: Session::of(pid), child, changes, _pts: pts }, keyboard, screen))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.session.leader().as_raw_pid().unsigned_abs()
    }

    /// Waits until the program has ended, and leaves it to be reaped: only when its session is swept, so that no number of
    /// a process or a session is somebody else's meanwhile. May be called again.
    pub(crate) async fn ended(&mut self) {
        while !self.has_ended() {
            if self.changes.recv().await.is_none() {
                // The runtime is going down, and takes this task with it.
                std::future::pending::<()>().await;
            }
        }
    }

    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(waitid(WaitId::Pid(self.session.leader()), options), Ok(None) | Err(rustix::io::Errno::INTR))
    }

    /// Hangs up on everything in the session, and kills what does not go. Returns when the program has ended.
    pub(crate) async fn kill(&mut self) {
        self.session.hang_up().await;
        if timeout(HANGUP_GRACE, self.ended()).await.is_err() {
            self.session.kill().await;
            self.ended().await;
        }
    }

    /// Reaps the program, which has ended. From here on its numbers may be somebody else's.
    pub(crate) async fn reap(mut self) -> io::Result<ExitStatus> {
        // It has ended, so this takes no time; the limit is for a kernel that is wrong about it.
        let status = timeout(Duration::from_secs(10), self.child.wait()).await;
        status.map_err(io::Error::from)?.map(ExitStatus::of)
    }
}

/// The system's own message would not tell whether it is the folder or the program that is not there.
fn check_folder(folder: &Path) -> io::Result<()> {
    match folder.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::NotADirectory, format!("its working directory {folder:?} is a file")))
        }
        Err(error) => Err(io::Error::new(error.kind(), format!("its working directory {folder:?}: {error}"))),
    }
}
