//! The client.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{ACCEPT, HeaderValue};
use reqwest::redirect;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

use super::retry::Retry;
use super::{FetchError, OutboundConfig, OutboundError, RequestError, read, tls};

/// How many redirects of a server to itself are followed.
const MAX_REDIRECTS: usize = 5;

/// How many connections to one server are kept when they are idle, and for how long.
const MAX_IDLE: usize = 16;
const KEEP_IDLE: Duration = Duration::from_secs(60);

/// The longest head of an answer: over `h2` in bytes, over `http/1.1` in fields.
const MAX_HEAD: u32 = 64 * 1024;
const MAX_FIELDS: usize = 200;

/// What to ask for when a description is fetched.
const DESCRIPTION: HeaderValue = HeaderValue::from_static("application/json, application/yaml, */*;q=0.5");

/// The client that a node calls other services with, over `h2` and `http/1.1`. Cheap to clone; the clones share their
/// connections. It reads no proxy and no credential from the environment.
///
/// ```
/// use alknet_http::{FetchError, HttpClient, OutboundConfig};
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let client = HttpClient::new(&OutboundConfig::default())?;
/// // A text that anybody on the way could change is not fetched.
/// let url = "http://api.example/openapi.yaml".parse()?;
/// assert!(matches!(client.text(&url, 1024 * 1024).await, Err(FetchError::Insecure { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    retry: Retry,
    timeout: Duration,
    idle_timeout: Duration,
    max_response: usize,
}

impl HttpClient {
    /// A client without connections. Reads the root certificates and the files that `config` names.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn new(config: &OutboundConfig) -> Result<Self, OutboundError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(config)?)
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .referer(false)
            .redirect(redirect::Policy::custom(within_the_server))
            .user_agent(concat!("alknet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout())
            .pool_max_idle_per_host(MAX_IDLE)
            .pool_idle_timeout(KEEP_IDLE)
            .http1_max_headers(MAX_FIELDS)
            .http2_max_header_list_size(MAX_HEAD)
            .build()
            .map_err(|error| OutboundError::Refused(describe(error)))?;
        Ok(Self(Arc::new(Inner {
            client,
            retry: Retry::new(config.max_retries),
            timeout: config.timeout(),
            idle_timeout: config.idle_timeout(),
            max_response: config.max_response_bytes as usize,
        })))
    }

    /// Fetches a text of at most `limit` bytes, such as the description of a service. Since such a text says where
    /// credentials are sent to, it is fetched over https, or from this machine.
    ///
    /// # Errors
    /// When there is no answer, or another than the text.
    pub async fn text(&self, url: &Url, limit: usize) -> Result<String, FetchError> {
        let server = server_of(url);
        if !is_private(url) {
            return Err(FetchError::Insecure { server });
        }
        let mut request = reqwest::Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, DESCRIPTION);
        let deadline = self.deadline(Duration::MAX);
        let response = self.send(&request, deadline).await?;
        if !response.status().is_success() {
            return Err(FetchError::Status { server, status: response.status() });
        }
        let body = deadline.of(url, read(response, limit)).await?;
        String::from_utf8(body.into()).map_err(|_| FetchError::NoText { server })
    }

    /// Sends a request, several times if that makes sense, and gives the head of the answer. The request's body must be
    /// bytes.
    pub(crate) async fn send(
        &self,
        request: &reqwest::Request,
        deadline: Deadline,
    ) -> Result<reqwest::Response, RequestError> {
        let attempts = self.0.retry.run(request.method(), deadline.at, || self.attempt(request));
        deadline.of(request.url(), attempts).await
    }

    async fn attempt(&self, request: &reqwest::Request) -> Result<reqwest::Response, RequestError> {
        let server = || server_of(request.url());
        let Some(again) = request.try_clone() else {
            return Err(RequestError::Broken { server: server(), reason: "the request cannot be repeated".into() });
        };
        self.0.client.execute(again).await.map_err(|error| match error.is_connect() {
            true => RequestError::Unreachable { server: server(), reason: describe(error) },
            false => RequestError::Broken { server: server(), reason: describe(error) },
        })
    }

    /// Until when something has to be done that may take `limit`, and not longer than the configuration says.
    pub(crate) fn deadline(&self, limit: Duration) -> Deadline {
        let limit = limit.min(self.0.timeout);
        Deadline { at: Instant::now() + limit, limit }
    }

    /// How long events may be silent.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.0.idle_timeout
    }

    /// How long the body of an answer may be.
    pub(crate) fn max_response(&self) -> usize {
        self.0.max_response
    }
}

/// The end of a time limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// A time limit that begins now.
    pub(crate) fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// Ends what the server at `url` takes too long for.
    pub(crate) async fn of<T>(
        self,
        url: &Url,
        work: impl Future<Output = Result<T, RequestError>>,
    ) -> Result<T, RequestError> {
        let late = || Err(RequestError::Timeout { server: server_of(url), limit: self.limit });
        timeout_at(self.at, work).await.unwrap_or_else(|_| late())
    }
}

