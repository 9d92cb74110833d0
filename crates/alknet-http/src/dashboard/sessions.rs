//! Links and sessions: who may open the page, and who has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alknet_core::{AuthContext, Fingerprint, Identity, IdentityProvider, NoRandomness, Token, TokenHash};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// How long a link waits to be opened.
pub(super) const LINK_LIFETIME: Duration = Duration::from_secs(60);

/// How long a session lasts after its last request.
pub(super) const IDLE: Duration = Duration::from_secs(15 * 60);

/// How long a session lasts, whatever happens in it.
pub(super) const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// How many links and sessions there are at most, together.
pub(super) const MOST: usize = 256;

/// How many of them one peer has at most; with a further one its oldest goes.
pub(super) const MOST_OF_PEER: usize = 16;

/// The links and the sessions, and what ends them.
pub(super) struct Sessions {
    book: Arc<Book>,
    _keeper: AbortOnDropHandle<()>,
}

/// Resolves the tokens of sessions, and leaves everything else to the provider that it stands before.
///
/// A session is its opener's credential under another name: it is resolved anew for each request, with the scopes of that
/// moment, and ends with the credential.
struct Book {
    identities: Arc<dyn IdentityProvider>,
    passes: Mutex<HashMap<TokenHash, Pass>>,
    generation: watch::Sender<u64>,
    /// There is a pass that the keeper does not know of.
    added: Notify,
}

/// A link or a session.
struct Pass {
    peer: Arc<str>,
    /// Resolves with the peers' own provider, so a session cannot stand on another one.
    auth: AuthContext,
    made: Instant,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Link,
    Session { last_used: Instant },
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// Nothing that could be taken back stands behind the call.
    #[error("a dashboard opens no other one; ask with a key or a token of a peer, as `alknet dashboard` does")]
    NoCredential,
    /// Others have taken all places.
    #[error("{MOST} dashboards are open or about to be; wait until some of them have ended")]
    TooMany,
    /// There can be no secret.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Sessions {
    /// Needs a Tokio runtime.
    pub(super) fn new(identities: Arc<dyn IdentityProvider>) -> Self {
        let changes = identities.changes();
        let book = Arc::new(Book {
            identities,
            passes: Mutex::default(),
            generation: watch::Sender::new(0),
            added: Notify::new(),
        });
        let keeper = AbortOnDropHandle::new(tokio::spawn(keep(book.clone(), changes)));
        Self { book, _keeper: keeper }
    }

    pub(super) fn provider(&self) -> Arc<dyn IdentityProvider> {
        self.book.clone()
    }

    /// Makes a link for whoever `auth` is.
    pub(super) fn open(&self, auth: &AuthContext) -> Result<Token, OpenError> {
        let auth = auth.with_provider(self.book.identities.clone());
        let Some(identity) = auth.identity() else { return Err(OpenError::NoCredential) };
        let link = Token::generate()?;
        let now = Instant::now();
        let mut passes = self.book.passes();
        passes.retain(|_, pass| pass.ends() > now);
        make_room(&mut passes, &identity.id);
        if passes.len() >= MOST {
            return Err(OpenError::TooMany);
        }
        tracing::debug!(peer = &*identity.id, "a link to the dashboard was made");
        passes.insert(link.hash(), Pass { peer: identity.id.clone(), auth, made: now, kind: Kind::Link });
        drop(passes);
        self.book.added.notify_one();
        Ok(link)
    }

    /// Whether there is such a link.
    pub(super) fn has_link(&self, secret: &str) -> bool {
        self.book.passes().get(&TokenHash::of(secret)).is_some_and(Pass::is_good_link)
    }

    /// Uses a link up, and begins a session.
    pub(super) fn redeem(&self, secret: &str) -> Option<Token> {
        let hash = TokenHash::of(secret);
        let mut passes = self.book.passes();
        passes.get(&hash).filter(|pass| pass.is_good_link())?;
        let link = passes.remove(&hash)?;
        link.identity()?;
        let token = Token::generate().ok()?;
        tracing::info!(peer = &*link.peer, "a dashboard was opened");
        let now = Instant::now();
        passes.insert(token.hash(), Pass { made: now, kind: Kind::Session { last_used: now }, ..link });
        drop(passes);
        self.book.added.notify_one();
        Some(token)
    }

    pub(super) fn clear(&self) {
        self.book.passes().clear();
        self.book.tell();
    }
}

impl Book {
    fn resolve_session(&self, token: &str) -> Option<Arc<Identity>> {
        let now = Instant::now();
        let mut passes = self.passes();
        let pass = passes.get_mut(&TokenHash::of(token)).filter(|pass| pass.ends() > now)?;
        let Kind::Session { last_used } = &mut pass.kind else { return None };
        *last_used = now;
        pass.identity()
    }

    /// Forgets what has ended, or has nobody behind it any more: a credential that comes back does not bring it back.
    /// Says whether there was any.
    fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut passes = self.passes();
        let before = passes.len();
        passes.retain(|_, pass| pass.ends() > now && pass.identity().is_some());
        passes.len() < before
    }

    fn next_end(&self) -> Option<Instant> {
        self.passes().values().map(Pass::ends).min()
    }

    fn tell(&self) {
        self.generation.send_modify(|generation| *generation = generation.wrapping_add(1));
    }

    fn passes(&self) -> MutexGuard<'_, HashMap<TokenHash, Pass>> {
        self.passes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Whose it is now. A key or a token that has become another peer's is nobody's here.
    fn identity(&self) -> Option<Arc<Identity>> {
        self.auth.identity().filter(|identity| identity.id == self.peer)
    }

    fn ends(&self) -> Instant {
        match self.kind {
            Kind::Link => self.made + LINK_LIFETIME,
            Kind::Session { last_used } => (last_used + IDLE).min(self.made + LIFETIME),
        }
    }

    fn is_good_link(&self) -> bool {
        self.kind == Kind::Link && self.ends() > Instant::now()
    }
}

/// Takes the oldest passes of a peer that has too many.
fn make_room(passes: &mut HashMap<TokenHash, Pass>, peer: &str) {
    let mut own: Vec<_> =
        passes.iter().filter(|(_, pass)| &*pass.peer == peer).map(|(hash, pass)| (pass.made, *hash)).collect();
    own.sort_unstable_by_key(|(made, _)| *made);
    let too_many = (own.len() + 1).saturating_sub(MOST_OF_PEER);
    own.iter().take(too_many).for_each(|(_, hash)| drop(passes.remove(hash)));
}

/// Ends sessions when it is time, or when their peers change, and has whoever serves them look again.
async fn keep(book: Arc<Book>, mut changes: watch::Receiver<u64>) {
    let mut are_told = true;
    loop {
        let peers_changed = tokio::select! {
            changed = changes.changed(), if are_told => {
                are_told = changed.is_ok();
                true
            }
            () = sleep_until(book.next_end()) => false,
            () = book.added.notified() => continue,
        };
        if book.sweep() || peers_changed {
            book.tell();
        }
    }
}

async fn sleep_until(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

impl IdentityProvider for Book {
    fn resolve_fingerprint(&self, fingerprint: &Fingerprint) -> Option<Arc<Identity>> {
        self.identities.resolve_fingerprint(fingerprint)
    }

    fn resolve_token(&self, token: &str) -> Option<Arc<Identity>> {
        self.identities.resolve_token(token).or_else(|| self.resolve_session(token))
    }

    fn is_known(&self, id: &str) -> bool {
        self.identities.is_known(id)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

#[cfg(test)]
mod tests;
