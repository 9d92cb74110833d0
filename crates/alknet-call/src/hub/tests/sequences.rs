//! Whatever happens in whatever order: the books say what the spoke says, and nobody but the owner passes.

use std::collections::{BTreeMap, BTreeSet};

use alknet_core::{OwnershipRecord, OwnershipStore as _};
use proptest::prelude::*;

use super::*;

const USERS: [&str; 3] = ["alice", "bob", "carol"];

#[derive(Debug, Clone)]
enum Step {
    /// Through the hub.
    Spawn {
        user: usize,
    },
    /// A spawn whose caller goes away while it runs: before the thing is there, or before the answer.
    Abandon {
        user: usize,
        early: bool,
    },
    /// Somebody ends a thing through the hub, be it the owner or not.
    End {
        user: usize,
        pick: usize,
    },
    /// A thing ends by itself.
    Exit {
        pick: usize,
    },
    /// Through another instance of the hub, or by somebody whom the spoke knows itself.
    SpawnElsewhere {
        user: usize,
        by_hub: bool,
    },
    Cut,
    Connect,
    /// A second connection, before the first is known to be gone.
    Reconnect,
    Reload,
    RestartHub,
    RestartSpoke,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, pick) = (0..USERS.len(), 0..100usize);
    prop_oneof![
        8 => user.clone().prop_map(|user| Step::Spawn { user }),
        2 => (user.clone(), any::<bool>()).prop_map(|(user, early)| Step::Abandon { user, early }),
        4 => (user.clone(), pick.clone()).prop_map(|(user, pick)| Step::End { user, pick }),
        3 => pick.prop_map(|pick| Step::Exit { pick }),
        2 => (user, any::<bool>()).prop_map(|(user, by_hub)| Step::SpawnElsewhere { user, by_hub }),
        3 => Just(Step::Cut),
        4 => Just(Step::Connect),
        1 => Just(Step::Reconnect),
        1 => Just(Step::Reload),
        1 => Just(Step::RestartHub),
        1 => Just(Step::RestartSpoke),
    ]
}

struct Fleet {
    spoke: Spoke,
    hub: HubNode,
    wires: Vec<Wire>,
    users: Vec<User>,
    /// Every id that there ever was.
    ids: BTreeSet<String>,
    elsewhere: usize,
}

impl Fleet {
    fn new() -> Self {
        let (spoke, hub) = (Spoke::new(), HubNode::new());
        let users = USERS.map(|user| hub.user(user)).into();
        Self { spoke, hub, wires: vec![], users, ids: BTreeSet::new(), elsewhere: 0 }
    }

    /// Whose each thing is, as the spoke knows it.
    fn owners(&self) -> BTreeMap<String, String> {
        let owned = self.spoke.owned_by("hub").into_iter();
        owned.map(|(id, claim)| (id, claim["id"].as_str().unwrap().to_owned())).collect()
    }

    fn is_connected(&self) -> bool {
        !self.wires.is_empty()
    }

    fn pick(&self, pick: usize) -> Option<String> {
        self.ids.iter().nth(pick % self.ids.len().max(1)).cloned()
    }

    async fn cut(&mut self) {
        self.wires.drain(..).for_each(|wire| wire.cut());
        self.hub.lacks("a/thing/use").await;
    }

