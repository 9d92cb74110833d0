//! curl, over HTTP/1.1 and HTTP/2.

use anyhow::ensure;

use crate::Test;
use crate::needs::Need;
use crate::node::{Node, client};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        Test::new("curl_over_http1_and_http2", &[Need::Curl], || check(&Node::start()?)),
        Test::new("curl_without_a_valid_token_cannot_tell_what_is_there", &[Need::Curl], nothing_to_see),
        Test::new("curl_trusts_a_domain_certificate_and_sees_it_renewed", &[Need::Curl], domain_certificate),
    ]
}

pub(crate) fn check(node: &Node) -> anyhow::Result<()> {
    for (version, shown) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        for host in ["127.0.0.1", "[::1]"] {
            let url = format!("https://{host}:{}", node.port);
            let (ok, answer) = curl(&[version, "-i", &format!("{url}/healthz")])?;
            ensure!(ok && answer.starts_with(&format!("{shown} 200")) && answer.ends_with("ok\n"), "{answer}");

            let bearer = format!("Authorization: Bearer {}", node.token);
            let (ok, answer) = curl(&[version, "-X", "POST", "-H", &bearer, &format!("{url}/node/info")])?;
            ensure!(ok, "{answer}");
            let info: serde_json::Value = serde_json::from_str(&answer)?;
            ensure!(info["name"] == "tested" && info["caller"]["id"] == "tester", "{info}");
            ensure!(info["fingerprint"] == node.fingerprint.as_str(), "{info}");
        }
    }
    Ok(())
}

fn curl(arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    client(
        "curl",
        &[&["--silent", "--show-error", "--insecure", "--max-time", "30", "--noproxy", "*"], arguments].concat(),
        "",
    )
}

fn nothing_to_see() -> anyhow::Result<()> {
    let node = Node::start()?;
    let revoked = node.new_token("tester")?;
    node.run_ok(&["token", "revoke", "tester", "--all"])?;
    for version in ["--http1.1", "--http2"] {
        let get = |arguments: &[&str]| -> anyhow::Result<String> {
            let (ok, answer) = curl(&[&[version, "-i"], arguments].concat())?;
            ensure!(ok, "{answer}");
            // The date is the one thing that may differ.
            Ok(answer.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\n"))
        };
        let url = |path: &str| format!("https://127.0.0.1:{}{path}", node.port);
        let revoked = format!("Authorization: Bearer {revoked}");
        for token in [&[][..], &["-H", "Authorization: Bearer alk_guessed"], &["-H", &revoked]] {
            let post = |path: &str| get(&[&["-X", "POST", &url(path)], token].concat());
            let (nothing, info) = (post("/no/such")?, post("/node/info")?);
            ensure!(nothing.lines().next().is_some_and(|line| line.contains("401")), "{nothing}");
            ensure!(info == nothing, "an operation can be told from what is not there:\n{info}\n\n{nothing}");
        }
    }
    node.still_serves()
}

fn domain_certificate() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let renew = || -> anyhow::Result<()> {
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        std::fs::write(&key, signing_key.serialize_pem())?;
        Ok(std::fs::write(&chain, cert.pem())?)
    };
    renew()?;
    let mut node = Node::make(&[], &crate::node::free_port()?.to_string())?;
    let config = std::fs::read_to_string(node.config())?;
    let entry = format!(
        "[endpoint]\ncertificates = [{{ certificate = \"{}\", key = \"{}\" }}]",
        chain.display(),
        key.display()
    );
    std::fs::write(node.config(), config.replacen("[endpoint]", &entry, 1))?;
    node.serve()?;
    let url = format!("https://localhost:{}/healthz", node.port);
    let authority = folder.path().join("trusted.pem");
    // This curl believes the one certificate that it was given, and no other.
    let trusts = || -> anyhow::Result<bool> {
        let authority = authority.to_str().expect("a path of text");
        let (ok, answer) =
            client("curl", &["--silent", "--show-error", "--noproxy", "*", "--cacert", authority, &url], "")?;
        ensure!(ok || answer.contains("certificate"), "{answer}");
        Ok(ok)
    };
    std::fs::copy(&chain, &authority)?;
    ensure!(trusts()?, "the domain's certificate is shown for its name");
    renew()?;
    std::fs::copy(&chain, &authority)?;
    crate::node::until("the renewed certificate is shown", || trusts().unwrap_or(false))
}
