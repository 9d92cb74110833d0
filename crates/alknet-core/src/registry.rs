//! The live set of handlers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::{Alpn, ProtocolHandler};

/// Which handler serves which ALPN. Handlers can be added, replaced and removed while an endpoint runs; a change takes
/// effect for new handshakes, connections that are open stay with the handler they have.
///
/// The order of registration is the server's order of preference.
pub struct HandlerRegistry {
    entries: ArcSwap<Vec<Entry>>,
    generation: AtomicU64,
    writer: Mutex<()>,
}

#[derive(Clone)]
struct Entry {
    alpns: Vec<Alpn>,
    handler: Arc<dyn ProtocolHandler>,
}

impl HandlerRegistry {
    /// An empty registry.
    pub fn new() -> Self {
        Self { entries: ArcSwap::default(), generation: AtomicU64::new(0), writer: Mutex::default() }
    }

    /// Adds a handler.
    ///
    /// # Errors
    /// When it names no ALPN, or one that another handler serves.
    pub fn add(&self, handler: Arc<dyn ProtocolHandler>) -> Result<(), RegistryError> {
        let entry = Entry::of(handler)?;
        self.change(|entries| {
            if let Some(alpn) = entry.alpns.iter().find(|alpn| position(entries, alpn).is_some()) {
                return Err(RegistryError::Taken(alpn.clone()));
            }
            entries.push(entry.clone());
            Ok(())
        })
    }

    /// Puts `handler` in the place of every handler that serves one of its ALPNs, or adds it if there is none.
    ///
    /// # Errors
    /// When it names no ALPN.
    pub fn replace(&self, handler: Arc<dyn ProtocolHandler>) -> Result<(), RegistryError> {
        let entry = Entry::of(handler)?;
        self.change(|entries| {
            let place = entry.alpns.iter().filter_map(|alpn| position(entries, alpn)).min().unwrap_or(entries.len());
            entries.retain(|other| !other.alpns.iter().any(|alpn| entry.alpns.contains(alpn)));
            entries.insert(place.min(entries.len()), entry.clone());
            Ok(())
        })
    }

    /// Removes the handler that serves `alpn`, with all its ALPNs.
    ///
    /// # Errors
    /// When none does.
    pub fn remove(&self, alpn: &Alpn) -> Result<Arc<dyn ProtocolHandler>, RegistryError> {
        let mut removed = None;
        self.change(|entries| {
            let place = position(entries, alpn).ok_or_else(|| RegistryError::Unknown(alpn.clone()))?;
            removed = Some(entries.remove(place).handler);
            Ok(())
        })?;
        removed.ok_or_else(|| RegistryError::Unknown(alpn.clone()))
    }

    /// The handler that serves `alpn`.
    pub fn handler(&self, alpn: &[u8]) -> Option<Arc<dyn ProtocolHandler>> {
        let entries = self.entries.load();
        entries.iter().find(|entry| entry.serves(alpn)).map(|entry| entry.handler.clone())
    }

    /// Every ALPN that is served, in order of preference.
    pub fn alpns(&self) -> Vec<Alpn> {
        self.entries.load().iter().flat_map(|entry| entry.alpns.iter().cloned()).collect()
    }

    /// A number that changes with every change of the registry.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Applies `edit` to a copy and swaps it in. Writers take turns, so no change is lost; readers wait for nobody.
    fn change(&self, edit: impl FnOnce(&mut Vec<Entry>) -> Result<(), RegistryError>) -> Result<(), RegistryError> {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::clone(&self.entries.load());
        edit(&mut entries)?;
        self.entries.store(Arc::new(entries));
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl Default for HandlerRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    fn of(handler: Arc<dyn ProtocolHandler>) -> Result<Self, RegistryError> {
        let alpns = handler.alpns();
        if alpns.is_empty() {
            return Err(RegistryError::NoAlpn);
        }
        Ok(Self { alpns, handler })
    }

    fn serves(&self, alpn: &[u8]) -> bool {
        self.alpns.iter().any(|served| served.as_bytes() == alpn)
    }
}

fn position(entries: &[Entry], alpn: &Alpn) -> Option<usize> {
    entries.iter().position(|entry| entry.serves(alpn.as_bytes()))
}

/// A change of the registry that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// A handler without a name cannot be reached.
    #[error("the handler names no ALPN, so no client could reach it")]
    NoAlpn,
    /// Two handlers for one ALPN.
    #[error("the ALPN {0:?} is served already; remove that handler first, or replace it")]
    Taken(Alpn),
    /// Nobody serves it.
    #[error("no handler serves the ALPN {0:?}")]
    Unknown(Alpn),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthContext, BoxFuture, Connection, HandlerError};

    struct Named(Vec<&'static str>);

    impl ProtocolHandler for Named {
        fn alpns(&self) -> Vec<Alpn> {
            self.0.iter().map(|name| Alpn::new(name).unwrap()).collect()
        }

        fn handle(self: Arc<Self>, _: Connection, _: AuthContext) -> BoxFuture<'static, Result<(), HandlerError>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn handler(names: &[&'static str]) -> Arc<dyn ProtocolHandler> {
        Arc::new(Named(names.to_vec()))
    }

    fn served(registry: &HandlerRegistry) -> String {
        registry.alpns().iter().map(Alpn::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_order_of_registration_is_the_preference_and_survives_a_replacement() {
        let registry = HandlerRegistry::new();
        registry.add(handler(&["h2", "http/1.1"])).unwrap();
        registry.add(handler(&["x"])).unwrap();
        registry.replace(handler(&["http/1.1", "h2", "h3"])).unwrap();
        assert_eq!(served(&registry), "http/1.1 h2 h3 x");
    }

    #[test]
    fn one_alpn_has_one_handler() {
        let registry = HandlerRegistry::new();
        registry.add(handler(&["a", "b"])).unwrap();
        assert_eq!(registry.add(handler(&["c", "b"])), Err(RegistryError::Taken(Alpn::new("b").unwrap())));
        assert!(registry.handler(b"c").is_none(), "a refused handler is not half registered");
        registry.replace(handler(&["b"])).unwrap();
        assert!(registry.handler(b"a").is_none(), "the replaced handler is gone with all its names");
        assert_eq!(registry.add(handler(&[])), Err(RegistryError::NoAlpn));
    }

    #[test]
    fn a_removed_handler_is_gone_with_all_its_names() {
        let registry = HandlerRegistry::new();
        registry.add(handler(&["a", "b"])).unwrap();
        registry.remove(&Alpn::new("b").unwrap()).unwrap();
        assert_eq!(served(&registry), "");
        assert!(matches!(registry.remove(&Alpn::new("b").unwrap()), Err(RegistryError::Unknown(_))));
    }

    #[test]
    fn writers_on_many_threads_lose_nothing() {
        let registry = HandlerRegistry::new();
        let names: Vec<&'static str> = (0..64).map(|n| &*format!("h{n}").leak()).collect();
        std::thread::scope(|scope| {
            for name in &names {
                scope.spawn(|| registry.add(handler(&[name])).unwrap());
            }
        });
        assert_eq!(registry.alpns().len(), 64);
    }
}
