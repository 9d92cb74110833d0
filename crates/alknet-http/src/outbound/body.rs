//! Reading the body of an answer, up to a limit.

use bytes::{Bytes, BytesMut};

use super::RequestError;
use super::client::{describe, server_of};

/// The whole body.
pub(crate) async fn read(response: reqwest::Response, limit: usize) -> Result<Bytes, RequestError> {
    let too_long = RequestError::TooLong { server: server_of(response.url()), limit };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_long);
    }
    match read_start(response, limit).await? {
        (body, true) => Ok(body),
        (_, false) => Err(too_long),
    }
}

/// The body as far as it is no longer than `limit`, and whether that is all of it.
pub(crate) async fn read_start(mut response: reqwest::Response, limit: usize) -> Result<(Bytes, bool), RequestError> {
    let server = server_of(response.url());
    // Most bodies are one chunk, which need not be copied.
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(mut chunk) = response
        .chunk()
        .await
        .map_err(|error| RequestError::Broken { server: server.clone(), reason: describe(error) })?
    {
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
    Ok((joined(first, rest), true))
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
            let (start, complete) = runtime.block_on(read_start(response(&chunks), limit)).unwrap();
            prop_assert_eq!(complete, all.len() <= limit);
            prop_assert_eq!(&start[..], &all[..limit.min(all.len())]);
            let whole = runtime.block_on(read(response(&chunks), limit));
            prop_assert_eq!(whole.ok().map(|whole| whole.to_vec()), complete.then_some(all));
        }
    }
}
