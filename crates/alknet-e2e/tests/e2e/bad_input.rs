//! What a node makes of bad input, as a process: a clear answer, and it goes on serving.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use anyhow::ensure;

use crate::Test;
use crate::node::{Node, PATIENCE, free_port};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("ten_thousand_connections_from_one_address", &[], ten_thousand),
        Test::new("frames_that_are_too_long_or_broken", &[], frames),
        Test::new("a_vault_that_does_not_open", &[], vault),
        Test::new("a_port_in_use", &[], port_in_use),
        Test::new("a_state_folder_that_cannot_be_written", &[], read_only),
    ]
}

fn ten_thousand() -> anyhow::Result<()> {
    let node =
        Node::start_with("[endpoint.limits]\nmax_connections_per_address = 64\nhandshake_timeout_seconds = 300")?;
    let mut held = Vec::new();
    for _ in 0..10_000 {
        let mut stream = TcpStream::connect(("127.0.0.1", node.port))?;
        if held.len() < 64 {
            held.push(stream);
        } else {
            // Closed at once: a reset if anything was under way, else an orderly end.
            stream.set_read_timeout(Some(PATIENCE))?;
            let end = stream.read(&mut [0; 1]);
            ensure!(
                end.as_ref().is_ok_and(|n| *n == 0) || end.is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock)
            );
        }
    }
    // The same node, by its other address.
    let name = node.name_at("[::1]");
    for transport in ["quic", "tcp"] {
        ensure!(node.run_ok(&["status", &name, "--transport", transport])?.contains("you are      self"));
    }
    drop(held);
    crate::node::until("the address has its places back", || node.still_serves().is_ok())
}

fn frames() -> anyhow::Result<()> {
    let node = Node::start()?;
    let name = node.name_at("127.0.0.1");
    for transport in ["quic", "tcp"] {
        let answer = |bytes: &[u8]| -> anyhow::Result<String> {
            let mut command = node.command(&["connect", &name, "alknet/call", "--transport", transport]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            child.stdin.take().expect("it is piped").write_all(bytes)?;
            Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned())
        };
        // 16 MiB and one byte.
        let long = answer(&[1, 0, 0, 1])?;
        ensure!(long.contains("call.error") && long.contains("16777217"), "{transport}: {long}");
        let broken = answer(b"\0\0\0\x08{broken}\0\0\0\x02{}")?;
        ensure!(broken.matches("INVALID_INPUT").count() == 2, "{transport}: {broken}");
        let half = answer(&[0, 0, 0, 50, b'{'])?;
        ensure!(!half.contains("responded"), "{transport}: {half}");
    }
    node.still_serves()
}

fn vault() -> anyhow::Result<()> {
    let mut node = Node::make(&[], &free_port()?.to_string())?;
    let find = |name: &str| -> anyhow::Result<std::path::PathBuf> {
        let found = [node.folder.path().join(name), node.folder.path().join("state").join(name)];
        found.into_iter().find(|path| path.exists()).ok_or_else(|| anyhow::anyhow!("there is no {name}"))
    };
    let (sealed, passphrase) = (find("vault.json")?, find("passphrase")?);
    let (good_vault, good_passphrase) = (std::fs::read(&sealed)?, std::fs::read(&passphrase)?);

    std::fs::write(&passphrase, "wrong\n")?;
    let error = node.run_err(&["serve"])?;
    ensure!(error.contains("passphrase is wrong"), "{error}");
    std::fs::write(&passphrase, &good_passphrase)?;

    let mut flipped = good_vault.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(&sealed, flipped)?;
    let error = node.run_err(&["serve"])?;
    ensure!(error.contains("vault.json") && !error.contains("passphrase is wrong"), "{error}");
    std::fs::write(&sealed, good_vault)?;
    node.serve()?;
    node.still_serves()
}

fn port_in_use() -> anyhow::Result<()> {
    let node = Node::start()?;
    let second = Node::make(&[], &node.port.to_string())?;
    let error = second.run_err(&["serve"])?;
    ensure!(error.contains("cannot listen on") && error.contains(&node.port.to_string()), "{error}");
    node.still_serves()
}

fn read_only() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way")?;
    // Modes do not stop root; a file where a folder should be stops everybody.
    let output =
        std::process::Command::new(crate::node::ALKNET).args(["init", "--dir"]).arg(file.join("node")).output()?;
    let text = crate::node::text(&output);
    ensure!(!output.status.success() && text.contains(file.to_str().expect("text")), "{text}");
    ensure!(std::fs::read_to_string(&file)? == "in the way");
    Ok(())
}
