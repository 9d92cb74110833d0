use super::*;
use alknet_core::{MemoryIdentities, Peer, Scope};

const SECOND: Duration = Duration::from_secs(1);

fn peer(id: &str, token: &str, scopes: &[&str]) -> Peer {
    let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
    Peer {
        identity: Arc::new(Identity { id: id.into(), scopes, resources: Default::default() }),
        fingerprints: Vec::new(),
        tokens: vec![TokenHash::of(token)],
        enabled: true,
    }
}

/// Alice with the token `alk_alice`, and as many others as are asked for.
fn peers(others: usize) -> Vec<Peer> {
    let others = (0..others).map(|number| peer(&format!("p{number}"), &format!("alk_{number}"), &[]));
    others.chain([peer("alice", "alk_alice", &["tty:list"])]).collect()
}

struct World {
    identities: Arc<MemoryIdentities>,
    sessions: Sessions,
}

impl World {
    fn new() -> Self {
        let identities = Arc::new(MemoryIdentities::new(peers(0)).unwrap());
        Self { sessions: Sessions::new(identities.clone()), identities }
    }

    fn auth(&self, token: &str) -> AuthContext {
        AuthContext::new([], self.sessions.provider()).with_token(token)
    }

    fn link(&self) -> Token {
        self.sessions.open(&self.auth("alk_alice")).unwrap()
    }

    fn session(&self) -> Token {
        self.sessions.redeem(self.link().reveal()).unwrap()
    }

    fn who(&self, session: &Token) -> Option<Arc<Identity>> {
        self.sessions.provider().resolve_token(session.reveal())
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_opens_once() {
    let world = World::new();
    let link = world.link();
    assert!(
        world.sessions.has_link(link.reveal()) && world.sessions.has_link(link.reveal()),
        "a look does not use it up"
    );
    let session = world.sessions.redeem(link.reveal()).unwrap();
    assert_eq!(&*world.who(&session).unwrap().id, "alice");
    assert!(!world.sessions.has_link(link.reveal()));
    assert!(world.sessions.redeem(link.reveal()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_link_is_good_for_a_minute() {
    let world = World::new();
    let (early, late) = (world.link(), world.link());
    tokio::time::sleep(LINK_LIFETIME - SECOND).await;
    assert!(world.sessions.redeem(early.reveal()).is_some());
    tokio::time::sleep(SECOND).await;
    assert!(!world.sessions.has_link(late.reveal()));
    assert!(world.sessions.redeem(late.reveal()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_link_is_no_token_and_a_token_no_link() {
    let world = World::new();
    let (link, session) = (world.link(), world.session());
    assert!(world.who(&link).is_none());
    for secret in [session.reveal(), "alk_alice", "alk_guess", ""] {
        assert!(!world.sessions.has_link(secret));
        assert!(world.sessions.redeem(secret).is_none());
    }
    assert!(world.who(&session).is_some() && world.sessions.provider().resolve_token("alk_alice").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_session_has_the_rights_of_its_opener_at_each_moment() {
    let world = World::new();
    let session = world.session();
    let may_list = || world.who(&session).unwrap().has_scope(&"tty:list".parse::<Scope>().unwrap());
    assert!(may_list());
    world.identities.set(vec![peer("alice", "alk_alice", &[])]).unwrap();
    assert!(!may_list());
}

#[tokio::test(start_paused = true)]
async fn a_session_and_a_link_end_with_the_credential_for_good() {
    let world = World::new();
    let (session, link) = (world.session(), world.link());
    let mut changes = world.sessions.provider().changes();
    changes.mark_unchanged();
    // The peer is still there, and has another token.
    world.identities.set(vec![peer("alice", "alk_other", &["tty:list"])]).unwrap();
    assert!(world.who(&session).is_none());
    changes.changed().await.unwrap();
    world.identities.set(peers(0)).unwrap();
    assert!(world.who(&session).is_none(), "a token that comes back brings no session back");
    assert!(world.sessions.redeem(link.reveal()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_become_another_peers_opens_nothing() {
    let world = World::new();
    let (session, link) = (world.session(), world.link());
    world.identities.set(vec![peer("mallory", "alk_alice", &[])]).unwrap();
    assert!(world.who(&session).is_none());
    assert!(world.sessions.redeem(link.reveal()).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_nothing_is_asked_of_it_and_says_so() {
    let world = World::new();
    let session = world.session();
    for _ in 0..3 {
        tokio::time::sleep(IDLE - SECOND).await;
        assert!(world.who(&session).is_some(), "each request gives it new time");
    }
    let mut changes = world.sessions.provider().changes();
    let asked = Instant::now();
    changes.changed().await.unwrap();
    assert!(world.who(&session).is_none());
    assert!(asked.elapsed() <= IDLE + SECOND, "whoever serves it is told at once");
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_after_half_a_day_whatever_happens_in_it() {
    let world = World::new();
    let session = world.session();
    let end = Instant::now() + LIFETIME;
    while Instant::now() + IDLE / 2 < end {
        assert!(world.who(&session).is_some());
        tokio::time::sleep(IDLE / 2).await;
    }
    tokio::time::sleep_until(end).await;
    assert!(world.who(&session).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_opens_no_other_one() {
    let world = World::new();
    let session = world.session();
    let refused = world.sessions.open(&world.auth(session.reveal()));
    assert!(matches!(refused, Err(OpenError::NoCredential)));
    assert!(matches!(world.sessions.open(&world.auth("alk_guess")), Err(OpenError::NoCredential)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_so_many_and_then_its_oldest_goes() {
    let world = World::new();
    let oldest = world.session();
    let mut younger = Vec::new();
    for _ in 1..MOST_OF_PEER {
        tokio::time::advance(SECOND).await;
        younger.push(world.session());
    }
    assert!(world.who(&oldest).is_some());
    tokio::time::advance(SECOND).await;
    let link = world.link();
    assert!(world.who(&oldest).is_none() && world.sessions.has_link(link.reveal()));
    assert!(younger.iter().all(|session| world.who(session).is_some()));
}

#[tokio::test(start_paused = true)]
async fn there_are_so_many_in_all_until_some_end() {
    let world = World::new();
    let full = MOST / MOST_OF_PEER;
    world.identities.set(peers(full + 1)).unwrap();
    for number in (0..full).flat_map(|number| [number; MOST_OF_PEER]) {
        world.sessions.open(&world.auth(&format!("alk_{number}"))).unwrap();
    }
    assert!(matches!(world.sessions.open(&world.auth("alk_alice")), Err(OpenError::TooMany)));
    // Whoever has some only takes its own places.
    world.sessions.open(&world.auth("alk_0")).unwrap();
    tokio::time::sleep(LINK_LIFETIME).await;
    assert!(world.sessions.open(&world.auth("alk_alice")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn closing_ends_all_of_them() {
    let world = World::new();
    let (session, link) = (world.session(), world.link());
    let changes = world.sessions.provider().changes();
    world.sessions.clear();
    assert!(world.who(&session).is_none() && !world.sessions.has_link(link.reveal()));
    assert!(changes.has_changed().unwrap());
}
