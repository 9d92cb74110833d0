//! BIP-39 phrases: a node's seed as words that a person can write down.
//!
//! Source: [BIP-39](https://github.com/bitcoin/bips/blob/master/bip-0039.mediawiki), English word list.

use std::borrow::Cow;

use bip39::Language;
use zeroize::Zeroizing;

use crate::random::{self, RandomError};
use crate::secret::Seed;

/// Longest phrase in bytes: 24 words of at most 8 letters, and a space after each.
const MAX_PHRASE_LEN: usize = 24 * 9;
/// Longest entropy in bytes, that of 24 words.
const MAX_ENTROPY_LEN: usize = 32;

/// How many words a phrase has. More words mean more entropy; 24 is the choice for a new node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WordCount {
    /// 12 words, 128 bits.
    Twelve,
    /// 15 words, 160 bits.
    Fifteen,
    /// 18 words, 192 bits.
    Eighteen,
    /// 21 words, 224 bits.
    TwentyOne,
    /// 24 words, 256 bits.
    #[default]
    TwentyFour,
}

impl WordCount {
    /// Every count that BIP-39 has, in ascending order.
    pub const ALL: [Self; 5] = [Self::Twelve, Self::Fifteen, Self::Eighteen, Self::TwentyOne, Self::TwentyFour];

    /// The number of words.
    pub fn words(self) -> usize {
        match self {
            Self::Twelve => 12,
            Self::Fifteen => 15,
            Self::Eighteen => 18,
            Self::TwentyOne => 21,
            Self::TwentyFour => 24,
        }
    }

    /// The number of bytes of entropy. BIP-39 makes 3 words of 32 bits of entropy and one bit of checksum.
    pub fn entropy_len(self) -> usize {
        self.words() / 3 * 4
    }
}

impl TryFrom<usize> for WordCount {
    type Error = MnemonicError;

    fn try_from(words: usize) -> Result<Self, MnemonicError> {
        let count = Self::ALL.into_iter().find(|count| count.words() == words);
        count.ok_or(MnemonicError::WordCount { found: words })
    }
}

/// An English BIP-39 phrase with a valid checksum.
///
/// Wiped when dropped. Implements neither `Debug`, `Display`, `Serialize` nor `Clone`; [`Mnemonic::phrase`] is the only
/// way to the words.
// On the heap, so that moving it leaves no copies behind. `bip39::Mnemonic` wipes itself when dropped.
pub struct Mnemonic(Box<bip39::Mnemonic>);

impl Mnemonic {
    /// A new random phrase.
    ///
    /// # Errors
    ///
    /// [`MnemonicError::Random`] if the operating system has no randomness.
    pub fn generate(count: WordCount) -> Result<Self, MnemonicError> {
        let mut entropy = Zeroizing::new([0; MAX_ENTROPY_LEN]);
        let (entropy, _) = entropy.split_at_mut(count.entropy_len());
        random::fill(entropy)?;
        Self::from_entropy(entropy)
    }

    /// The phrase for given entropy, which must come from a good random number generator.
    ///
    /// # Errors
    ///
    /// [`MnemonicError::EntropyLength`] if there are not 16, 20, 24, 28 or 32 bytes.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, MnemonicError> {
        let mnemonic = bip39::Mnemonic::from_entropy_in(Language::English, entropy);
        let mnemonic = mnemonic.map_err(|_| MnemonicError::EntropyLength { found: entropy.len() })?;
        Ok(Self(Box::new(mnemonic)))
    }

    /// Reads a phrase. The words may be separated by any white space and be written in any case.
    ///
    /// # Errors
    ///
    /// [`MnemonicError::WordCount`], [`MnemonicError::UnknownWord`] or [`MnemonicError::Checksum`].
    pub fn parse(phrase: &str) -> Result<Self, MnemonicError> {
        let mut phrase = nfkd(phrase);
        phrase.make_ascii_lowercase();
        let mnemonic = bip39::Mnemonic::parse_in_normalized(Language::English, &phrase);
        let mnemonic = mnemonic.map_err(|error| match error {
            bip39::Error::UnknownWord(index) => MnemonicError::UnknownWord { position: index + 1 },
            bip39::Error::BadWordCount(found) => MnemonicError::WordCount { found },
            // What is left cannot happen here: the language is given, and so is every word.
            _ => MnemonicError::Checksum,
        })?;
        Ok(Self(Box::new(mnemonic)))
    }

    /// The words, separated by single spaces. For showing to the owner once, when the phrase is made.
    pub fn phrase(&self) -> Zeroizing<String> {
        // The capacity is there from the start: growing would leave a part of the phrase in freed memory.
        let mut phrase = Zeroizing::new(String::with_capacity(MAX_PHRASE_LEN));
        for word in self.0.words() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        phrase
    }

    /// The seed: PBKDF2-HMAC-SHA512 of the phrase, 2048 rounds, salted with "mnemonic" and the passphrase.
    ///
    /// The passphrase is BIP-39's optional one ("" for none), normalised to Unicode NFKD as BIP-39 asks. Every passphrase
    /// gives a valid seed, so a mistyped one is not an error but another node.
    pub fn to_seed(&self, passphrase: &str) -> Seed {
        let seed = Zeroizing::new(self.0.to_seed_normalized(&nfkd(passphrase)));
        Seed::from_bytes(&seed)
    }
}

