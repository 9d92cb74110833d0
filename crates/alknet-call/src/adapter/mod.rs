//! Operations that come from somebody else's description.

mod json_schema;

use alknet_core::BoxFuture;
use tokio::sync::watch;

pub use json_schema::{FromJsonSchema, ToolError};

use crate::{Bundle, InvalidSpec, Provenance};

/// A source of operations that are not this program's: another node, an HTTP service, definitions of tools.
///
/// What it imports has its [`provenance`](Self::provenance), and so is internal unless it is exported.
pub trait OperationAdapter: Send + Sync + 'static {
    /// Where the operations come from.
    fn provenance(&self) -> Provenance;

    /// Asks for the operations that there are at this moment.
    ///
    /// # Errors
    /// When the source cannot be reached, or says what cannot be understood.
    fn import(&self) -> BoxFuture<'_, Result<Vec<Bundle>, AdapterError>>;

    /// Changes value when it is time to import again; none for a source that never changes.
    fn changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// Why nothing can be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The source cannot be reached. It may be there later.
    #[error("the source of the operations cannot be reached: {0}")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The source says something that describes no operations.
    #[error("the source of the operations says what cannot be understood: {0}")]
    Misunderstood(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The description of an operation cannot be used.
    #[error("the operation {name}: {source}")]
    Operation {
        /// What the source calls it.
        name: String,
        /// What is wrong.
        source: InvalidSpec,
    },
    /// The definition of a tool cannot be used.
    #[error(transparent)]
    Tool(#[from] ToolError),
}
