//! Who is who: both kinds of server identity on one port, client keys, and what happens when a peer is revoked.

use super::common::*;
use alknet_core::*;
use rcgen::{CertifiedKey, generate_simple_self_signed};

#[tokio::test]
async fn a_client_that_takes_raw_keys_sees_one_and_any_other_sees_a_certificate_of_the_same_key() {
    let node = Node::start();
    for transport in BOTH {
        let raw = node.dial("echo", transport).await.unwrap();
        echo(&raw, "over a raw public key").await.unwrap();

        // Learn the certificate's fingerprint as a client would: from the refusal of a wrong one.
        let mut destination = node.destination();
        destination.identity = ServerIdentity::Pinned(vec![Fingerprint::X509Sha256([0; 32])]);
        let error = Dialer::new(None).dial(&destination, &alpn("echo"), transport, PATIENCE).await.err().unwrap();
        let DialError::WrongIdentity { shown, .. } = error else { panic!("{transport:?}: {error}") };
        assert_eq!(shown[0], node.key.fingerprint(), "the certificate is over the node key");
        destination.identity = ServerIdentity::Pinned(vec![shown[1]]);
        let x509 = Dialer::new(Some(key(2))).dial(&destination, &alpn("echo"), transport, PATIENCE).await.unwrap();
        assert_eq!(echo(&x509, "over a certificate").await.unwrap(), key(2).fingerprint().to_string());
    }
}

#[tokio::test]
async fn a_wrong_node_is_told_apart_before_anything_is_sent() {
    let node = Node::start();
    let mut destination = node.destination();
    destination.identity = ServerIdentity::Pinned(vec![key(9).fingerprint()]);
    for transport in [TransportChoice::Quic, TransportChoice::Tcp, TransportChoice::Auto] {
        let error = Dialer::new(None).dial(&destination, &alpn("echo"), transport, PATIENCE).await.err().unwrap();
        let text = error.to_string();
        assert!(text.contains(&format!("it shows {}", node.key.fingerprint())), "{transport:?}: {text}");
    }
}

#[tokio::test]
async fn an_unknown_host_is_believed_only_if_the_systems_roots_vouch_for_it() {
    let node = Node::start();
    let destination = Destination { address: node.address().to_string(), identity: ServerIdentity::SystemRoots };
    for transport in BOTH {
        let error = Dialer::new(None).dial(&destination, &alpn("echo"), transport, PATIENCE).await.err().unwrap();
        let refused = matches!(error, DialError::Untrusted { .. } | DialError::Configuration(_));
        assert!(refused, "{transport:?}: {error}");
    }
}

#[tokio::test]
async fn the_domain_certificate_is_shown_for_its_name_and_renewed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let files = CertificateFiles { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem") };
    let renew = || {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&files.certificate, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        Fingerprint::of_certificate(cert.der())
    };
    let first = renew();
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    let node = Node::with(|config| config.certificates = certificates.into());
    let by_name = |pin| Destination {
        address: format!("localhost:{}", node.address().port()),
        identity: ServerIdentity::Pinned(vec![pin]),
    };
    let dial = async |pin, transport| Dialer::new(None).dial(&by_name(pin), &alpn("echo"), transport, PATIENCE).await;
    let mut open = Vec::new();
    for transport in BOTH {
        open.push(dial(first, transport).await.unwrap());
    }
    let second = renew();
    assert!(node.certificates.reload_if_changed().unwrap());
    for (transport, open) in BOTH.into_iter().zip(&open) {
        dial(second, transport).await.unwrap();
        assert!(matches!(dial(first, transport).await, Err(DialError::WrongIdentity { .. })));
        echo(open, "an open connection is not disturbed").await.unwrap();
    }
}

#[tokio::test]
async fn a_known_key_is_its_peer_and_a_reload_drops_nobody_but_the_revoked() {
    let node = Node::start();
    let (alice, bob) = (key(2), key(3));
    node.identities.set(vec![peer("alice", &alice), peer("bob", &bob)]).unwrap();
    for transport in BOTH {
        let by_alice = node.dial_as(Some(alice.clone()), "echo", transport).await.unwrap();
        let by_bob = node.dial_as(Some(bob.clone()), "echo", transport).await.unwrap();
        let by_nobody = node.dial("echo", transport).await.unwrap();
        // One stream each, so that on TCP, too, the connections are in use when the peers change.
        let mut streams = Vec::new();
        for (connection, who) in [(&by_alice, "alice"), (&by_bob, "bob"), (&by_nobody, "anonymous")] {
            let mut stream = connection.open_bi().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"x").await.unwrap();
            let mut label = vec![0; who.len() + 2];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut label).await.unwrap();
            assert_eq!(label, format!("{who}\nx").into_bytes());
            streams.push(stream);
        }

        let disabled = Peer { enabled: false, ..peer("bob", &bob) };
        node.identities.set(vec![peer("alice", &alice), disabled]).unwrap();
        by_bob.open_bi().await.ok();
        let mut rest = Vec::new();
        let cut_off = tokio::io::AsyncReadExt::read_to_end(&mut streams[1], &mut rest);
        let cut_off = tokio::time::timeout(PATIENCE, cut_off).await.expect("bob's stream ends");
        assert!(cut_off.is_err() || rest.is_empty());

        for (stream, who) in [(0, "alice"), (2, "a stranger")] {
            let stream = &mut streams[stream];
            tokio::io::AsyncWriteExt::write_all(stream, b"y").await.expect(who);
            assert_eq!(tokio::io::AsyncReadExt::read_u8(stream).await.expect(who), b'y');
        }
        node.identities.set(vec![peer("alice", &alice), peer("bob", &bob)]).unwrap();
    }
}

#[tokio::test]
async fn a_peer_keeps_its_connection_when_its_key_is_rotated_by_adding_one() {
    let node = Node::start();
    let (old, new) = (key(2), key(3));
    node.identities.set(vec![peer("alice", &old)]).unwrap();
    let connection = node.dial_as(Some(old.clone()), "echo", TransportChoice::Quic).await.unwrap();
    let both = Peer { fingerprints: vec![old.fingerprint(), new.fingerprint()], ..peer("alice", &old) };
    node.identities.set(vec![both]).unwrap();
    assert_eq!(echo(&connection, "old key").await.unwrap(), "alice");
    let connection = node.dial_as(Some(new), "echo", TransportChoice::Quic).await.unwrap();
    assert_eq!(echo(&connection, "new key").await.unwrap(), "alice");
}
