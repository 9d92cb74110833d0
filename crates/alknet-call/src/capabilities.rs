//! Secrets that a handler uses towards others.

use std::collections::BTreeMap;
use std::sync::Arc;

use zeroize::Zeroizing;

/// The outbound secrets that a handler was given when it was registered, by name. They never go over the wire or into a
/// log: there is no `Debug` and no way to serialize them, and they are overwritten when the last clone is dropped. Cheap
/// to clone.
///
/// ```
/// use alknet_call::Capabilities;
/// let capabilities = Capabilities::default().with("github", "ghp_…".to_owned());
/// assert_eq!(capabilities.secret("github").unwrap().reveal(), "ghp_…");
/// assert!(capabilities.secret("gitlab").is_none());
/// ```
///
/// ```compile_fail
/// println!("{:?}", alknet_call::Capabilities::default());
/// ```
#[derive(Clone, Default)]
pub struct Capabilities(Option<Arc<BTreeMap<Box<str>, Secret>>>);

impl Capabilities {
    /// Adds a secret; one of that name is replaced.
    #[must_use]
    pub fn with(self, name: impl Into<Box<str>>, secret: impl Into<Zeroizing<String>>) -> Self {
        let mut secrets = self.0.map(Arc::unwrap_or_clone).unwrap_or_default();
        secrets.insert(name.into(), Secret(secret.into()));
        Self(Some(Arc::new(secrets)))
    }

    /// The secret of this name.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.0.as_ref()?.get(name)
    }

    /// The names of the secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|secrets| secrets.keys().map(|name| &**name))
    }
}

/// A secret. It has neither `Debug` nor `Display`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself, for the request that it is used in.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_by_its_name_alone() {
        let first = Capabilities::default().with("a", "1".to_owned());
        let second = first.clone().with("b", "2".to_owned()).with("a", "3".to_owned());
        let reveal = |all: &Capabilities, name: &str| all.secret(name).map(|secret| secret.reveal().to_owned());
        assert_eq!((reveal(&first, "a").unwrap(), reveal(&first, "b")), ("1".to_owned(), None));
        assert_eq!(reveal(&second, "a").unwrap(), "3");
        assert_eq!(second.names().collect::<Vec<_>>(), ["a", "b"]);
    }
}
