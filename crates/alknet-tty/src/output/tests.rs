use super::*;

const ALL: AttachOptions = AttachOptions { from: None, scrollback: true };
const LIVE: AttachOptions = AttachOptions { from: None, scrollback: false };

fn output(offset: u64, bytes: &[u8]) -> Option<AttachEvent> {
    Some(AttachEvent::Output { offset, bytes: Bytes::copy_from_slice(bytes) })
}

fn from(offset: u64) -> AttachOptions {
    AttachOptions { from: Some(offset), scrollback: false }
}

#[test]
fn the_ring_keeps_the_last_bytes_under_their_offsets() {
    let mut state = State::new(8);
    state.push(b"0123456");
    state.push(b"789ab");
    assert_eq!((state.start(), state.end, state.ring.len()), (4, 12, 8));
    let all = state.attach(ALL, 9).unwrap();
    assert_eq!(state.take(all), output(4, b"456789ab"));
    assert_eq!(state.take(all), None);
    state.push(b"a push that is longer than the ring");
    assert_eq!((state.start(), state.end), (39, 47));
    assert!(state.ring.capacity() <= 8);
}

#[test]
fn an_attachment_begins_where_it_asks_to() {
    let mut state = State::new(8);
    state.push(b"0123456789");
    let [lost, kept, live] = [from(0), from(7), LIVE].map(|options| state.attach(options, 9).unwrap());
    assert_eq!(state.take(lost), Some(AttachEvent::Skipped { bytes: 2 }));
    assert_eq!(state.take(lost), output(2, b"23456789"));
    assert_eq!(state.take(kept), output(7, b"789"));
    assert_eq!(state.take(live), None);
    assert!(matches!(state.attach(from(11), 9), Err(TtyError::OffsetAhead { from: 11, end: 10 })));
    assert!(matches!(state.attach(ALL, 3), Err(TtyError::TooManyAttachments { limit: 3 })));
}

#[test]
fn the_fastest_attachment_sets_the_pace_and_the_others_skip() {
    let mut state = State::new(8);
    assert_eq!(state.room(), CHUNK);
    let [fast, slow] = [(); 2].map(|()| state.attach(ALL, 9).unwrap());
    let mut taken = Vec::new();
    for round in 0..5u8 {
        assert_eq!(state.room(), 4);
        state.push(&[round; 4]);
        assert_eq!(state.room(), 0);
        match state.take(fast) {
            Some(AttachEvent::Output { bytes, .. }) => taken.extend(bytes),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(taken.len(), 20);
    assert_eq!(state.take(slow), Some(AttachEvent::Skipped { bytes: 12 }));
    assert_eq!(state.take(slow), output(12, &[3, 3, 3, 3, 4, 4, 4, 4]));
    state.cursors.clear();
    assert_eq!(state.room(), CHUNK);
}

#[test]
fn events_are_chunks_wherever_the_ring_wraps() {
    let mut state = State::new(3 * CHUNK);
    let bytes: Vec<u8> = (0..5 * CHUNK).map(|n| (n % 251) as u8).collect();
    for part in bytes.chunks(1000) {
        state.push(part);
    }
    let key = state.attach(ALL, 9).unwrap();
    let mut taken = Vec::new();
    while let Some(AttachEvent::Output { offset, bytes: chunk }) = state.take(key) {
        assert_eq!(offset as usize, 2 * CHUNK + taken.len());
        assert!(chunk.len() <= CHUNK);
        taken.extend(chunk);
    }
    assert_eq!(taken, bytes[2 * CHUNK..]);
}

#[test]
fn the_exit_comes_after_everything() {
    let mut state = State::new(8);
    let key = state.attach(ALL, 9).unwrap();
    state.push(b"bye");
    state.exit = Some(ExitStatus::Code(0));
    assert_eq!(state.take(key), output(0, b"bye"));
    assert_eq!(state.take(key), Some(AttachEvent::Exit(ExitStatus::Code(0))));
}
