//! Random bytes, from the one crypto provider in the tree.

use aws_lc_rs::rand;
use zeroize::Zeroize;

/// The random number generator gave no bytes.
///
/// This happens only when the operating system has no source of randomness, and nothing can be encrypted or generated
/// until it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the random number generator gave no bytes: the operating system has no working source of randomness")]
pub struct RandomError;

/// Fills `buffer` with random bytes. It is empty (all zero) after an error.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), RandomError> {
    rand::fill(buffer).map_err(|_| {
        buffer.zeroize();
        RandomError
    })
}

/// Random bytes that are no secret: salts and IVs.
pub(crate) fn array<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}
