//! Terminals for alknet: programs on pseudo-terminals of the node, which outlive the connections to them.
//!
//! [`Terminals`] spawns them and manages their life. Any number of [`Attachment`]s follow the output of a terminal, each
//! at its own pace: first what is kept of it, then what comes. A terminal without any goes on. It belongs to who spawned
//! it, as recorded in an [`OwnershipStore`](alknet_core::OwnershipStore) before anybody learns its id. When its program
//! ends, everything in its session ends too, the attachments see the last output and the exit, and the record is revoked.
//! Only a daemon, which takes a session of its own, lives on.
//!
//! Other nodes reach them in two ways: by the operations that [`bundles`] gives, `tty/spawn` and its like, and by a protocol
//! of their own on the ALPN `alknet/tty`, whose streams are terminals ([`wire`]) and which a [`TtyHandler`] serves. Both
//! let the same callers do the same. [`end_orphans`] ends the terminals of peers that are removed.
//!
//! A program gets an environment of its own: nothing in it is the node's, and it has no descriptor but those of its
//! terminal.
//!
//! ```
//! use std::sync::Arc;
//! use alknet_core::MemoryOwnership;
//! use alknet_tty::{AttachEvent, ExitStatus, SpawnRequest, Terminals, TtyConfig};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let config: TtyConfig = toml::from_str(r#"commands = ["/bin/sh"]"#)?;
//! let terminals = Terminals::new(config, Arc::new(MemoryOwnership::default()));
//! let (info, mut attachment) = terminals.spawn_attached(SpawnRequest::of("alice")).await?;
//! terminals.write(&info.id, b"echo $((6 * 7)); exit 3\n").await?;
//!
//! let mut screen = Vec::new();
//! while let Some(event) = attachment.next().await {
//!     match event {
//!         AttachEvent::Output { bytes, .. } => screen.extend(bytes),
//!         AttachEvent::Exit(status) => assert_eq!(status, ExitStatus::Code(3)),
//!         _ => {}
//!     }
//! }
//! assert!(String::from_utf8(screen)?.contains("42\r\n"));
//! assert!(terminals.get(&info.id).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attachment;
mod audit;
mod config;
mod environment;
mod error;
mod handler;
mod id;
mod life;
mod operations;
mod orphans;
mod output;
mod process;
mod pty;
mod request;
mod session;
mod signal;
mod slots;
mod terminal;
mod terminals;
pub mod wire;

pub use attachment::{AttachEvent, AttachOptions, Attachment};
pub use config::TtyConfig;
pub use error::TtyError;
pub use handler::TtyHandler;
pub use operations::{SpawnInput, bundles};
pub use orphans::end_orphans;
pub use request::{MAX_SIDE, SpawnRequest};
pub use signal::{ExitStatus, Signal};
pub use terminal::TerminalInfo;
pub use terminals::{MAX_WRITE, Terminals};

/// The ALPN identifier of the protocol.
pub const ALPN: &str = "alknet/tty";

/// What terminals are called in the ownership store, and in `resource_type`.
pub const KIND: &str = "tty";
