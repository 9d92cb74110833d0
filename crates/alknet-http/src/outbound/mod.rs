//! The HTTP client that the node calls other services with: one for all of them, and for the fetching of descriptions.
//!
//! It takes nothing from the environment: no proxy, no credential, no cookie, no netrc. The one exception is where the
//! system's root certificates are: `SSL_CERT_FILE` and `SSL_CERT_DIR` stand in for the usual places, as they do for the
//! dialing of nodes.
//!
//! It never changes the server: a redirect to another scheme, host or port is not followed, but is the answer. So what a
//! request carries goes where it was meant to go, and nowhere else.

mod body;
mod client;
mod config;
mod error;
mod events;
mod retry;
#[cfg(test)]
pub(crate) mod testkit;
mod tls;

pub use client::HttpClient;
pub use config::{ClientCertificate, OutboundConfig};
pub use error::{FetchError, OutboundError, RequestError};

pub(crate) use body::{read, read_start};
pub(crate) use client::{Deadline, is_private};
pub(crate) use events::{Event, EventReader};
pub(crate) use retry::retry_after;
