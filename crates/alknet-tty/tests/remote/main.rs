//! Terminals as other nodes see them: by operations, and by the protocol of their own.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod attaching;
mod client;
mod common;
mod endings;
mod gate;
mod headers;
mod orphans;
mod ownership;
mod refusals;
mod spawning;
mod streams;
