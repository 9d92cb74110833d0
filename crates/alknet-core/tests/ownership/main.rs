//! The ownership store under every order of events: threads that interleave as a model checker decides, and random
//! sequences of changes against a model so simple that it is plainly right.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

/// The index itself, compiled with the locks and channels of the checker.
#[allow(dead_code, reason = "some of it only the store and its unit tests use")]
#[path = "../../src/ownership/index/mod.rs"]
mod index;
mod interleavings;
mod model;
mod sync;

/// What the index finds beside it in the crate.
use alknet_core::{OwnershipError, OwnershipEvent, OwnershipRecord};
