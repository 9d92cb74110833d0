//! How many there may be.

use alknet_core::OwnershipProvider;
use alknet_tty::{KIND, SpawnRequest, TtyConfig, TtyError};

use crate::common::{Host, config, within};

#[tokio::test]
async fn there_are_limits_in_all_and_for_each_owner() {
    let host = Host::with(TtyConfig { max_terminals: 3, max_terminals_per_owner: 2, ..config() });
    let spawn = |owner: &str| within(host.terminals.spawn(SpawnRequest::of(owner)));
    let first = spawn("alice").await.unwrap();
    spawn("alice").await.unwrap();
    assert!(matches!(spawn("alice").await, Err(TtyError::TooManyOfOwner { limit: 2 })));
    spawn("bob").await.unwrap();
    assert!(matches!(spawn("bob").await, Err(TtyError::TooManyTerminals { limit: 3 })));
    within(host.terminals.kill(&first.id)).await.unwrap();
    spawn("bob").await.unwrap();
    host.terminals.configure(TtyConfig { max_terminals: 4, ..config() });
    spawn("bob").await.unwrap();
    assert_eq!(host.terminals.list().len(), 4);
}

#[tokio::test]
async fn what_is_kept_of_an_ended_terminal_counts() {
    let host = Host::with(TtyConfig { max_terminals: 1, ..config() });
    let (info, screen) = host.sh("echo last").await;
    within(host.store.revocation(KIND, &info.id).cancelled()).await;
    assert!(host.terminals.list().is_empty());
    let refused = within(host.terminals.spawn(SpawnRequest::of("alice"))).await;
    assert!(matches!(refused, Err(TtyError::TooManyTerminals { limit: 1 })));
    assert_eq!(screen.end().await.0, "last\r\n");
    within(host.terminals.spawn(SpawnRequest::of("alice"))).await.unwrap();
}

#[tokio::test]
async fn what_fails_to_start_takes_no_room() {
    let host = Host::with(TtyConfig { max_terminals: 1, commands: vec!["/no/such".into()], ..config() });
    for _ in 0..3 {
        let refused = within(host.terminals.spawn(SpawnRequest::of("alice"))).await;
        assert!(matches!(refused, Err(TtyError::SpawnFailed { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn what_is_told_of_a_terminal_can_be_written_as_json() {
    let host = Host::new();
    let request = SpawnRequest { claim: Some("bob".into()), ..SpawnRequest::of("alice") };
    let info = within(host.terminals.spawn(request)).await.unwrap();
    let json = serde_json::to_value(&info).unwrap();
    let number = |key: &str| json[key].as_u64().unwrap();
    assert_eq!((json["id"].as_str(), json["command"].as_str()), (Some(&*info.id), Some("/bin/sh")));
    assert_eq!((json["owner"].as_str(), json["claim"].as_str()), (Some("alice"), Some("bob")));
    assert_eq!((number("rows"), number("cols"), number("attachments")), (24, 80, 0));
    assert!(number("pid") > 1 && number("spawned") > 1_700_000_000);
}