    async fn connect(&mut self) {
        self.wires.push(self.hub.join(&self.spoke).await);
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Spawn { user } => self.spawn(user).await,
            Step::Abandon { user, early } => self.abandon(user, early).await,
            Step::End { user, pick } => self.end(user, pick).await,
            Step::Exit { pick } => {
                if let Some(id) = self.pick(pick) {
                    self.spoke.end(&id).await;
                }
            }
            Step::SpawnElsewhere { user, by_hub } => {
                self.elsewhere += 1;
                let (id, owner) = (format!("e-{}", self.elsewhere), if by_hub { "hub" } else { "mallory" });
                let claim = json!({ "id": USERS[user] }).to_string();
                let record = OwnershipRecord::new("thing", &*id, owner).with_claim(Some(claim));
                self.spoke.store.record(record).await.unwrap();
                self.ids.insert(id);
            }
            Step::Cut => self.cut().await,
            Step::Connect if !self.is_connected() => self.connect().await,
            Step::Connect => {}
            Step::Reconnect if self.is_connected() => {
                let (number, _) = self.hub.peers.wait_for("worker-a").await;
                self.wires.push(self.hub.dialed_by(&self.spoke.handler, "worker-a"));
                self.hub.peers.superseded("worker-a", number).await;
                self.hub.has("a/thing/use").await;
            }
            Step::Reconnect => {}
            Step::Reload => {
                self.hub.export(vec![export("a")]);
                if self.is_connected() {
                    while code(&self.users[0].call("a/plain/echo", Value::Null).await).is_some() {
                        tokio::task::yield_now().await;
                    }
                }
            }
            Step::RestartHub => {
                self.cut().await;
                self.hub = HubNode::new();
                self.users = USERS.map(|user| self.hub.user(user)).into();
            }
            Step::RestartSpoke => {
                self.cut().await;
                self.spoke = Spoke::new();
            }
        }
    }

    async fn spawn(&mut self, user: usize) {
        let spawned = self.users[user].call("a/thing/spawn", Value::Null).await;
        let Ok(output) = spawned else {
            assert_eq!((code(&spawned), self.is_connected()), (Some(ErrorCode::Unavailable), false));
            return;
        };
        let id = output["thing"]["id"].as_str().unwrap().to_owned();
        for (other, client) in self.users.iter().enumerate() {
            let expected = (other != user).then_some(ErrorCode::Forbidden);
            assert_eq!(code(&client.uses("a", &id).await), expected, "as soon as it is answered");
        }
        self.ids.insert(id);
    }

    async fn abandon(&mut self, user: usize, early: bool) {
        use std::sync::atomic::Ordering;
        if !self.is_connected() {
            return;
        }
        let (client, pace, before) = (self.users[user].clone(), self.spoke.pace.clone(), self.owners());
        let begun = pace.spawning.load(Ordering::SeqCst);
        let spawning = tokio::spawn(async move { client.call("a/thing/spawn", json!("slow")).await });
        until(|| pace.spawning.load(Ordering::SeqCst) > begun).await;
        if early {
            spawning.abort();
        }
        pace.begin.notify_waiters();
        if !early {
            until(|| self.owners() != before).await;
            spawning.abort();
        }
        let _ = spawning.await;
        self.ids.extend(self.owners().into_keys());
    }

    async fn end(&mut self, user: usize, pick: usize) {
        let Some(id) = self.pick(pick) else { return };
        let is_owner = self.owners().get(&id).is_some_and(|owner| owner == USERS[user]);
        let ended = self.users[user].call("a/thing/end", json!({ "id": id })).await;
        let expected = match (self.is_connected(), is_owner) {
            (false, _) => Some(ErrorCode::Unavailable),
            (true, true) => None,
            (true, false) => Some(ErrorCode::Forbidden),
        };
        assert_eq!(code(&ended), expected, "{} ends {id}", USERS[user]);
    }

    /// What must hold after each step.
    async fn check(&self) {
        if self.is_connected() {
            let expected: BTreeSet<_> = self.owners().iter().map(|(id, owner)| row("a/thing", id, owner)).collect();
            let agreed =
                tokio::time::timeout(std::time::Duration::from_secs(60), until(|| self.hub.books() == expected));
            assert!(agreed.await.is_ok(), "the books say {:?}, the spoke {expected:?}", self.hub.books());
        }
        let owners = self.owners();
        for (user, client) in USERS.iter().zip(&self.users) {
            for id in &self.ids {
                let expected = match (self.is_connected(), owners.get(id)) {
                    (false, _) => Some(ErrorCode::Unavailable),
                    (true, Some(owner)) if owner == user => None,
                    (true, _) => Some(ErrorCode::Forbidden),
                };
                assert_eq!(code(&client.uses("a", id).await), expected, "{user} uses {id}");
            }
            if self.is_connected() {
                let owned: Vec<_> =
                    owners.iter().filter(|(_, owner)| owner == user).map(|(id, _)| id.clone()).collect();
                let mut listed = client.list("a").await;
                listed.sort();
                assert_eq!(listed, owned, "{user} lists");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn the_books_follow_the_spoke_and_nobody_else_passes(steps in prop::collection::vec(step(), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut fleet = Fleet::new();
            fleet.connect().await;
            for step in steps {
                fleet.take(step).await;
                fleet.check().await;
            }
            fleet.cut().await;
            fleet.connect().await;
            fleet.check().await;
        });
    }
}