/// The text in Unicode normalization form NFKD, in memory that is wiped when dropped.
fn nfkd(text: &str) -> Zeroizing<String> {
    let mut normalised = Cow::Borrowed(text);
    bip39::Mnemonic::normalize_utf8_cow(&mut normalised);
    Zeroizing::new(normalised.into_owned())
}

/// A phrase was not valid, or none could be made. The messages never contain a word of the phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MnemonicError {
    /// The phrase has a number of words that BIP-39 does not have.
    #[error("the phrase has {found} words: a BIP-39 phrase has 12, 15, 18, 21 or 24")]
    WordCount {
        /// How many words there are.
        found: usize,
    },
    /// A word is not in the list.
    #[error("word {position} of the phrase is not in the English BIP-39 word list: check its spelling")]
    UnknownWord {
        /// Which word it is, counted from 1.
        position: usize,
    },
    /// All words are known, but they do not fit together.
    #[error("the checksum of the phrase does not match: a word is wrong, or the words are in the wrong order")]
    Checksum,
    /// The entropy has a length that BIP-39 does not have.
    #[error("a BIP-39 phrase cannot be made of {found} bytes of entropy: it takes 16, 20, 24, 28 or 32")]
    EntropyLength {
        /// How many bytes there are.
        found: usize,
    },
    /// There was no randomness to make a phrase of.
    #[error(transparent)]
    Random(#[from] RandomError),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PHRASE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

    fn parse_error(phrase: &str) -> MnemonicError {
        Mnemonic::parse(phrase).err().unwrap()
    }

    #[test]
    fn every_word_count_is_generated_and_parsed() {
        for count in WordCount::ALL {
            let mnemonic = Mnemonic::generate(count).unwrap();
            let phrase = mnemonic.phrase();
            assert_eq!(phrase.split(' ').count(), count.words());
            assert!(phrase.len() <= MAX_PHRASE_LEN);
            let parsed = Mnemonic::parse(&phrase).unwrap();
            assert_eq!(parsed.to_seed("x").as_bytes(), mnemonic.to_seed("x").as_bytes());
            assert_ne!(phrase, Mnemonic::generate(count).unwrap().phrase());
            assert_eq!(WordCount::try_from(count.words()), Ok(count));
        }
        assert_eq!(WordCount::try_from(13), Err(MnemonicError::WordCount { found: 13 }));
    }

    #[test]
    fn white_space_and_case_do_not_matter() {
        let seed = Mnemonic::parse(PHRASE).unwrap().to_seed("");
        for phrase in [format!("\n {PHRASE}\n"), PHRASE.replace(' ', "\r\n"), PHRASE.to_uppercase()] {
            assert_eq!(Mnemonic::parse(&phrase).unwrap().to_seed("").as_bytes(), seed.as_bytes());
        }
    }

    #[test]
    fn the_passphrase_is_normalised() {
        let mnemonic = Mnemonic::parse(PHRASE).unwrap();
        let composed = mnemonic.to_seed("caf\u{e9}");
        assert_eq!(composed.as_bytes(), mnemonic.to_seed("cafe\u{301}").as_bytes());
        assert_ne!(composed.as_bytes(), mnemonic.to_seed("cafe").as_bytes());
    }

    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(parse_error(""), MnemonicError::WordCount { found: 0 });
        assert_eq!(parse_error(&format!("{PHRASE} legal")), MnemonicError::WordCount { found: 13 });
        let error = parse_error(&PHRASE.replace("year", "yaer"));
        assert_eq!(error, MnemonicError::UnknownWord { position: 4 });
        assert!(error.to_string().starts_with("word 4 of the phrase"), "{error}");
        assert_eq!(parse_error(&PHRASE.replace("yellow", "year")), MnemonicError::Checksum);
        for length in [0, 15, 17, 33, 64] {
            let error = Mnemonic::from_entropy(&vec![0; length]).err();
            assert_eq!(error, Some(MnemonicError::EntropyLength { found: length }));
        }
    }

    #[test]
    fn the_checksum_of_15_and_21_words_is_checked() {
        // The official vectors have no phrases of 15 and 21 words. Of the words that could replace the last one,
        // exactly those pass that carry the right checksum: 1 in 2^5, and 1 in 2^7.
        for (length, passing) in [(20, 2048 >> 5), (28, 2048 >> 7)] {
            let phrase = Mnemonic::from_entropy(&vec![0x5a; length]).unwrap().phrase();
            let (start, _) = phrase.rsplit_once(' ').unwrap();
            let list = Language::English.word_list();
            let valid = list.iter().filter(|word| Mnemonic::parse(&format!("{start} {word}")).is_ok());
            assert_eq!(valid.count(), passing);
        }
    }

    proptest! {
        #[test]
        fn entropy_survives_the_phrase(entropy: [u8; 32], count in 0usize..5) {
            let entropy = &entropy[..WordCount::ALL[count].entropy_len()];
            let mnemonic = Mnemonic::from_entropy(entropy).unwrap();
            prop_assert_eq!(mnemonic.0.to_entropy(), entropy);
            prop_assert_eq!(Mnemonic::parse(&mnemonic.phrase()).unwrap().0.to_entropy(), entropy);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = Mnemonic::parse(&text);
            let _ = Seed::from_credential(text.as_bytes());
        }
    }
}
