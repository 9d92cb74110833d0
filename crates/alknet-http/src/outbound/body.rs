//! Reading the body of an answer, up to a limit.

use bytes::{Bytes, BytesMut};

use super::RequestError;
use super::client::{describe, server_of};

/// The whole body.
pub(crate) async fn read(mut response: reqwest::Response, limit: usize) -> Result<Bytes, RequestError> {
    let may_fit = response.content_length().is_none_or(|length| length <= limit as u64);
    if may_fit && let (body, true) = collect(&mut response, limit).await? {
        return Ok(body);
    }
    Err(RequestError::TooLong { server: server_of(response.url()), limit })
}

/// The body as far as it is no longer than `limit`.
pub(crate) async fn read_start(mut response: reqwest::Response, limit: usize) -> Result<Bytes, RequestError> {
    Ok(collect(&mut response, limit).await?.0)
}

/// The start of the body, and whether that is all of it.
async fn collect(response: &mut reqwest::Response, limit: usize) -> Result<(Bytes, bool), RequestError> {
    // Most bodies are one chunk, which need not be copied.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let mut chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok((joined(first, rest), true)),
            Err(error) => {
                return Err(RequestError::Broken { server: server_of(response.url()), reason: describe(error) });
            }
        };
        let room = limit - first.len() - rest.len();
        let complete = chunk.len() <= room;
        chunk.truncate(room);
        match first.is_empty() {
            true => first = chunk,
            false => rest.extend_from_slice(&chunk),
        }
        if !complete {
            return Ok((joined(first, rest), false));
        }
    }
}

fn joined(first: Bytes, rest: BytesMut) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.unsplit(rest);
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn response(chunks: &[Vec<u8>]) -> reqwest::Response {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok::<_, Infallible>(chunk.clone())).collect();
        http::Response::new(reqwest::Body::wrap_stream(futures_util::stream::iter(chunks))).into()
    }

    proptest! {
        #[test]
        fn a_body_is_read_whole_or_up_to_the_limit(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6),
            limit in 0usize..80,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let all = chunks.concat();
            let start = runtime.block_on(read_start(response(&chunks), limit)).unwrap();
            let complete = all.len() <= limit;
            prop_assert_eq!(&start[..], &all[..limit.min(all.len())]);
            let whole = runtime.block_on(read(response(&chunks), limit));
            prop_assert_eq!(whole.ok().map(|whole| whole.to_vec()), complete.then_some(all));
        }
    }
}
