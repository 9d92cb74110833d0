//! An endpoint in this process, and clients of every kind against it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod common;
mod dispatch;
mod identity;
mod strangers;
