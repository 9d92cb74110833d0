//! Two nodes on two hosts: network namespaces with a wire between them, each node knowing the other by its fingerprint
//! alone.

use std::process::Command;

use anyhow::ensure;

use crate::Test;
use crate::needs::Need;
use crate::node::{Node, client};

pub(crate) fn tests() -> Vec<Test> {
    vec![Test::new("two_nodes_in_two_network_namespaces", &[Need::NetworkNamespaces], two_nodes)]
}

fn two_nodes() -> anyhow::Result<()> {
    let wire = Wire::lay()?;
    let [mut a, mut b] = [wire.node(0)?, wire.node(1)?];
    for (node, other, host) in [(&a, &b, Wire::ADDRESSES[1]), (&b, &a, Wire::ADDRESSES[0])] {
        let address = format!("{host}:{}", other.port);
        let add = ["peer", "add", "other", "--fingerprint", &other.fingerprint, "--address", &address];
        node.run_ok(&add)?;
    }
    a.serve()?;
    b.serve()?;
    for (node, other, host) in [(&a, &b, Wire::ADDRESSES[1]), (&b, &a, Wire::ADDRESSES[0])] {
        for transport in ["quic", "tcp", "auto"] {
            for name in ["other".to_owned(), other.name_at(host)] {
                let transport = ["--transport", transport];
                let info = node.run_ok(&[&["call", &name, "/node/info"][..], &transport].concat())?;
                let info: serde_json::Value = serde_json::from_str(&info)?;
                ensure!(info["fingerprint"] == other.fingerprint.as_str(), "{info}");
                ensure!(info["caller"]["id"] == "other", "{info}");
                ensure!(info["caller"]["fingerprint"] == node.fingerprint.as_str(), "{info}");

                let status = node.run_ok(&[&["status", &name][..], &transport].concat())?;
                ensure!(status.contains("you are      other over"), "{status}");

                let health = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                let connect = node.command(&[&["connect", &name, "http/1.1"][..], &transport].concat());
                let arguments: Vec<_> = connect.get_args().map(|word| word.to_str().expect("text")).collect();
                let (ok, answer) = client(connect.get_program(), &arguments, health)?;
                ensure!(ok && answer.contains("200 OK") && answer.ends_with("ok\n"), "{answer}");
            }
        }
    }
    // A node that nobody knows is told apart, and so is one that claims to be another.
    let impostor = format!("{}@{}:{}", a.fingerprint, Wire::ADDRESSES[1], b.port);
    let error = a.run_err(&["status", &impostor])?;
    ensure!(error.contains("is another node than expected"), "{error}");
    b.stop()?;
    let error = a.run_err(&["status", "other", "--timeout", "2"])?;
    ensure!(error.contains(Wire::ADDRESSES[1]), "{error}");
    a.stop()
}

/// Two namespaces and a pair of virtual interfaces. Dropping it removes them.
struct Wire {
    namespaces: [String; 2],
}

impl Wire {
    const ADDRESSES: [&'static str; 2] = ["10.203.77.1", "10.203.77.2"];

    fn lay() -> anyhow::Result<Self> {
        let process = std::process::id();
        let wire = Self { namespaces: [format!("alknet-e2e-{process}-a"), format!("alknet-e2e-{process}-b")] };
        let interfaces = ["veth-a", "veth-b"];
        for namespace in &wire.namespaces {
            ip(&["netns", "add", namespace])?;
        }
        let [a, b] = &wire.namespaces;
        // Made inside the namespaces, so that nothing of it ever shows on the host.
        ip(&["-n", a, "link", "add", interfaces[0], "type", "veth", "peer", "name", interfaces[1], "netns", b])?;
        for ((namespace, interface), address) in wire.namespaces.iter().zip(interfaces).zip(Self::ADDRESSES) {
            ip(&["-n", namespace, "address", "add", &format!("{address}/24"), "dev", interface])?;
            ip(&["-n", namespace, "link", "set", interface, "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(wire)
    }

    /// A node on one of the hosts. Both can have the same port: they share nothing.
    fn node(&self, host: usize) -> anyhow::Result<Node> {
        Node::make(&["ip", "netns", "exec", &self.namespaces[host]], "4433")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            let _ = ip(&["netns", "delete", namespace]);
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    ensure!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
