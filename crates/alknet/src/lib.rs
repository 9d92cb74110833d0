//! The alknet node: the assembly of handlers, vault and configuration, and its command line. This is the only crate that
//! reads the environment ([`environment`]), opens the vault ([`vault`]) and knows the configuration file ([`config`]);
//! every other crate gets what it needs handed to it. Commands that need no network start no runtime.

mod cli;
pub mod client;
pub mod config;
#[cfg(feature = "demo")]
mod demo;
pub mod environment;
mod files;
pub mod handlers;
#[cfg(feature = "http")]
pub mod import;
pub mod init;
pub mod logging;
pub mod pairing;
pub mod secrets;
pub mod serve;
pub mod vault;

pub use cli::main;
