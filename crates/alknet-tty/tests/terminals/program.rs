//! What a program finds around it.

use std::collections::BTreeMap;
use std::fs;

use alknet_tty::{ExitStatus, SpawnRequest, TtyConfig};

use crate::common::{Host, Screen, config, within};

#[tokio::test]
async fn the_environment_is_not_the_nodes() {
    let host = Host::with(TtyConfig { commands: vec!["/usr/bin/env".into()], ..config() });
    let env = BTreeMap::from([("LANG".into(), "de_DE.UTF-8".into()), ("TERM".into(), "vt100".into())]);
    let request = SpawnRequest { env, ..SpawnRequest::of("alice") };
    let (_, attachment) = host.terminals.spawn_attached(request).await.unwrap();
    let (text, _) = Screen::of(attachment).end().await;
    let seen: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let names: Vec<&str> = seen.keys().copied().collect();
    assert!(seen.contains_key("USER"), "this test needs an account in /etc/passwd: {text}");
    assert_eq!(names, ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "USER"]);
    assert_eq!((seen["LANG"], seen["TERM"], seen["PATH"]), ("de_DE.UTF-8", "vt100", &*config().path));
}

#[tokio::test]
async fn a_program_has_no_descriptor_but_its_terminals() {
    let host = Host::new();
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(host.sh("exec cat").await);
    }
    // As somebody may have left one open who started the node.
    let left_open = fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&left_open, rustix::io::FdFlags::empty()).unwrap();
    let (_, screen) = host.sh("tty; exec ls -l /proc/self/fd").await;
    let (text, _) = screen.end().await;
    let own = text.lines().next().unwrap();
    assert!(own.starts_with("/dev/pts/"), "{text}");
    let mut open: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
    // That is how `ls` reads the list.
    assert!(open.pop().unwrap().starts_with("/proc/"), "{text}");
    assert_eq!(open, [own; 3], "{text}");
}

#[tokio::test]
async fn a_program_leads_a_session_with_its_terminal_in_the_folder_of_the_configuration() {
    let host = Host::with(TtyConfig { working_directory: "/proc".into(), ..config() });
    let (info, screen) = host.sh("pwd; ps -o pid=,sid=,pgid=,tpgid= $$; tty </dev/tty").await;
    let (text, exit) = screen.end().await;
    let words: Vec<&str> = text.split_whitespace().collect();
    let pid = info.pid.to_string();
    assert_eq!(words[..4], ["/proc", &*pid, &*pid, &*pid], "{text}");
    assert_eq!((words[5], exit), ("/dev/tty", ExitStatus::Code(0)));
}

#[tokio::test]
async fn a_program_that_does_not_start_says_why() {
    let gone = Host::with(TtyConfig { commands: vec!["/bin/no-such-program".into()], ..config() });
    let error = within(gone.terminals.spawn(SpawnRequest::of("alice"))).await.unwrap_err().to_string();
    assert!(error.starts_with(r#""/bin/no-such-program" cannot be started: No such file"#), "{error}");
    let nowhere = Host::with(TtyConfig { working_directory: "/no/such/folder".into(), ..config() });
    let error = within(nowhere.terminals.spawn(SpawnRequest::of("alice"))).await.unwrap_err().to_string();
    assert!(error.contains(r#"its working directory "/no/such/folder": No such file"#), "{error}");
    assert!(gone.terminals.list().is_empty() && nowhere.terminals.list().is_empty());
}
