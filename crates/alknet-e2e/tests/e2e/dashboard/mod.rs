//! The dashboard in a browser, and what is there of it for those who have no link.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::Test;
use crate::needs::{Need, axe, python};
use crate::node::{ALKNET, Node, client, free_port};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/dashboard");
const QR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../alknet-http/src/dashboard/page/qr.js");
/// Where the pictures go, for people to look at.
const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/e2e-dashboard");

const TTY: &str = "[tty]\nenable = true\ncommands = [\"/bin/sh\"]";

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test::new("dashboard_in_a_browser", &[Need::Chromium], in_a_browser),
        Test::new("dashboard_in_a_browser_behind_a_decoy", &[Need::Chromium], behind_a_decoy),
        Test::new("dashboard_says_what_it_lacks", &[], says_what_it_lacks),
    ]
}

fn in_a_browser() -> anyhow::Result<()> {
    let node = Node::start_with(TTY)?;
    let axe = axe();
    fs::create_dir_all(PICTURES)?;
    browse(&node, &[axe.to_str().context("a path of text")?, QR, PICTURES])
}

/// A browser trusts no certificate over Ed25519, so the node has one of its own here.
fn behind_a_decoy() -> anyhow::Result<()> {
    let mut node = Node::make(&[], &free_port()?.to_string())?;
    let folder = node.folder.path().to_owned();
    certificate(&folder)?;
    let config = fs::read_to_string(node.config())?;
    let certificates = "[endpoint]\ncertificates = [{ certificate = \"chain.pem\", key = \"key.pem\" }]";
    let config = config.replacen("[endpoint]", certificates, 1);
    let config = config.replacen("[http]", "[http]\ndecoy = { imitate = \"nginx\" }", 1);
    fs::write(node.config(), config)?;
    node.add_to_config(TTY)?;
    node.serve()?;
    browse(&node, &[])
}

fn certificate(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    fs::write(folder.join("chain.pem"), certificate.pem())?;
    fs::write(folder.join("key.pem"), key.serialize_pem())?;
    Ok(fs::set_permissions(folder.join("key.pem"), fs::Permissions::from_mode(0o600))?)
}

fn browse(node: &Node, more: &[&str]) -> anyhow::Result<()> {
    let scopes = ["tty:*", "node:admin", "metrics:read", "dashboard:use"].map(|scope| ["--scope", scope]);
    node.run_ok(&[&["peer", "add", "user"], scopes.as_flattened()].concat())?;
    let file = node.folder.path().join("token");
    fs::write(&file, node.new_token("user")?)?;
    let (script, config) = (format!("{FOLDER}/page.py"), node.config());
    let texts = [config.to_str(), file.to_str()].map(|path| path.context("a path of text"));
    let [config, token] = texts;
    let arguments = [&[&*script, ALKNET, config?, token?], more].concat();
    let (ok, said) = client(python(), &arguments, "")?;
    ensure!(ok && said.ends_with("all as described\n"), "{said}\nthe node's log:\n{}", node.log());
    node.still_serves()
}

fn says_what_it_lacks() -> anyhow::Result<()> {
    let node = Node::start_with("[http.dashboard]\nenable = false")?;
    let said = node.run_err(&["dashboard", "--direct"])?;
    ensure!(said.contains("the node gives no link to its dashboard") && said.contains("dashboard:use"), "{said}");
    let node = Node::start()?;
    let link = node.run_ok(&["dashboard", "--direct", "--json"])?;
    ensure!(link.contains(&format!(":{}/dashboard/alk_", node.port)), "{link}");
    Ok(())
}
