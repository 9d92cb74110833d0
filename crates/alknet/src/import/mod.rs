//! Operations of services that are no nodes: from an entry of `[[import]]` to what the registry takes.

mod keyring;
#[cfg(feature = "mcp")]
pub(crate) mod mcp;

use std::io;
use std::path::PathBuf;

use alknet_call::{Access, Capabilities};
use alknet_http::{DescriptionSource as Source, FetchError, FromOpenApi, HttpClient, ImportOptions};
use url::Url;

pub use keyring::{Keyring, KeyringError};

use crate::config::{Config, Import, ImportName, ImportSource, SpecSource};

/// The longest description that is read, in bytes. The largest that are published have a third of it.
pub const MAX_DESCRIPTION: usize = 32 * 1024 * 1024;

/// How an entry of `[[import]]` from OpenAPI becomes operations, once its description is there.
#[derive(Clone)]
pub struct Plan {
    name: ImportName,
    source: Source,
    options: ImportOptions,
}

impl Plan {
    /// Looks through an entry; none if it is from elsewhere. `capabilities` are the secrets that its operations call with.
    ///
    /// # Errors
    /// When an address in it is none.
    pub fn of(config: &Config, import: &Import, capabilities: Capabilities) -> Result<Option<Self>, ImportError> {
        let ImportSource::OpenApi { spec, server } = &import.source else { return Ok(None) };
        let name = &import.name;
        let options = ImportOptions {
            operations: import.operations.clone(),
            access: access(import),
            exported: import.export,
            server: server.as_deref().map(|text| address(name, text)).transpose()?,
            capabilities,
        };
        let spec = match spec {
            SpecSource::File(path) => SpecSource::File(config.beside(path)),
            url => url.clone(),
        };
        Self::new(name.clone(), &spec, options).map(Some)
    }

    /// A plan for the description at `spec`.
    ///
    /// # Errors
    /// When that is an address, and is none.
    pub fn new(name: ImportName, spec: &SpecSource, options: ImportOptions) -> Result<Self, ImportError> {
        let source = match spec {
            SpecSource::File(path) => Source::File(path.clone()),
            SpecSource::Url(text) => Source::Url(address(&name, text)?),
        };
        Ok(Self { name, source, options })
    }

    /// The name of the import.
    pub fn name(&self) -> &ImportName {
        &self.name
    }

    /// Whether the description has to be asked for over the network.
    pub fn is_remote(&self) -> bool {
        matches!(self.source, Source::Url(_))
    }

    /// Reads a description that is a file.
    ///
    /// # Errors
    /// When it cannot be read, or describes nothing that could be imported.
    pub fn read_file(&self, client: &HttpClient) -> Result<FromOpenApi, ImportError> {
        let Source::File(path) = &self.source else { return Err(self.failed(Problem::Remote)) };
        let text = read_text(path).map_err(|source| self.failed(Problem::Io { path: path.clone(), source }))?;
        self.describe(&text, client)
    }

    /// Fetches a description that is on the web.
    ///
    /// # Errors
    /// As [`read_file`](Self::read_file); [`ImportError::is_temporary`] tells whether to try again later.
    pub async fn fetch(&self, client: &HttpClient) -> Result<FromOpenApi, ImportError> {
        let Source::Url(url) = &self.source else { return Err(self.failed(Problem::Remote)) };
        let text = client.text(url, MAX_DESCRIPTION).await.map_err(|error| self.failed(Problem::Fetch(error)))?;
        let (plan, client) = (self.clone(), client.clone());
        // Large ones take a second.
        match tokio::task::spawn_blocking(move || plan.describe(&text, &client)).await {
            Ok(described) => described,
            Err(error) => Err(self.failed(Problem::Background(error))),
        }
    }

    fn describe(&self, text: &str, client: &HttpClient) -> Result<FromOpenApi, ImportError> {
        FromOpenApi::new(self.name.as_str(), text, &self.source, self.options.clone(), client.clone())
            .map_err(|error| self.failed(Problem::Description(error)))
    }

    fn failed(&self, problem: Problem) -> ImportError {
        ImportError { name: self.name.to_string(), problem }
    }
}

/// Who can run the operations of an import.
fn access(import: &Import) -> Access {
    match import.required_scopes.as_slice() {
        [] => Access::Identified,
        scopes => Access::Scopes(scopes.to_vec()),
    }
}

fn address(name: &ImportName, text: &str) -> Result<Url, ImportError> {
    let problem = |source| Problem::Address { text: text.to_owned(), source };
    Url::parse(text).map_err(|source| ImportError { name: name.to_string(), problem: problem(source) })
}

fn read_text(path: &std::path::Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    let most = MAX_DESCRIPTION as u64 + 1;
    std::fs::File::open(path)?.take(most).read_to_string(&mut text)?;
    if text.len() > MAX_DESCRIPTION {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_DESCRIPTION} bytes")));
    }
    Ok(text)
}

/// Tells the operator what became of an import.
pub(crate) fn log(name: &ImportName, import: &FromOpenApi) {
    let (imported, left_out) = (import.operations().count(), import.left_out().count());
    tracing::info!(import = name.as_str(), imported, left_out, "imported {} {}", import.title(), import.version());
    for (operation, reason) in import.left_out() {
        tracing::warn!(import = name.as_str(), operation, "left out: {reason}");
    }
    for (operation, remark) in import.remarks() {
        tracing::debug!(import = name.as_str(), operation = operation.as_str(), "{remark}");
    }
    for pattern in import.unmatched() {
        tracing::warn!(
            import = name.as_str(),
            "the pattern \"{pattern}\" names no operation; alknet import list shows the names that there are"
        );
    }
}

/// An import that fails.
#[derive(Debug, thiserror::Error)]
#[error("import \"{name}\": {problem}")]
pub struct ImportError {
    name: String,
    #[source]
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot read the description {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Fetch(FetchError),
    #[error(transparent)]
    Description(alknet_http::ImportError),
    #[error("\"{text}\" is no address: {source}")]
    Address { text: String, source: url::ParseError },
    #[error("the description is somewhere else")]
    Remote,
    #[error(transparent)]
    Background(tokio::task::JoinError),
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Mcp(alknet_http::McpError),
}

impl ImportError {
    /// Whether the same may work later: the service is away.
    pub fn is_temporary(&self) -> bool {
        matches!(self.problem, Problem::Fetch(_))
    }
}
