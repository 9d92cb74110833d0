use super::*;
use crate::outbound::testkit::{Authority, Mock, respond};
use crate::{FetchError, RequestError};
use http::Version;
use rustls::version::{TLS12, TLS13};

#[tokio::test]
async fn a_server_is_trusted_if_the_bundle_has_its_root() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let mock = Mock::serve_tls(authority.server(false, version), |_| respond(200, "text/plain", "over TLS")).await;
        assert_eq!(authority.client(true, false).text(&mock.url, 100).await.unwrap(), "over TLS");
        assert_eq!(mock.request().version, Version::HTTP_2);
        let error = authority.client(false, false).text(&mock.url, 100).await.unwrap_err();
        assert!(matches!(error, FetchError::Request(RequestError::Unreachable { .. })), "{error}");
        assert!(error.to_string().contains("invalid peer certificate: UnknownIssuer"), "{error}");
        assert_eq!(mock.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it() {
    let authority = Authority::new();
    let mock = Mock::serve_tls(authority.server(true, &TLS13), |_| respond(200, "text/plain", "known")).await;
    assert_eq!(authority.client(true, true).text(&mock.url, 100).await.unwrap(), "known");
    let error = authority.client(true, false).text(&mock.url, 100).await.unwrap_err();
    assert!(matches!(error, FetchError::Request(_)), "{error}");
    assert_eq!(mock.requests().len(), 1);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let path = |name: &str| authority.path(name);
    std::fs::write(path("empty.pem"), "").unwrap();
    std::fs::write(path("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let bundle = |name| {
        let config = OutboundConfig { ca_bundle: Some(path(name)), ..OutboundConfig::default() };
        client_config(&config).err().unwrap().to_string()
    };
    assert!(bundle("empty.pem").ends_with("empty.pem cannot be used: it holds no certificate"));
    assert!(bundle("broken.pem").contains("broken.pem cannot be used: "));
    assert!(bundle("missing.pem").contains("missing.pem cannot be read: "));
    let shows = |certificate, key| {
        let client_certificate = Some(ClientCertificate { certificate: path(certificate), key: path(key) });
        let config = OutboundConfig { client_certificate, ..OutboundConfig::default() };
        client_config(&config).err().unwrap().to_string()
    };
    assert!(shows("client.pem", "empty.pem").contains("empty.pem cannot be used: "));
    assert!(shows("root.pem", "client.key").contains("client.key cannot be used: it does not fit "));
}
