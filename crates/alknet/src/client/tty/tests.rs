use alknet_call::ErrorCode;
use alknet_core::DialError;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, empty, sink};
use tokio::sync::watch;

use super::testkit::{Attached, error};
use super::*;

const TYPED: Input = Input::Typed(EscapeChar::of(b'~'));
const PIPED: Input = Input::Piped { eager: true };

fn exited(code: i32) -> Outcome {
    Outcome::Exited(Exit::Code(code))
}

#[tokio::test(start_paused = true)]
async fn output_is_shown_until_the_program_ends() {
    let attached = Attached::new();
    let mut screen = Vec::new();
    let outcome = attached.run(Input::None, empty(), &mut screen, async |fake| {
        fake.put("hello ");
        fake.put("world\r\n");
        fake.exit(json!({ "signal": "KILL" }));
    });
    assert_eq!(outcome.await.unwrap(), Outcome::Exited(Exit::Signal("KILL".to_owned())));
    assert_eq!(screen, b"hello world\r\n");
    assert_eq!(attached.fake.state().attached, [json!({ "id": "t-1", "from": 0 })]);
}

#[tokio::test(start_paused = true)]
async fn a_paste_arrives_whole_and_in_order_and_waits_for_the_program() {
    let attached = Attached::new();
    let paste: Vec<u8> = (0..1024 * 1024u32).map(|n| b"abcdefghijk\r"[n as usize % 12]).collect();
    attached.fake.change(|state| state.stuck = true);
    let (mut typist, keys) = duplex(1024);
    let outcome = attached.run(TYPED, keys, sink(), async |fake| {
        let mut taken = 0;
        while let Ok(written) = tokio::time::timeout(Duration::from_secs(60), typist.write(&paste[taken..])).await {
            taken += written.unwrap();
        }
        assert!(taken < 6 * MAX_WRITE, "the rest waits where it comes from: {taken}");
        fake.change(|state| state.stuck = false);
        fake.until(|state| state.typed.len() == taken).await;
        assert!(fake.state().typed == paste[..taken]);
        fake.exit(json!({ "code": 0 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(0));

    let attached = Attached::new();
    let (mut typist, keys) = duplex(1024);
    let outcome = attached.run(TYPED, keys, sink(), async |fake| {
        typist.write_all(&paste).await.unwrap();
        fake.until(|state| state.typed.len() == paste.len()).await;
        fake.exit(json!({ "code": 0 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(0));
    let state = attached.fake.state();
    assert!(state.typed == paste);
    assert_eq!(
        (state.most_writing, state.longest_write),
        (1, MAX_WRITE),
        "one after the other, and what came together"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_at_once_and_those_that_come_meanwhile_go_together() {
    let attached = Attached::new();
    let (mut typist, keys) = duplex(1024);
    let outcome = attached.run(TYPED, keys, sink(), async |fake| {
        typist.write_all(b"a").await.unwrap();
        fake.until(|state| state.longest_write == 1).await;
        for key in [b"b", b"c", b"d"] {
            typist.write_all(key).await.unwrap();
        }
        fake.until(|state| state.typed == b"abcd").await;
        assert_eq!(fake.state().longest_write, 3);
        fake.exit(json!({ "code": 7 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(7));
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_made_again_and_the_output_goes_on_where_it_was() {
    let attached = Attached::new();
    let unreachable = || DialError::TimedOut { address: "hub:1".to_owned(), seconds: 1.0 };
    attached.dial_errors.borrow_mut().extend([unreachable(), unreachable()]);
    let mut screen = Vec::new();
    let (_typist, keys) = duplex(1);
    let outcome = attached.run(TYPED, keys, &mut screen, async |fake| {
        fake.put("one ");
        fake.until(|state| state.attached.len() == 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.cut();
        fake.put("two ");
        fake.until(|state| state.attached.len() == 2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.cut();
        fake.change(|state| {
            state.output.extend(b"gone three");
            state.kept = b"one two gone ".len();
        });
        fake.until(|state| state.attached.len() == 3).await;
        fake.exit(json!({ "code": 0 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(0));
    assert_eq!(String::from_utf8(screen).unwrap(), "one two three");
    let from: Vec<_> = attached.fake.state().attached.iter().map(|input| input["from"].clone()).collect();
    assert_eq!(from, [0, 4, 8]);
    let told = attached.person.told();
    assert!(
        matches!(told.as_slice(), [Notice::Lost(_), Notice::Back, Notice::Lost(_), Notice::Back, Notice::Skipped(5)]),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_behind_a_hub_that_is_away_is_waited_for() {
    let attached = Attached::new();
    let (_typist, keys) = duplex(1);
    let outcome = attached.run(TYPED, keys, sink(), async |fake| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.change(|state| state.refusal = error(ErrorCode::Unavailable));
        fake.until(|state| state.attached.len() == 5).await;
        fake.change(|state| state.refusal = None);
        tokio::time::sleep(Duration::from_secs(10)).await;
        fake.exit(json!({ "code": 0 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(0));
    let told = attached.person.told();
    assert!(matches!(told.as_slice(), [Notice::Lost(_), Notice::Back]), "once is enough: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_that_is_gone_is_not_waited_for() {
    let attached = Attached::new();
    let (_typist, keys) = duplex(1);
    let outcome = attached.run(TYPED, keys, sink(), async |fake| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.change(|state| state.refusal = error(ErrorCode::Forbidden));
    });
    assert_eq!(outcome.await.unwrap_err().to_string(), "the terminal t-1 has ended, or is not yours");
}

#[tokio::test(start_paused = true)]
async fn what_fails_at_first_is_not_tried_again() {
    for code in [ErrorCode::Unavailable, ErrorCode::InvalidInput, ErrorCode::ResourceExhausted] {
        let attached = Attached::new();
        attached.fake.change(|state| state.refusal = error(code));
        let outcome = attached.run(Input::None, empty(), sink(), async |_| {}).await;
        assert!(matches!(outcome, Err(AttachError::Refused { .. })), "{outcome:?}");
        assert_eq!(attached.fake.state().attached.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn another_node_at_the_same_address_is_not_spoken_to() {
    let attached = Attached::new();
    let other = DialError::WrongIdentity { address: "hub:1".to_owned(), shown: vec![], expected: vec![] };
    attached.dial_errors.borrow_mut().push(other);
    let outcome = attached.run(Input::None, empty(), sink(), async |fake| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.cut();
    });
    assert!(matches!(outcome.await, Err(AttachError::Lost { .. })));
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_this_side_detach_even_if_the_program_reads_nothing() {
    let attached = Attached::new();
    attached.fake.change(|state| state.stuck = true);
    let (mut typist, keys) = duplex(64);
    let outcome = attached.run(TYPED, keys, sink(), async |fake| {
        typist.write_all(b"ls\r").await.unwrap();
        fake.until(|state| state.longest_write == 3).await;
        typist.write_all(b"~?~.").await.unwrap();
    });
    assert_eq!(outcome.await.unwrap(), Outcome::Detached);
    assert_eq!(attached.person.told(), [Notice::Help(EscapeChar::default())]);
}

#[tokio::test(start_paused = true)]
async fn while_there_is_no_connection_the_keys_are_for_this_side() {
    for (keys, given_up) in [(&b"make\r\x03"[..], true), (b"make\r~.", false), (b"", false)] {
        let attached = Attached::new();
        let unreachable = || DialError::TimedOut { address: "hub:1".to_owned(), seconds: 1.0 };
        attached.dial_errors.borrow_mut().extend(std::iter::repeat_with(unreachable).take(100));
        let (mut typist, typed) = duplex(64);
        let outcome = attached.run(TYPED, typed, sink(), async |fake| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            fake.cut();
            tokio::time::sleep(Duration::from_secs(30)).await;
            typist.write_all(keys).await.unwrap();
            drop(typist);
        });
        match outcome.await {
            Err(AttachError::GivenUp { .. }) => assert!(given_up),
            outcome => assert!(!given_up && matches!(outcome, Ok(Outcome::Detached)), "{outcome:?}"),
        }
        assert!(attached.fake.state().typed.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_is_told_which_input_is_in_doubt() {
    let attached = Attached::new();
    attached.fake.change(|state| state.stuck = true);
    let (mut typist, keys) = duplex(64);
    let outcome = attached.run(TYPED, keys, sink(), async |fake| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        typist.write_all(b"rm").await.unwrap();
        fake.until(|state| state.longest_write == 2).await;
        typist.write_all(b" x").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.cut();
        fake.until(|state| state.attached.len() == 2).await;
        fake.exit(json!({ "code": 0 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(0));
    assert!(attached.person.told().contains(&Notice::InputLost(4)), "{:?}", attached.person.told());
}

#[tokio::test(start_paused = true)]
async fn piped_input_ends_with_the_key_that_ends_input() {
    for (input, eager, typed) in [
        (&b"ls\n"[..], true, &b"ls\n\x04"[..]),
        (b"ls", false, b"ls\x04\x04"),
        (b"\n~.\n", true, b"\n~.\n\x04"),
        (b"", true, b"\x04"),
        (b"", false, b""),
    ] {
        let attached = Attached::new();
        let outcome = attached.run(Input::Piped { eager }, input, sink(), async |fake| {
            fake.until(|state| state.typed == typed).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            fake.exit(json!({ "code": 1 }));
        });
        assert_eq!(outcome.await.unwrap(), exited(1));
        assert_eq!(attached.fake.state().typed, typed, "nothing more has come");
    }
}

#[tokio::test(start_paused = true)]
async fn piped_input_goes_on_after_a_lost_connection_unless_a_part_of_it_is_in_doubt() {
    let attached = Attached::new();
    let (mut script, input) = duplex(64);
    let outcome = attached.run(PIPED, input, sink(), async |fake| {
        script.write_all(b"one\n").await.unwrap();
        fake.until(|state| state.typed == b"one\n").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.cut();
        fake.until(|state| state.attached.len() == 2).await;
        script.write_all(b"two\n").await.unwrap();
        fake.until(|state| state.typed == b"one\ntwo\n").await;
        fake.change(|state| state.stuck = true);
        script.write_all(b"three\n").await.unwrap();
        fake.until(|state| state.longest_write == 6).await;
        fake.cut();
    });
    let error = outcome.await.unwrap_err();
    assert_eq!(error.to_string(), "6 bytes of the input of the terminal t-1 may be lost, so the rest is not sent");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_never_reads_is_told_of() {
    let attached = Attached::new();
    attached.fake.change(|state| state.stuck = true);
    let outcome = attached.run(PIPED, &b"ls\n"[..], sink(), async |_| {}).await;
    assert!(matches!(outcome, Err(AttachError::InputLost { bytes: 3, .. })), "{outcome:?}");

    let attached = Attached::new();
    attached.fake.change(|state| state.stuck = true);
    let (mut typist, keys) = duplex(64);
    let outcome = attached.run(TYPED, keys, sink(), async |_| {
        typist.write_all(b"ls\r").await.unwrap();
        tokio::time::sleep(Duration::from_secs(400)).await;
        typist.write_all(b"~.").await.unwrap();
    });
    assert_eq!(outcome.await.unwrap(), Outcome::Detached);
    assert_eq!(attached.person.told(), [Notice::InputUnread(3)]);
}

#[tokio::test(start_paused = true)]
async fn the_exit_counts_more_than_input_that_comes_too_late() {
    let attached = Attached::new();
    attached.fake.change(|state| state.write_refusal = error(ErrorCode::Forbidden));
    let outcome = attached.run(PIPED, &b"exit\nls\n"[..], sink(), async |fake| {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.exit(json!({ "code": 3 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(3));

    let outcome = Attached::new();
    outcome.fake.change(|state| state.write_refusal = error(ErrorCode::Forbidden));
    let refused = outcome.run(PIPED, &b"ls\n"[..], sink(), async |_| {}).await;
    assert!(matches!(refused, Err(AttachError::InputRefused { .. })), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_person_who_may_only_watch_goes_on_watching() {
    let attached = Attached::new();
    attached.fake.change(|state| state.write_refusal = error(ErrorCode::Forbidden));
    let (mut typist, keys) = duplex(64);
    let mut screen = Vec::new();
    let outcome = attached.run(TYPED, keys, &mut screen, async |fake| {
        typist.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        fake.put("news");
        tokio::time::sleep(Duration::from_secs(5)).await;
        typist.write_all(b"yz\x03").await.unwrap();
    });
    assert_eq!(outcome.await.unwrap(), Outcome::Detached);
    assert_eq!(screen, b"news");
    assert_eq!(attached.person.told(), [Notice::InputRefused("FORBIDDEN: no".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn read_only_types_nothing_and_ends_with_the_usual_keys() {
    for end in [&b"\x03"[..], b"\x04", b"\r~."] {
        let attached = Attached::new();
        let (mut typist, keys) = duplex(64);
        let outcome = attached.run(Input::ReadOnly(EscapeChar::default()), keys, sink(), async |_| {
            typist.write_all(b"ls\r").await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
            typist.write_all(end).await.unwrap();
        });
        assert_eq!(outcome.await.unwrap(), Outcome::Detached);
        assert_eq!(attached.fake.state().longest_write, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_size_follows_the_local_terminal_and_is_sent_again_with_each_connection() {
    let size = |rows| Size { rows, cols: 80 };
    let (local, mut sizes) = watch::channel(size(24));
    sizes.mark_changed();
    let attached = Attached { sizes: Some(sizes), ..Attached::new() };
    let outcome = attached.run(Input::None, empty(), sink(), async |fake| {
        fake.until(|state| state.sizes == [(24, 80)]).await;
        local.send_replace(size(50));
        fake.until(|state| state.sizes == [(24, 80), (50, 80)]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        fake.cut();
        fake.until(|state| state.sizes == [(24, 80), (50, 80), (50, 80)]).await;
        fake.exit(json!({ "code": 0 }));
    });
    assert_eq!(outcome.await.unwrap(), exited(0));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_away_ends_the_attachment_quietly() {
    let attached = Attached::new();
    let (screen, mut reader) = duplex(4);
    let outcome = attached.run(Input::None, empty(), screen, async |fake| {
        fake.put("a line and more");
        let mut line = [0; 4];
        reader.read_exact(&mut line).await.unwrap();
        drop(reader);
    });
    assert_eq!(outcome.await.unwrap(), Outcome::OutputClosed);
}

#[tokio::test(start_paused = true)]
async fn without_a_place_to_begin_the_scrollback_is_asked_for() {
    let attached = Attached { from: None, ..Attached::new() };
    attached.fake.put("0123456789");
    attached.fake.change(|state| state.kept = 4);
    let mut screen = Vec::new();
    let outcome = attached.run(Input::None, empty(), &mut screen, async |fake| fake.exit(json!({ "code": 0 }))).await;
    assert_eq!(outcome.unwrap(), exited(0));
    assert_eq!(screen, b"456789");
    assert_eq!(attached.fake.state().attached, [json!({ "id": "t-1", "scrollback": true })]);
}

#[test]
fn a_spawn_leaves_out_what_the_node_decides() {
    assert_eq!(json!(Spawn::default()), json!({}));
    let spawn = Spawn {
        command: Some("/bin/sh".to_owned()),
        args: vec!["-c".to_owned()],
        environment: [("TERM".to_owned(), "xterm".to_owned())].into(),
        size: Some(Size { rows: 24, cols: 80 }),
    };
    let expected: Value =
        json!({ "command": "/bin/sh", "args": ["-c"], "environment": { "TERM": "xterm" }, "rows": 24, "cols": 80 });
    assert_eq!(json!(spawn), expected);
    assert_eq!(TtyService::new("b/a", CallOptions::new()).name(&SPAWN), "/b/a/tty/spawn");
    assert_eq!(TtyService::new("", CallOptions::new()).name(&LIST), "/tty/list");
}
