//! The price of trying a passphrase.

/// What Argon2id costs: the time and memory for trying one passphrase, for the owner and for an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub(super) memory_kib: u32,
    pub(super) iterations: u32,
    pub(super) parallelism: u32,
}

impl Cost {
    /// For a passphrase that a person chose: 64 MiB, 3 iterations, 4 lanes, the second recommended option of RFC 9106 §4.
    /// Takes some tenths of a second.
    pub const PASSPHRASE: Self = Self { memory_kib: 64 * 1024, iterations: 3, parallelism: 4 };

    /// For a passphrase that a machine made from 256 bits of randomness: 1 MiB, 1 iteration, 1 lane. Takes a millisecond.
    ///
    /// Stretching makes every guess dearer, which matters only when the passphrase can be guessed. Nobody guesses 256
    /// random bits at any price, so here it would add nothing but a delay at every start.
    pub const RANDOM_KEY: Self = Self { memory_kib: 1024, iterations: 1, parallelism: 1 };

    /// The most memory that a file may ask for, in KiB: 1 GiB.
    pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    /// The most iterations that a file may ask for.
    pub const MAX_ITERATIONS: u32 = 64;
    /// The most lanes that a file may ask for.
    pub const MAX_PARALLELISM: u32 = 16;
    /// The least memory per lane in KiB (RFC 9106 §3.1).
    pub const MIN_MEMORY_KIB_PER_LANE: u32 = 8;

    /// A cost of one's own: `memory_kib` in KiB of 1024 bytes, and the number of passes and lanes.
    ///
    /// # Errors
    ///
    /// [`CostError`] if a number is outside the bounds above. They keep a file from asking for hours or all memory.
    pub const fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self, CostError> {
        if parallelism < 1 || parallelism > Self::MAX_PARALLELISM {
            return Err(CostError::Parallelism { found: parallelism });
        }
        if iterations < 1 || iterations > Self::MAX_ITERATIONS {
            return Err(CostError::Iterations { found: iterations });
        }
        let least = Self::MIN_MEMORY_KIB_PER_LANE * parallelism;
        if memory_kib < least || memory_kib > Self::MAX_MEMORY_KIB {
            return Err(CostError::Memory { found: memory_kib, least });
        }
        Ok(Self { memory_kib, iterations, parallelism })
    }

    /// Memory in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Number of passes over the memory.
    pub fn iterations(self) -> u32 {
        self.iterations
    }

    /// Number of lanes.
    pub fn parallelism(self) -> u32 {
        self.parallelism
    }
}

/// A cost is outside the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// Too much or too little memory.
    #[error("Argon2id with {found} KiB of memory is out of bounds: from {least} to {} KiB", Cost::MAX_MEMORY_KIB)]
    Memory {
        /// The memory asked for, in KiB.
        found: u32,
        /// The least that the number of lanes allows, in KiB.
        least: u32,
    },
    /// Too many or no iterations.
    #[error("Argon2id with {found} iterations is out of bounds: from 1 to {}", Cost::MAX_ITERATIONS)]
    Iterations {
        /// The number asked for.
        found: u32,
    },
    /// Too many or no lanes.
    #[error("Argon2id with a parallelism of {found} is out of bounds: from 1 to {}", Cost::MAX_PARALLELISM)]
    Parallelism {
        /// The number asked for.
        found: u32,
    },
}
