use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use alknet_core::{MemoryOwnership, OwnershipEvent, OwnershipStore, OwnershipWatch};
use alknet_tty::{
    AttachEvent, AttachOptions, Attachment, ExitStatus, SpawnRequest, TerminalInfo, Terminals, TtyConfig, TtyError,
};

/// What a shell shows when it waits for a line.
pub(crate) const PROMPT: &str = "prompt> ";

pub(crate) fn config() -> TtyConfig {
    let mut config = TtyConfig { commands: vec!["/bin/sh".into(), "/bin/bash".into()], ..TtyConfig::default() };
    config.environment.push("PS1".into());
    config
}

/// A manager and its store.
pub(crate) struct Host {
    pub(crate) terminals: Terminals,
    pub(crate) store: Arc<MemoryOwnership>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: TtyConfig) -> Self {
        let store = Arc::new(MemoryOwnership::default());
        Self { terminals: Terminals::new(config, store.clone()), store }
    }

    /// A script of `sh`, and an attachment to it from its first byte on.
    pub(crate) async fn sh(&self, script: &str) -> (TerminalInfo, Screen) {
        let (info, attachment) = within(self.terminals.spawn_attached(script_of(script))).await.unwrap();
        (info, Screen::of(attachment))
    }

    /// An interactive shell that reads no start-up files.
    pub(crate) async fn shell(&self) -> (TerminalInfo, Screen) {
        let args = ["--norc", "--noprofile", "-i"].map(Into::into).into();
        let env = BTreeMap::from([("PS1".into(), PROMPT.into())]);
        let request = SpawnRequest { command: Some("/bin/bash".into()), args, env, ..SpawnRequest::of("alice") };
        let (info, attachment) = within(self.terminals.spawn_attached(request)).await.unwrap();
        let mut screen = Screen::of(attachment);
        screen.until(PROMPT).await;
        (info, screen)
    }

    pub(crate) async fn write(&self, id: &str, text: &str) {
        within(self.terminals.write(id, text.as_bytes())).await.unwrap();
    }

    pub(crate) fn attach(&self, id: &str, options: AttachOptions) -> Screen {
        Screen::of(self.terminals.attach(id, options).unwrap())
    }

    /// Waits until the record of a terminal is revoked.
    pub(crate) async fn revoked(&self, id: &str) {
        let mut watch = self.store.watch(None);
        if watch.snapshot.iter().any(|record| *record.id == *id) {
            while !matches!(next_event(&mut watch).await, OwnershipEvent::Revoked(record) if *record.id == *id) {}
        }
    }
}

pub(crate) async fn next_event(watch: &mut OwnershipWatch) -> OwnershipEvent {
    within(watch.next()).await.unwrap()
}

pub(crate) fn script_of(script: &str) -> SpawnRequest {
    SpawnRequest { args: vec!["-c".into(), script.into()], ..SpawnRequest::of("alice") }
}

/// What somebody who is attached has seen.
pub(crate) struct Screen {
    pub(crate) attachment: Attachment,
    pub(crate) seen: Vec<u8>,
    pub(crate) skipped: u64,
    pub(crate) exit: Option<ExitStatus>,
}

impl Screen {
    pub(crate) fn of(attachment: Attachment) -> Self {
        Self { attachment, seen: Vec::new(), skipped: 0, exit: None }
    }

    /// Takes one event; false at the end.
    pub(crate) async fn step(&mut self) -> bool {
        match within(self.attachment.next()).await {
            Some(AttachEvent::Output { bytes, .. }) => self.seen.extend(bytes),
            Some(AttachEvent::Skipped { bytes }) => self.skipped += bytes,
            Some(AttachEvent::Exit(status)) => self.exit = Some(status),
            Some(other) => panic!("{other:?}"),
            None => return false,
        }
        true
    }

    /// Reads until `text` has been seen, and forgets what was seen up to its end.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.seen.windows(text.len()).position(|window| window == text.as_bytes()) {
                return String::from_utf8_lossy(&self.seen.drain(..at + text.len()).collect::<Vec<_>>()).into_owned();
            }
            assert!(self.step().await, "the terminal has ended without {text:?}: {}", self.text());
        }
    }

    /// Reads to the end.
    pub(crate) async fn end(mut self) -> (String, ExitStatus) {
        while self.step().await {}
        (self.text(), self.exit.expect("an exit before the end"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

/// A wait with a limit that only a hang reaches.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this hangs")
}

/// Waits for a condition that nobody announces.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never comes that {what}");
}

pub(crate) fn is_not_there<T>(result: Result<T, TtyError>) -> bool {
    matches!(result, Err(TtyError::NotThere(_)))
}

/// The processes that are alive in a session: their ids and the first words of their command lines.
pub(crate) fn session(leader: u32) -> Vec<(u32, String)> {
    processes().filter(|process| process.session == leader).map(|process| (process.pid, process.command)).collect()
}

/// A process, as it is found in `/proc`.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) state: String,
    pub(crate) session: u32,
    pub(crate) command: String,
}

/// All that are alive.
pub(crate) fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let pids = entries.filter_map(|name| name.to_str()?.parse::<u32>().ok());
    pids.filter_map(process).filter(|process| !matches!(&*process.state, "Z" | "X"))
}

pub(crate) fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.replace('\0', " ");
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    Some(Process { pid, state: fields[0].into(), session: fields[3].parse().ok()?, command })
}
