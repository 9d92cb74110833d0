//! Reads what this process logs, so it has to be alone in it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alknet_call::{CallerInfo, ErrorCode, OperationContext, Registry};
use alknet_core::{Identity, MemoryOwnership};
use alknet_tty::{Terminals, TtyConfig};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_log_tells_who_did_what_and_for_whom_in_one_line_each() {
    let log = Log::default();
    let lines = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    tracing::subscriber::set_global_default(lines).unwrap();
    let store = Arc::new(MemoryOwnership::default());
    let registry = Registry::new().with_ownership(store.clone());
    let config = TtyConfig { commands: vec!["/bin/sh".into()], ..TtyConfig::default() };
    let _operations = registry.install(alknet_tty::bundles(&Terminals::new(config, store))).unwrap();
    let call = |operation, input, whom| timeout(LIMIT, registry.invoke(operation, input, by_hub(whom)));

    let spawned = call("tty/spawn", json!({ "args": ["-c", "echo ready; exec cat"] }), Some("alice")).await;
    let id = spawned.unwrap().unwrap()["id"].as_str().unwrap().to_owned();
    let mut events = registry.subscribe("tty/attach", json!({ "id": id }), by_hub(None)).unwrap();
    assert!(timeout(LIMIT, events.next()).await.unwrap().unwrap().unwrap().get("output").is_some());
    call("tty/signal", json!({ "id": id, "signal": "CONT" }), Some("bob")).await.unwrap().unwrap();
    call("tty/kill", json!({ "id": id }), None).await.unwrap().unwrap();
    let again = call("tty/kill", json!({ "id": id }), Some("mallory")).await.unwrap().unwrap_err();
    assert_eq!(again.code, ErrorCode::Forbidden);

    let lines = log.lines();
    let of = |words: &str| {
        let found: Vec<_> = lines.iter().filter(|line| line.contains(words)).collect();
        assert_eq!(found.len(), 1, "{words}: {lines:#?}");
        found[0].clone()
    };
    let claim = r#"forwarded_for="{\"id\":\"alice\"}""#;
    let spawned = of(r#"operation="/tty/spawn""#);
    assert!(spawned.contains(claim) && spawned.contains(r#"peer="hub""#), "{spawned}");
    assert!(spawned.contains(r#"terminal spawned by hub for {"id":"alice"}"#), "{spawned}");
    let exited = of("terminal exited");
    assert!(exited.contains(claim) && exited.contains("exit=signal HUP"), "{exited}");
    assert!(of(r#"operation="/tty/attach""#).contains("terminal attached by hub"));
    let signalled = of(r#"operation="/tty/signal""#);
    assert!(signalled.contains(r#"signal="CONT""#) && signalled.contains(r#"by hub for {"id":"bob"}"#), "{signalled}");
    assert!(of(r#"operation="/tty/kill""#).contains("terminal killed by hub"));
    assert!(lines.iter().all(|line| line.contains(&format!("terminal=\"{id}\""))), "{lines:#?}");
}

fn by_hub(whom: Option<&str>) -> OperationContext {
    let scopes = vec!["tty:*".parse().unwrap()];
    let hub = Identity { id: "hub".into(), scopes, resources: Default::default() };
    let mut context = OperationContext::new("1", Some(Arc::new(hub)), CallerInfo::in_process(), LIMIT);
    context.forwarded_for = whom.map(|whom| json!({ "id": whom }));
    context
}

/// What is logged at the level of `info`, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(Into::into).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
