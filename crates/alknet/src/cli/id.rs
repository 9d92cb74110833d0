//! `alknet id`.

use alknet_core::Fingerprint;
use serde::Serialize;

use super::Invocation;
use crate::config::Config;
use crate::vault;

#[derive(clap::Args)]
pub(super) struct IdArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct IdOutput {
    name: String,
    fingerprint: String,
    /// What other commands take as NODE.
    node: Vec<String>,
}

pub(super) fn run(args: IdArgs, invocation: &Invocation) -> anyhow::Result<()> {
    let config = invocation.load_config()?;
    let opened = vault::open(&config, &invocation.environment)?;
    opened.warnings.iter().for_each(|warning| invocation.output.warning(warning));
    let fingerprint = vault::node_key(&opened.vault)?.fingerprint();
    let node = nodes(&config, fingerprint);
    if args.json {
        let (name, fingerprint) = (config.node.name.to_string(), fingerprint.to_string());
        return invocation.output.json(&IdOutput { name, fingerprint, node });
    }
    let row = |name: &str, value: String| [name.to_owned(), value];
    let mut rows = vec![row("name", config.node.name.to_string()), row("fingerprint", fingerprint.to_string())];
    rows.extend(node.into_iter().map(|node| row("node", node)));
    Ok(invocation.output.table(&rows)?)
}

/// How to reach the node. One that listens on all addresses is told as it is reached from here.
fn nodes(config: &Config, fingerprint: Fingerprint) -> Vec<String> {
    let address = |address: &std::net::SocketAddr| match address.ip().is_unspecified() {
        true => format!("localhost:{}", address.port()),
        false => address.to_string(),
    };
    let mut nodes: Vec<String> =
        config.endpoint.listen.iter().map(|listen| format!("{fingerprint}@{}", address(listen))).collect();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_address_is_one_that_can_be_dialed() {
        let text = "[endpoint]\nlisten = [\"0.0.0.0:1\", \"[::]:1\", \"10.0.0.1:443\", \"[fe80::1]:2\"]\n";
        let config = crate::config::parse(text, Path::new("x")).unwrap();
        let nodes = nodes(&config, Fingerprint::Ed25519([0; 32]));
        let addresses: Vec<_> = nodes.iter().map(|node| node.split_once('@').unwrap().1).collect();
        assert_eq!(addresses, ["localhost:1", "10.0.0.1:443", "[fe80::1]:2"]);
    }
}
