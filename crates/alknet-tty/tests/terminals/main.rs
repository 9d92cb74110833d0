//! Terminals with the programs of a real system.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod common;
mod control;
mod death;
mod limits;
mod output;
mod program;
mod spawning;
