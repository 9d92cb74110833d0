//! Who calls, and what they may do.
//!
//! A credential (a TLS key, a bearer token) resolves to an [`Identity`] through an [`IdentityProvider`];
//! authorization reads the identity and nothing else.

mod context;
mod fingerprint;
mod identity;
mod memory;
mod scope;
mod token;

pub use context::AuthContext;
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use identity::{Identity, IdentityProvider, IdentityStore, Peer, PeerConflict};
pub use memory::MemoryIdentities;
pub use scope::{InvalidScope, Scope};
pub use token::{InvalidTokenHash, NoRandomness, Token, TokenHash};

#[cfg(test)]
pub(crate) use fingerprint::unhex;
