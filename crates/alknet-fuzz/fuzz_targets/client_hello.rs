//! Any bytes as the start of a TLS handshake, in any pieces: they are read without a panic, and the pieces do not matter.
#![no_main]

use alknet_core::tls::{ClientHelloInfo, ClientHelloReader};
use libfuzzer_sys::fuzz_target;

/// What a reader made of all bytes, or of as many as it needed. Which words an error has may depend on the pieces.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<ClientHelloInfo>, ()> {
    let mut reader = ClientHelloReader::new();
    for piece in pieces {
        if let Some(hello) = reader.push(piece).map_err(|_| ())? {
            return Ok(Some(hello));
        }
    }
    Ok(None)
}

/// One handshake message: its type, its length in three bytes, and so much.
///
/// What follows a ClientHello is the peer's mistake, and seen as such only by a reader that gets it in the same piece.
fn first_message(bytes: &[u8]) -> &[u8] {
    match bytes {
        [_, high, middle, low, body @ ..] => {
            let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
            &bytes[..4 + length.min(body.len())]
        }
        _ => bytes,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((pieces, bytes)) = alknet_fuzz::split(input) else { return };
    let message = first_message(bytes);
    let whole = read(std::iter::once(message));
    assert_eq!(read(pieces.of(message)), whole, "the pieces changed the outcome");
    if message.len() < bytes.len() {
        // What follows decides nothing that could be foretold, but it must not do harm.
        let _ = read(pieces.of(bytes));
    }
});
