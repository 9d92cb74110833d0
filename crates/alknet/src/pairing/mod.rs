//! Pairing: a node lets another one in by a one-time link, while it runs.
//!
//! An [`Invitation`] says as whom somebody comes and what they may do. Whoever shows its token, over a connection that
//! proves a key, is that peer from then on; the token is used up. The [`Ledger`] has the rules, without files, network or
//! clock; the [`Store`] keeps it in two files of the state folder; the operations `peers/…` change it in a node that runs.
//!
//! The configuration is its author's and is never written here. It wins where both say something about a peer.

mod address;
mod base32;
mod clock;
mod desk;
mod error;
mod invitations;
mod joined;
mod ledger;
mod link;
pub(crate) mod operations;
mod specs;
mod store;
mod token;

pub use address::{AddressSource, choose_address};
pub use clock::Clock;
pub(crate) use desk::Desk;
pub use error::PairingError;
pub use invitations::{Invitation, Invitations, MAX_INVITATIONS};
pub use joined::{Joined, Merged};
pub use ledger::{Addition, Known, Ledger};
pub use link::{InvalidLink, PairingLink};
pub use store::Store;
pub use token::JoinToken;

use std::time::Duration;

use alknet_core::Fingerprint;

use crate::config::{Config, PeerEntry};
use crate::environment::Environment;

/// How long an invitation is good for, unless something else is said.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The longest that an invitation is good for.
pub const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The peers of the configuration, and behind them those that have joined.
///
/// # Errors
/// When the file of the latter cannot be read or is damaged.
pub fn all_peers(config: &Config, environment: &Environment, own: Fingerprint) -> Result<Vec<PeerEntry>, PairingError> {
    let ledger = Store::new(config.state_dir(environment)).read()?;
    Ok(ledger.joined.merge(&config.peers, Some(own)).peers)
}
