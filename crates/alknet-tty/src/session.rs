//! All that a terminal's program has started, as far as it stayed in the terminal's session.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// How long programs have to go after a hang-up, before they are killed.
pub(crate) const HANGUP_GRACE: Duration = Duration::from_secs(1);

/// How long killed processes may take to be gone, before they are given up.
const KILL_LIMIT: Duration = Duration::from_secs(5);

const HANG_UP: &[Signal] = &[Signal::HUP, Signal::CONT];
const KILL: &[Signal] = &[Signal::KILL];

/// How often nobody may be seen, and yet somebody might be there, until nobody is taken to be there.
const MAX_BLANKS: u32 = 4;

/// The session that a program leads (credentials(7)). A process leaves it only by a session of its own, as daemons do; one
/// that does has left the terminal, too, and is let go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session(Pid);

impl Session {
    pub(crate) fn of(leader: Pid) -> Self {
        Self(leader)
    }

    pub(crate) fn leader(self) -> Pid {
        self.0
    }

    /// What a terminal that goes away sends: SIGHUP, and SIGCONT so that stopped processes get it.
    pub(crate) async fn hang_up(self) {
        self.signal(HANG_UP).await;
    }

    /// Kills every process.
    pub(crate) async fn kill(self) {
        self.signal(KILL).await;
    }

    /// Sends a signal to the processes of one group. Gives how many there were.
    pub(crate) async fn signal_group(self, group: Pid, signal: Signal) -> usize {
        let send = move || {
            let members = pids().filter_map(Status::read).filter(|status| self.has(status) && status.group == group);
            members.filter(|member| member.is_alive && self.signal_one(member.pid, &[signal])).count()
        };
        // It fails only while the runtime shuts down.
        spawn_blocking(send).await.unwrap_or_default()
    }

    /// Ends everything: hangs up, and kills what has not gone then. The leader has ended, and is not reaped.
    pub(crate) async fn sweep(self) {
        let begin = Instant::now();
        let (mut signals, mut pause, mut blanks) = (HANG_UP, Duration::from_millis(2), 0);
        loop {
            let seen = self.signal(signals).await;
            blanks = if seen.alive == 0 { blanks + 1 } else { 0 };
            if blanks > 0 && (!seen.is_unsure || blanks > MAX_BLANKS) {
                return;
            }
            if begin.elapsed() > HANGUP_GRACE + KILL_LIMIT {
                tracing::warn!(session = self.0.as_raw_pid(), "processes of an ended terminal cannot be killed");
                return;
            }
            // Whoever there may be was not seen in time to be asked.
            signals = if blanks > 0 || begin.elapsed() > HANGUP_GRACE { KILL } else { &[] };
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    async fn signal(self, signals: &'static [Signal]) -> Seen {
        spawn_blocking(move || self.signal_now(signals)).await.unwrap_or_default()
    }

    /// Sends `signals` to everything in the session. The list of processes is never quite that of one moment, so what is
    /// killed is killed by groups, too: no process of a group gets away by starting another.
    fn signal_now(self, signals: &[Signal]) -> Seen {
        let (mut seen, mut groups) = (Seen::default(), BTreeSet::from([self.0.as_raw_pid()]));
        for pid in pids() {
            match Status::read(pid) {
                None => seen.is_unsure = true,
                Some(status) if !self.has(&status) => {}
                Some(status) => {
                    groups.insert(status.group.as_raw_pid());
                    match status.is_alive && self.signal_one(pid, signals) {
                        true => seen.alive += 1,
                        false => seen.is_unsure |= pid != self.0,
                    }
                }
            }
        }
        if signals == KILL {
            for group in groups.into_iter().filter_map(Pid::from_raw) {
                // There may be nobody left in it.
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        seen
    }

    /// The process is looked at a second time when its number is pinned, so that a stranger is never hit.
    fn signal_one(self, pid: Pid, signals: &[Signal]) -> bool {
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        if !Status::read(pid).is_some_and(|status| self.has(&status) && status.is_alive) {
            return false;
        }
        for signal in signals {
            if let Err(error) = pidfd_send_signal(&pidfd, *signal) {
                tracing::debug!(pid = pid.as_raw_pid(), %error, "a process of a terminal got no signal");
            }
        }
        true
    }

    fn has(self, status: &Status) -> bool {
        status.session == self.0.as_raw_pid()
    }
}

/// What a look at all processes has shown of a session.
#[derive(Debug, Default)]
struct Seen {
    /// How many processes of it are alive.
    alive: usize,
    /// Whether a process was listed that had ended when it was looked at: it may have started another by then, which is
    /// not in the list.
    is_unsure: bool,
}

fn pids() -> impl Iterator<Item = Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
}

/// What the system tells of a process (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Status {
    pid: Pid,
    group: Pid,
    session: i32,
    /// Whether any thread of it still runs.
    is_alive: bool,
}

impl Status {
    fn read(pid: Pid) -> Option<Self> {
        let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&stat))
    }

    fn parse(pid: Pid, stat: &str) -> Option<Self> {
        // The name of the program stands in parentheses and may have any character in it, even these.
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<i32>().ok();
        // The first thread may end before the others do: then the process looks dead and is not.
        let is_dead = matches!(fields.first(), Some(&("Z" | "X")));
        let is_alive = !is_dead || number(17)? > 1;
        Some(Self { pid, group: Pid::from_raw(number(2)?)?, session: number(3)?, is_alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "34816 1 4194304 100 0 0 0 0 0 0 0 20 0";

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_confuse() {
        let pid = Pid::from_raw(12).unwrap();
        let status = Status::parse(pid, &format!("12 (a) Z 1 2) b) S 7 11 10 {REST} 1 0 99")).unwrap();
        assert_eq!(status, Status { pid, group: Pid::from_raw(11).unwrap(), session: 10, is_alive: true });
    }

    #[test]
    fn a_process_is_dead_when_all_its_threads_are() {
        let pid = Pid::from_raw(12).unwrap();
        let is_alive = |rest: &str| Status::parse(pid, &format!("12 (x) {rest}")).unwrap().is_alive;
        assert!(!is_alive(&format!("Z 7 11 10 {REST} 1 0 99")));
        assert!(is_alive(&format!("Z 7 11 10 {REST} 3 0 99")));
        assert!(Status::parse(pid, "12 (x) S 7").is_none());
    }
}
