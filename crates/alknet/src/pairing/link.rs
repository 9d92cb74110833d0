//! `alknet://HOST:PORT/KEY/TOKEN`: all that a node needs to join another one.

use std::str::FromStr;

use alknet_core::{Destination, Fingerprint, ServerIdentity};
use zeroize::Zeroizing;

use super::{JoinToken, base32};
use crate::config::Address;

const SCHEME: &str = "alknet://";
const KEY_BYTES: usize = 32;
const KEY_LENGTH: usize = base32::length(KEY_BYTES);

/// Longer than any: a host name has 253 characters.
const MAX_LENGTH: usize = 512;

/// Where a node is, which key it has, and a token that it takes once.
///
/// Key and token are in base 32, so that the whole link may be in upper case: a QR code of it is a third smaller then. It
/// holds a secret, so there is neither `Debug` nor `Display`.
///
/// ```
/// use alknet::pairing::PairingLink;
/// let text = format!("alknet://hub.example:4433/{}/{}", "a".repeat(52), "b".repeat(25) + "a");
/// let link: PairingLink = text.to_uppercase().parse()?;
/// assert_eq!(*link.reveal(), text);
/// # Ok::<(), alknet::pairing::InvalidLink>(())
/// ```
pub struct PairingLink {
    address: Address,
    key: [u8; KEY_BYTES],
    token: JoinToken,
}

impl PairingLink {
    /// A link to the node with `fingerprint`, if that is an Ed25519 key's, as all nodes' are.
    pub fn new(address: Address, fingerprint: Fingerprint, token: JoinToken) -> Option<Self> {
        match fingerprint {
            Fingerprint::Ed25519(key) => Some(Self { address, key, token }),
            _ => None,
        }
    }

    /// Where the node is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Its key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::Ed25519(self.key)
    }

    /// What to show it.
    pub fn token(&self) -> &JoinToken {
        &self.token
    }

    /// Whom to dial: that node and no other.
    pub fn destination(&self) -> Destination {
        let identity = ServerIdentity::Pinned(vec![self.fingerprint()]);
        Destination { address: self.address.to_string(), identity }
    }

    /// The link with its token.
    pub fn reveal(&self) -> Zeroizing<String> {
        // All at once: growing would leave a part of a secret in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(MAX_LENGTH));
        text.push_str(SCHEME);
        text.push_str(self.address.as_str());
        text.push('/');
        base32::encode(&self.key, &mut text);
        text.push('/');
        text.push_str(&self.token.reveal());
        text
    }

    /// Whether a text is meant to be one, and not for instance the name of a file.
    pub fn is_meant_by(text: &str) -> bool {
        text.get(..SCHEME.len()).is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
    }
}

impl FromStr for PairingLink {
    type Err = InvalidLink;

    fn from_str(text: &str) -> Result<Self, InvalidLink> {
        if !Self::is_meant_by(text) {
            return Err(InvalidLink::Scheme);
        }
        let rest = text.get(SCHEME.len()..).filter(|_| text.len() <= MAX_LENGTH).ok_or(InvalidLink::Shape)?;
        let mut parts = rest.split('/');
        let (Some(address), Some(key), Some(token), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidLink::Shape);
        };
        let key = base32::decode(key).ok_or(InvalidLink::Key { length: key.chars().count() })?;
        let token = token.parse().map_err(|()| InvalidLink::Token { length: token.chars().count() })?;
        Ok(Self { address: address_in(address)?, key: *key, token })
    }
}

/// The address, in lower case as host names are compared.
fn address_in(text: &str) -> Result<Address, InvalidLink> {
    let digits = text.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = text.to_ascii_lowercase().parse().map_err(InvalidLink::Address)?;
    digits.then_some(address).ok_or(InvalidLink::Shape)
}

/// A text that is no pairing link, and why. It shows nothing of the text but the address, for the rest may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLink {
    /// Something else.
    #[error("this is no pairing link: one begins with \"alknet://\", as \"alknet invite\" prints it")]
    Scheme,
    /// Parts are missing, or there are too many.
    #[error("this is no whole pairing link: it has to be alknet://HOST:PORT/KEY/TOKEN, as \"alknet invite\" prints it")]
    Shape,
    /// The address is none.
    #[error("the address of the pairing link is wrong: {0}")]
    Address(String),
    /// The key is none.
    #[error(
        "the key of the pairing link is wrong: it has {length} characters, and should have {KEY_LENGTH}, all of a-z and 2-7"
    )]
    Key {
        /// How many characters stand there.
        length: usize,
    },
    /// The token is none.
    #[error(
        "the token of the pairing link is wrong: it has {length} characters, and should have {}, all of a-z and 2-7; is the \
         end missing?",
        JoinToken::LENGTH
    )]
    Token {
        /// How many characters stand there.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses() -> impl Strategy<Value = Address> {
        let port = 1u16..;
        let name = "[a-z0-9][a-z0-9-]{0,20}(\\.[a-z]{1,10}){0,3}".prop_map(|host| host);
        let ipv6 = any::<std::net::Ipv6Addr>().prop_map(|ip| format!("[{ip}]"));
        let ipv4 = any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string());
        (prop_oneof![name, ipv6, ipv4], port).prop_map(|(host, port)| format!("{host}:{port}").parse().unwrap())
    }

    fn error(text: &str) -> String {
        text.parse::<PairingLink>().err().unwrap().to_string()
    }

    proptest! {
        #[test]
        fn every_link_reads_back_in_either_case(address in addresses(), key: [u8; 32]) {
            let token = JoinToken::generate().unwrap();
            let hash = token.hash();
            let link = PairingLink::new(address.clone(), Fingerprint::Ed25519(key), token).unwrap();
            for text in [link.reveal().to_string(), link.reveal().to_uppercase()] {
                let read: PairingLink = text.parse().unwrap();
                prop_assert_eq!(read.address(), &address);
                prop_assert_eq!(read.fingerprint(), Fingerprint::Ed25519(key));
                prop_assert_eq!(read.token().hash(), hash);
                prop_assert_eq!(read.reveal(), link.reveal());
            }
        }

        #[test]
        fn there_is_one_text_for_each_link(text in "alknet://[a-z0-9+.:\\[\\]]{1,30}:[0-9+]{1,5}/[a-z2-7]{52}/[a-z2-7]{26}/?") {
            if let Ok(link) = text.parse::<PairingLink>() {
                prop_assert_eq!(&*link.reveal(), &text);
            }
        }

        #[test]
        fn no_text_panics(text in "(alknet://)?.{0,200}") {
            let _ = text.parse::<PairingLink>();
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_shows_no_secret() {
        let (key, token) = ("a".repeat(52), "b".repeat(25) + "a");
        let link = |address: &str, key: &str, token: &str| format!("alknet://{address}/{key}/{token}");
        assert!(error("https://hub:1/a").contains("begins with \"alknet://\""));
        assert!(error("alknet://hub:1").contains("HOST:PORT/KEY/TOKEN"));
        assert!(error(&link("hub", &key, &token)).contains("as in \"hub:4433\""));
        assert!(error(&link("hub:+1", &key, &token)).contains("HOST:PORT"));
        assert!(error(&link("hub:1", &token, &key)).contains("the key of the pairing link is wrong: it has 26"));
        let cut = error(&link("hub:1", &key, &token[1..]));
        assert!(cut.contains("it has 25 characters, and should have 26") && !cut.contains("bbb"), "{cut}");
        assert!(error(&(link("hub:1", &key, &token) + "/")).contains("HOST:PORT/KEY/TOKEN"));
    }
}