/// Follows a redirect to where the request went anyway, and lets any other be the answer.
fn within_the_server(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let same = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
    match same && attempt.previous().len() <= MAX_REDIRECTS {
        true => attempt.follow(),
        false => attempt.stop(),
    }
}

/// Whether nobody on the way can read what goes to `url` or change what comes: it goes over TLS, or stays on this machine.
pub(crate) fn is_private(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => IpAddr::V6(address).to_canonical().is_loopback(),
        // RFC 6761 §6.3: the name never leaves the machine.
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

/// Scheme, host and port, for errors.
pub(super) fn server_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The innermost cause of an error: those around it say no more than that there is one.
pub(super) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::testkit::{Mock, client, respond};

    #[test]
    fn only_tls_and_this_machine_are_private() {
        let private = |url: &str| is_private(&url.parse().unwrap());
        for good in
            ["https://a.example/", "http://127.0.0.1:80/", "http://127.9.9.9", "http://[::1]:1/", "http://localhost/"]
        {
            assert!(private(good), "{good}");
        }
        for bad in [
            "http://a.example/",
            "http://10.0.0.1/",
            "http://localhost.example/",
            "http://[::2]/",
            "ftp://localhost/",
            "file:///etc/passwd",
        ] {
            assert!(!private(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_text_is_fetched_up_to_its_limit() {
        let mock = Mock::serve(|request| match request.path() {
            "/spec" => respond(200, "text/yaml", "openapi: 3.1.0"),
            "/bytes" => respond(200, "text/yaml", vec![0xff]),
            _ => respond(404, "text/plain", "no"),
        })
        .await;
        let client = client();
        let fetch = async |path: &str, limit| client.text(&mock.url.join(path).unwrap(), limit).await;
        assert_eq!(fetch("/spec", 14).await.unwrap(), "openapi: 3.1.0");
        let error = async |path, limit| fetch(path, limit).await.unwrap_err().to_string();
        assert!(error("/spec", 13).await.ends_with("is longer than 13 bytes"));
        assert!(error("/bytes", 13).await.ends_with("is no text in UTF-8"));
        assert!(error("/secret?key=s3cret", 13).await.ends_with("answered with 404 Not Found"));
        let [first, ..] = &mock.requests()[..] else { panic!("no request") };
        assert_eq!(first.header("user-agent"), concat!("alknet/", env!("CARGO_PKG_VERSION")));
        assert_eq!((first.header("accept-encoding"), first.header("referer")), ("", ""));
    }

    #[tokio::test]
    async fn no_redirect_leads_to_another_server() {
        let other = Mock::serve(|_| respond(200, "text/plain", "other")).await;
        let elsewhere = other.url.to_string();
        let mock = Mock::serve(move |request| {
            let to = |location: &str| {
                let mut response = respond(302, "text/plain", "");
                response.headers_mut().insert("location", location.parse().unwrap());
                response
            };
            match request.path() {
                "/near" => to("/here"),
                "/here" => respond(200, "text/plain", "here"),
                "/far" => to(&elsewhere),
                "/tls" => to(&format!("https://{}/", request.header("host"))),
                _ => to("/round"),
            }
        })
        .await;
        let client = client();
        let fetch = async |path: &str| client.text(&mock.url.join(path).unwrap(), 100).await;
        assert_eq!(fetch("/near").await.unwrap(), "here");
        for path in ["/far", "/tls", "/round"] {
            let error = fetch(path).await.unwrap_err();
            assert!(matches!(error, FetchError::Status { status, .. } if status == 302), "{path}: {error}");
        }
        assert_eq!(mock.requests().len(), 2 + 1 + 1 + MAX_REDIRECTS + 1);
        assert!(other.requests().is_empty());
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named_without_the_path() {
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let url = format!("http://user:pass@127.0.0.1:{port}/path?key=s3cret").parse().unwrap();
        let error = client().text(&url, 100).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("http://127.0.0.1:{port} cannot be reached: ")), "{error}");
        assert!(error.contains("refused"), "{error}");
        assert!(["pass", "path", "s3cret"].iter().all(|secret| !error.contains(secret)), "{error}");
    }

    /// Other tests, run anew in an environment in which everything that a client might read is wrong.
    #[test]
    fn a_poisoned_environment_changes_nothing() {
        let nowhere = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .map(|name| (name, "http://127.0.0.1:1"));
        let secrets = ["OPENAI_API_KEY", "GITHUB_TOKEN", "NETRC"].map(|name| (name, "/poison"));
        for name in [
            "outbound::client::tests::a_text_is_fetched_up_to_its_limit",
            "openapi::import::run::credentials::tests::each_scheme_has_its_place",
            "openapi::import::run::credentials::tests::who_needs_no_credential_gets_one_only_if_it_takes_one",
        ] {
            let mut test = std::process::Command::new(std::env::current_exe().unwrap());
            test.args(["--exact", name]).envs(nowhere).envs(secrets).env_remove("NO_PROXY").env_remove("no_proxy");
            let run = test.output().unwrap();
            let told = String::from_utf8_lossy(&run.stdout);
            assert!(run.status.success() && told.contains("1 passed"), "{told}");
        }
    }
}
