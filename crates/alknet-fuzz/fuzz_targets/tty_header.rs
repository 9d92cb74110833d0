//! Any bytes at the start of a stream of `alknet/tty`, in any pieces: what is held stays within the limit, the pieces do not
//! matter, what follows the header is left as it is, and a header or reply that was understood says the same when it is
//! written again.
#![no_main]

use alknet_call::wire::FrameError;
use alknet_tty::wire::{Header, MAX_HEADER, Reply, decode};
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;

const LENGTH: usize = 4;

/// The first frame, and what is left behind it.
fn first<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Result<Option<Bytes>, FrameError>, BytesMut) {
    let (mut buffer, mut first) = (BytesMut::new(), Ok(None));
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if let Ok(None) = first {
            first = decode(&mut buffer);
            assert!(
                !matches!(first, Ok(None)) || buffer.len() < LENGTH + MAX_HEADER,
                "{} bytes are held",
                buffer.len()
            );
        }
    }
    (first, buffer)
}

fn check(frame: &[u8]) {
    if let Ok(header) = Header::parse(frame) {
        // The same may be longer: a character needs an escape that it did not have, or stands in several fields.
        if let Ok(mut written) = header.encode().map(BytesMut::from) {
            let frame = decode(&mut written).expect("it is in order").expect("it is whole");
            assert_eq!(Header::parse(&frame).as_ref(), Ok(&header));
        }
    }
    if let Ok(reply) = Reply::parse(frame)
        && let Ok(mut written) = reply.encode().map(BytesMut::from)
    {
        let frame = decode(&mut written).expect("it is in order").expect("it is whole");
        assert_eq!(Reply::parse(&frame).as_ref(), Ok(&reply));
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((pieces, bytes)) = alknet_fuzz::split(input) else { return };
    let (frame, rest) = first(pieces.of(bytes));
    assert_eq!(first(std::iter::once(bytes)), (frame.clone(), rest.clone()), "the pieces changed the outcome");
    match frame {
        Ok(Some(frame)) => {
            assert_eq!(LENGTH + frame.len() + rest.len(), bytes.len());
            check(&frame);
        }
        Ok(None) | Err(_) => assert!(bytes.ends_with(&rest)),
    }
});
