//! Our own client: raw public keys over both transports.

use alknet_call::{CallClient, CallOptions};
use alknet_core::{Alpn, Destination, Dialer, NodeKey, ServerIdentity, TransportChoice};
use anyhow::ensure;

use crate::Test;
use crate::node::{Node, PATIENCE};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("raw_public_keys_over_both_transports", &[], || check(&Node::start()?)),
        Test::new("a_key_names_its_peer_and_a_wrong_token_is_never_ignored", &[], identities),
    ]
}

pub(crate) fn check(node: &Node) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        for transport in [TransportChoice::Quic, TransportChoice::Tcp] {
            let client = CallClient::new(dial(node, None, transport).await?);
            let by_token = CallOptions::new().auth_token(&node.token);
            let info = client.call_with("/node/info", &(), by_token).await?;
            ensure!(info["caller"]["id"] == "tester" && info["caller"]["fingerprint"].is_null(), "{info}");
            ensure!(info["alpns"] == serde_json::json!(crate::node::ALPNS), "{info}");
        }
        Ok(())
    })
}

fn identities() -> anyhow::Result<()> {
    let node = Node::start()?;
    let key = NodeKey::from_seed(&[7; 32])?;
    let admin = ["peer", "add", "alice", "--fingerprint", &key.fingerprint().to_string(), "--scope", "node:admin"];
    node.run_ok(&admin)?;
    runtime()?.block_on(async {
        for transport in [TransportChoice::Quic, TransportChoice::Tcp] {
            let client = CallClient::new(dial(&node, Some(key.clone()), transport).await?);
            let info = client.call("/node/info", &()).await?;
            ensure!(info["caller"]["id"] == "alice" && info["connections"].is_number(), "{info}");
            let wrong = client.call_with("/node/info", &(), CallOptions::new().auth_token("alk_guessed")).await;
            let error = wrong.expect_err("a wrong token is refused").to_string();
            ensure!(error.contains("UNAUTHENTICATED"), "{error}");
        }
        Ok(())
    })
}

async fn dial(
    node: &Node,
    key: Option<NodeKey>,
    transport: TransportChoice,
) -> anyhow::Result<alknet_core::Connection> {
    let identity = ServerIdentity::Pinned(vec![node.fingerprint.parse()?]);
    let destination = Destination { address: format!("127.0.0.1:{}", node.port), identity };
    Ok(Dialer::new(key).dial(&destination, &Alpn::new("alknet/call")?, transport, PATIENCE).await?)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
