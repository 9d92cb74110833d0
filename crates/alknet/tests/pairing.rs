//! Nodes that let each other in, run as their operators run them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "the helpers of tests are tests, too")]

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Long enough for any machine: what a test waits for either happens or is broken.
const PATIENCE: Duration = Duration::from_secs(60);

const REFUSAL: &str = "this invitation is not good";

/// A node, with a folder and a port of its own. Dropping it ends it.
struct Node {
    folder: TempDir,
    process: Option<Child>,
}

impl Node {
    /// A node that does not run. `more` stands in its configuration.
    fn new(name: &str, more: &str) -> Self {
        let node = Self { folder: tempfile::tempdir().unwrap(), process: None };
        let folder = node.folder.path().to_str().unwrap();
        let output = node.command(&["init", "--dir", folder, "--name", name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(node.config()).unwrap();
        let changed = text.replace("\"[::]:4433\"", &format!("\"127.0.0.1:{}\"", free_port()));
        assert_ne!(text, changed);
        fs::write(node.config(), changed + more).unwrap();
        node
    }

    fn running(name: &str) -> Self {
        let mut node = Self::new(name, "");
        node.start();
        node
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("alknet.toml")
    }

    fn state(&self, name: &str) -> PathBuf {
        self.folder.path().join("state").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_alknet"));
        if arguments.first() != Some(&"init") {
            command.arg("--config").arg(self.config());
        }
        command.args(arguments).env_clear().env("HOME", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it, and waits until it says READY=1, as systemd would.
    fn start(&mut self) {
        let socket = self.folder.path().join("notify");
        let _ = fs::remove_file(&socket);
        let supervisor = UnixDatagram::bind(&socket).unwrap();
        supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command(&["serve"]);
        self.process = Some(command.env("NOTIFY_SOCKET", &socket).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let mut message = [0; 4096];
        loop {
            let length = supervisor.recv(&mut message).unwrap_or_else(|_| panic!("not ready:\n{}", self.log()));
            if message[..length].starts_with(b"READY=1") {
                return;
            }
        }
    }

    /// As a power cut does.
    fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        // A command that has failed already reads nothing; what it says is what counts.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs a command that is to succeed. Gives all that it has said.
    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        assert!(output.status.success(), "{arguments:?}: {}\n{}", said(&output), self.log());
        said(&output)
    }

    /// Runs a command that is to fail with `code`. Gives what it has said.
    #[track_caller]
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat(), "");
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn invite(&self, arguments: &[&str]) -> String {
        let answer = self.json(&[&["invite"], arguments].concat());
        answer["link"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// The ids of its peers, and where they come from.
    fn peers(&self) -> Vec<(String, String)> {
        let text = |peer: &Value, key: &str| peer[key].as_str().unwrap().to_owned();
        let peers = self.json(&["peer", "list"]);
        peers.as_array().unwrap().iter().map(|peer| (text(peer, "id"), text(peer, "source"))).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn said(output: &Output) -> String {
    [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)].concat()
}

fn joined(id: &str) -> (String, String) {
    (id.to_owned(), "joined".to_owned())
}

/// A port that is free on UDP and TCP at this moment.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[track_caller]
fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_nodes_pair_while_they_run_and_part_again() {
    let (hub, worker) = (Node::running("hub"), Node::running("worker"));
    let link = hub.invite(&["worker", "--scope", "tty:use", "--resource", "repo=site"]);
    let answer = worker.json(&["join", &link, "--scope", "node:admin"]);
    assert_eq!(answer["there"], json!({ "id": "worker", "scopes": ["tty:use"] }));
    assert_eq!((&answer["here"]["id"], &answer["here"]["in_force"]), (&"hub".into(), &true.into()));
    assert_eq!((hub.peers(), worker.peers()), (vec![joined("worker")], vec![joined("hub")]));
    let entry = &hub.json(&["peer", "list"])[0];
    assert_eq!((&entry["scopes"], &entry["resources"]), (&json!(["tty:use"]), &json!({ "repo": ["site"] })));

    assert!(worker.ok(&["status", "hub"]).contains("you are      worker"));
    // The worker stays connected, so the hub sees it as one of its peers.
    let listed = || hub.json(&["call", &itself(&hub), "/services/list-peers"])["peers"][0]["connected"] == true;
    until("the worker connects", listed);

    assert!(hub.ok(&["peer", "remove", "worker"]).contains("the running node has removed \"worker\""));
    until("the worker's connection ends", || worker.log().contains("access revoked"));
    assert!(worker.fails(1, &["status", "hub"]).contains("UNAUTHENTICATED"));
    assert!(worker.fails(1, &["join", &link]).contains(REFUSAL));
    assert!(hub.peers().is_empty());

    // Invited again, it is there again: it needs neither a restart nor another connection.
    worker.ok(&["join", &hub.invite(&["worker"])]);
    until("the worker is back", listed);
    assert!(hub.fails(1, &["peer", "remove", "bob"]).contains("there is no peer \"bob\""));
}

/// A node by its own address, as it can be dialed with its own key.
fn itself(node: &Node) -> String {
    node.json(&["id"])["node"][0].as_str().unwrap().to_owned()
}

#[test]
fn of_two_who_show_one_link_at_once_one_comes_in() {
    let hub = Node::running("hub");
    let guests = [Node::new("one", ""), Node::new("two", "")];
    for round in 0..3 {
        let link = hub.invite(&[&format!("guest-{round}")]);
        let start = |guest: &Node| guest.command(&["join", &link, "--json"]).spawn().unwrap();
        let racers = [start(&guests[0]), start(&guests[1])].map(|racer| racer.wait_with_output().unwrap());
        let won: Vec<bool> = racers.iter().map(|output| output.status.success()).collect();
        assert!(won[0] != won[1], "{}{}", said(&racers[0]), said(&racers[1]));
        let lost = said(&racers[usize::from(won[0])]);
        assert!(lost.contains(REFUSAL) || lost.contains("here already"), "{lost}");
        hub.ok(&["peer", "remove", &format!("guest-{round}")]);
    }
}

#[test]
fn a_node_that_does_not_run_joins_and_what_was_answered_survives_a_kill() {
    let (mut hub, mut laptop) = (Node::running("hub"), Node::new("laptop", ""));
    let link = hub.invite(&["laptop"]);
    let output = laptop.run(&["join", "-", "--as", "home"], &format!("{link}\n"));
    assert!(output.status.success(), "{}", said(&output));
    hub.kill();
    assert!(said(&output).contains("the next start applies it"), "{}", said(&output));
    assert!(said(&output).contains("may call nothing here that needs a scope"), "{}", said(&output));
    hub.start();
    assert!(laptop.ok(&["status", "home"]).contains("you are      laptop"));
    laptop.start();
    until("the laptop connects", || laptop.log().contains("connected"));

    // An answer that was lost: the link is used up, and it is this node that has used it.
    let again = laptop.ok(&["join", &link, "--scope", "tty:use"]);
    assert!(again.contains("used up before") && again.contains("\"home\" may use tty:use here"), "{again}");
    assert!(laptop.fails(1, &["join", &link, "--as", "other"]).contains("this key is the peer \"home\" here already"));
    assert_eq!(laptop.peers(), [joined("home")]);

    laptop.kill();
    assert!(laptop.ok(&["peer", "remove", "home"]).contains("removed \"home\" from "));
    assert!(laptop.peers().is_empty());
}

#[test]
fn invitations_are_listed_replaced_revoked_and_expire() {
    let (hub, guest) = (Node::running("hub"), Node::new("guest", ""));
    assert!(hub.ok(&["invite", "--list"]).contains("no invitation is open"));
    let (first, second) = (hub.invite(&["guest"]), hub.invite(&["guest", "--scope", "tty:use"]));
    let list = hub.json(&["invite", "--list"]);
    assert_eq!((list.as_array().unwrap().len(), &list[0]["scopes"]), (1, &json!(["tty:use"])));
    let table = hub.ok(&["invite", "--list"]);
    assert!(table.contains("guest  in ") && table.contains("tty:use"), "{table}");
    assert!(guest.fails(1, &["join", &first]).contains(REFUSAL));
    hub.ok(&["invite", "--revoke", "guest"]);
    assert!(guest.fails(1, &["join", &second]).contains(REFUSAL));
    assert!(hub.fails(1, &["invite", "--revoke", "guest"]).contains("no open invitation for \"guest\""));

    let short = hub.invite(&["guest", "--expires", "1s"]);
    until("the invitation expires", || hub.json(&["invite", "--list"]) == json!([]));
    assert!(guest.fails(1, &["join", &short]).contains(REFUSAL));
    assert_eq!(guest.peers(), []);
    for wrong in [&["invite"][..], &["invite", "a", "--expires", "31d"], &["invite", "--list", "a"]] {
        hub.fails(2, wrong);
    }
}

#[test]
fn a_link_comes_from_a_file_and_is_printed_as_a_code() {
    let (hub, guest) = (Node::running("hub"), Node::new("guest", ""));
    let output = hub.run(&["invite", "guest", "--qr", "--address", "127.0.0.1:1"], "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() <= 24 && text.contains('▀'), "it fits on a console:\n{text}");
    let link = text.lines().last().unwrap();
    assert!(link.starts_with("alknet://127.0.0.1:1/"), "{link}");
    let address = itself(&hub).split_once('@').unwrap().1.to_owned();
    let file = guest.folder.path().join("link");
    fs::write(&file, link.replace("127.0.0.1:1", &address).to_uppercase() + "\n").unwrap();
    guest.ok(&["join", file.to_str().unwrap()]);
    assert!(hub.ok(&["invite", "guest", "--unless-joined"]).is_empty());
    assert!(hub.json(&["invite", "--list"]) == json!([]));

    assert!(guest.fails(1, &["join", "alknet://x"]).contains("HOST:PORT/KEY/TOKEN"));
    assert!(guest.fails(1, &["join", "none"]).contains("neither a pairing link nor a file"));
    assert!(hub.fails(1, &["join", &hub.invite(&["me"])]).contains("a node cannot join itself"));
}

#[test]
fn the_configuration_wins() {
    let mut guest = Node::new("guest", "");
    let key = guest.json(&["id"])["fingerprint"].as_str().unwrap().to_owned();
    let mut hub = Node::running("hub");
    guest.ok(&["join", &hub.invite(&["guest", "--scope", "node:admin"])]);
    hub.kill();
    let text = fs::read_to_string(hub.config()).unwrap();
    fs::write(hub.config(), format!("{text}\n[[peers]]\nid = \"g\"\nfingerprints = [\"{key}\"]\n")).unwrap();
    hub.start();
    assert!(hub.log().contains("the peer \"guest\", which has joined, does not count"), "{}", hub.log());
    assert!(guest.ok(&["status", "hub"]).contains("you are      g over"));
    let error = guest.fails(1, &["join", &hub.invite(&["other"])]);
    assert!(error.contains("this key is the peer \"g\" here already"), "{error}");
    assert_eq!(hub.json(&["invite", "--list"])[0]["id"], "other", "the link is as good as before");
    assert!(hub.fails(1, &["invite", "g"]).contains("the configuration has a peer \"g\""));
    // What the configuration has no more counts again.
    hub.ok(&["peer", "remove", "g"]);
    assert!(guest.ok(&["status", "hub"]).contains("you are      guest over"));
    guest.start();
}

#[test]
fn a_damaged_file_keeps_the_node_from_starting_and_is_named() {
    let node = Node::new("hub", "");
    for (name, said) in [("peers.toml", "peers.toml:1: "), ("invitations.json", "move the file away")] {
        fs::write(node.state(name), "damaged").unwrap();
        let output = node.run(&["serve"], "");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(name) && text.contains(said), "{text}");
        assert_eq!(output.status.code(), Some(2), "no supervisor is to start it again as it is");
        fs::remove_file(node.state(name)).unwrap();
    }
}

#[test]
fn without_a_node_or_a_configuration_the_next_command_is_named() {
    let node = Node::new("hub", "");
    let error = node.fails(1, &["invite", "guest"]);
    assert!(error.contains("does the node run (\"alknet serve\")"), "{error}");
    let link = format!("alknet://127.0.0.1:1/{}/{}", "a".repeat(52), "a".repeat(26));
    assert!(node.fails(1, &["join", &link, "--timeout", "5"]).contains("127.0.0.1:1 cannot be reached"));
    fs::remove_file(node.config()).unwrap();
    assert!(node.fails(2, &["join", &link]).contains("\"alknet init\" makes a configuration"));
}
