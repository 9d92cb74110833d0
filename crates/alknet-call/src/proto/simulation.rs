//! Two state machines with a simulated clock and a simulated network between them: streams that keep their order, delay,
//! break and are cut. Whatever happens in whatever order, each call ends exactly once and nothing is left over.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::ErrorCode;
use crate::wire::Request;

const STREAMS: u64 = 3;
const MAX_RUNNING: usize = 2;
const WINDOW: u64 = 200;

/// What a test does, to which of the two sides.
#[derive(Debug, Clone)]
enum Step {
    Call { side: usize, stream: u64, limit_ms: Option<u64>, subscribe: bool },
    GiveUp { side: usize, pick: usize },
    Answer { side: usize, pick: usize, fails: bool },
    Event { side: usize, pick: usize, size: usize },
    Take { side: usize, pick: usize },
    Deliver { side: usize, stream: u64 },
    Garbage { side: usize, stream: u64 },
    Wait { ms: u64 },
    Finish { side: usize, stream: u64 },
    Break { stream: u64 },
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    let (side, stream, pick) = (0..2usize, 0..STREAMS, 0..100usize);
    prop_oneof![
        6 => (side.clone(), stream.clone(), prop::option::of(1..1000u64), any::<bool>()).prop_map(|(side, stream, limit_ms, subscribe)|
            Step::Call { side, stream, limit_ms, subscribe }),
        3 => (side.clone(), pick.clone()).prop_map(|(side, pick)| Step::GiveUp { side, pick }),
        6 => (side.clone(), pick.clone(), any::<bool>()).prop_map(|(side, pick, fails)| Step::Answer { side, pick, fails }),
        6 => (side.clone(), pick.clone(), 0..300usize).prop_map(|(side, pick, size)| Step::Event { side, pick, size }),
        4 => (side.clone(), pick).prop_map(|(side, pick)| Step::Take { side, pick }),
        20 => (side.clone(), stream.clone()).prop_map(|(side, stream)| Step::Deliver { side, stream }),
        1 => (side.clone(), stream.clone()).prop_map(|(side, stream)| Step::Garbage { side, stream }),
        3 => (1..500u64).prop_map(|ms| Step::Wait { ms }),
        1 => (side, stream.clone()).prop_map(|(side, stream)| Step::Finish { side, stream }),
        1 => stream.prop_map(|stream| Step::Break { stream }),
        1 => Just(Step::Cut),
    ]
}

/// A call of the peer's that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Task {
    id: Arc<str>,
    number: u64,
    stream: StreamId,
    subscribed: bool,
}

enum Held {
    Running(Task),
    Waiting { subscribed: bool },
}

struct Side {
    machine: Machine<u64, Held>,
    next_id: u64,
    /// Calls that have not ended, as their callers see it, and the sizes of events that nobody has taken.
    open: HashMap<u64, VecDeque<u64>>,
    ended: HashSet<u64>,
    /// What comes to this side, by stream.
    inbox: HashMap<StreamId, VecDeque<Bytes>>,
    finished: HashSet<StreamId>,
}

struct World {
    now: Instant,
    sides: [Side; 2],
    broken: HashSet<StreamId>,
    cut: bool,
}

impl Side {
    fn new() -> Self {
        Self {
            machine: Machine::new(MAX_RUNNING),
            next_id: 1,
            open: HashMap::new(),
            ended: HashSet::new(),
            inbox: HashMap::new(),
            finished: HashSet::new(),
        }
    }

    fn end(&mut self, id: u64) {
        assert!(self.open.remove(&id).is_some(), "call {id} ended that was not open");
        assert!(self.ended.insert(id), "call {id} ended twice");
    }

    fn tasks(&mut self) -> Vec<Task> {
        let tasks = self.machine.held().filter_map(|(_, held)| match held {
            Held::Running(task) => Some(task.clone()),
            Held::Waiting { .. } => None,
        });
        let mut tasks: Vec<_> = tasks.collect();
        tasks.sort_by_key(|task| task.number);
        tasks
    }
}

impl World {
    fn new() -> Self {
        Self { now: Instant::now(), sides: [Side::new(), Side::new()], broken: HashSet::new(), cut: false }
    }

    fn is_open(&self, stream: StreamId) -> bool {
        !self.cut && !self.broken.contains(&stream)
    }

    fn send(&mut self, from: usize, stream: StreamId, message: Message<Value>) {
        if self.is_open(stream) && !self.sides[from].finished.contains(&stream) {
            let mut frame = message.encode(1 << 20).unwrap();
            let frame = frame.split_off(4);
            self.sides[1 - from].inbox.entry(stream).or_default().push_back(frame);
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Call { side, stream, limit_ms, subscribe } => self.call(side, stream, limit_ms, subscribe),
            Step::GiveUp { side, pick } => self.give_up(side, pick),
            Step::Answer { side, pick, fails } => self.answer(side, pick, fails),
            Step::Event { side, pick, size } => self.event(side, pick, size),
            Step::Take { side, pick } => self.take(side, pick),
            Step::Deliver { side, stream } => self.deliver(side, stream),
            Step::Garbage { side, stream } => {
                if self.is_open(stream) {
                    let garbage = Bytes::from_static(b"{\"type\":\"call.responded\",\"id\":\"1\"}");
                    self.sides[side].inbox.entry(stream).or_default().push_back(garbage);
                }
            }
            Step::Wait { ms } => {
                self.now += Duration::from_millis(ms);
                self.expire(0);
                self.expire(1);
            }
            Step::Finish { side, stream } => self.finish(side, stream),
            Step::Break { stream } => self.break_stream(stream),
            Step::Cut => self.cut(),
        }
        self.check();
    }

    fn call(&mut self, side: usize, stream: StreamId, limit_ms: Option<u64>, subscribe: bool) {
        // A driver has no lane for a stream that is gone, or that either side has finished.
        let finished = self.sides.iter().any(|side| side.finished.contains(&stream));
        if !self.is_open(stream) || finished {
            return;
        }
        let caller = &mut self.sides[side];
        let id = caller.next_id;
        caller.next_id += 1;
        let deadline = limit_ms.map(|ms| self.now + Duration::from_millis(ms));
        let window = subscribe.then_some(WINDOW);
        caller.machine.call(id, stream, deadline, window, id);
        caller.open.insert(id, VecDeque::new());
        let request = Request {
            operation: "/a/b".to_owned(),
            input: Value::Null,
            auth_token: None,
            forwarded_for: None,
            timeout_ms: limit_ms,
            window,
        };
        self.send(side, stream, Message::Requested { id: id.to_string(), request });
    }

    fn give_up(&mut self, side: usize, pick: usize) {
        let Some(id) = self.pick_open(side, pick) else { return };
        let stream = self.sides[side].machine.give_up(id).expect("an open call is entered");
        self.sides[side].end(id);
        self.send(side, stream, Message::Aborted { id: id.to_string() });
    }

    fn pick_open(&self, side: usize, pick: usize) -> Option<u64> {
        let mut ids: Vec<_> = self.sides[side].open.keys().copied().collect();
        ids.sort_unstable();
        (!ids.is_empty()).then(|| ids[pick % ids.len()])
    }

    fn pick_task(&mut self, side: usize, pick: usize) -> Option<Task> {
        let tasks = self.sides[side].tasks();
        (!tasks.is_empty()).then(|| tasks[pick % tasks.len()].clone())
    }

    fn answer(&mut self, side: usize, pick: usize, fails: bool) {
        let Some(task) = self.pick_task(side, pick) else { return };
        let removed = self.sides[side].machine.answered(&task.id, task.number).expect("a task that runs is entered");
        assert!(self.sides[side].machine.answered(&task.id, task.number).is_none(), "answered once");
        let id = task.id.to_string();
        match (fails, task.subscribed) {
            (true, _) => {
                let error = CallError::new(ErrorCode::Unavailable, "no");
                self.send(side, removed.stream, Message::Error { id, error });
            }
            (false, true) => self.send(side, removed.stream, Message::Completed { id }),
            (false, false) => {
                self.send(side, removed.stream, Message::Responded { id, output: Value::Null, event: false });
            }
        }
        self.start_waiting(side, removed.stream);
    }

    fn event(&mut self, side: usize, pick: usize, size: usize) {
        let Some(task) = self.pick_task(side, pick).filter(|task| task.subscribed) else { return };
        let machine = &mut self.sides[side].machine;
        if machine.credit(&task.id, task.number).expect("it runs") > 0 {
            let output = Value::from("x".repeat(size));
            let message = Message::Responded { id: task.id.to_string(), output, event: true };
            let length = message.encode(1 << 20).unwrap().len() as u64;
            assert!(machine.spend(&task.id, task.number, length), "it runs");
            self.send(side, task.stream, message);
        }
    }

    fn take(&mut self, side: usize, pick: usize) {
        let Some(id) = self.pick_open(side, pick) else { return };
        let Some(length) = self.sides[side].open.get_mut(&id).and_then(VecDeque::pop_front) else { return };
        let Some(consumed) = self.sides[side].machine.consumed(id, length) else { return };
        if let Some(bytes) = consumed.grant {
            self.send(side, consumed.stream, Message::Credit { id: id.to_string(), bytes });
        }
    }

    fn deliver(&mut self, side: usize, stream: StreamId) {
        let Some(frame) = self.sides[side].inbox.get_mut(&stream).and_then(VecDeque::pop_front) else { return };
        let length = frame.len() as u64 + 4;
        let message = match Message::parse(&frame) {
            Ok(Message::Requested { id, request }) => return self.requested(side, stream, &id, &request),
            Ok(message) => message,
            Err(error) => {
                if let Some(owner) = self.sides[side].machine.unreadable(error.id()) {
                    self.sides[side].end(owner);
                }
                return;
            }
        };
        let this = &mut self.sides[side];
        let mut reply = None;
        match this.machine.received(stream, message, length) {
            Received::Ended { owned, abort, outcome } => {
                let overrun = matches!(outcome, Outcome::Misbehaved(what) if what.contains("more events"));
                assert!(!overrun, "the callee kept to its credit");
                reply = abort.map(|id| (owned.stream, Message::Aborted { id: id.to_string() }));
                this.end(owned.owner);
            }
            Received::Event { owner, .. } => {
                let owner = *owner;
                this.open.get_mut(&owner).expect("an event is for an open call").push_back(length);
            }
            Received::StreamFailed { owners, .. } => owners.into_iter().for_each(|owner| this.end(owner)),
            Received::Aborted { id, .. } => {
                let error = CallError::new(ErrorCode::Aborted, "aborted");
                reply = Some((stream, Message::Error { id: id.to_string(), error }));
            }
            Received::Credited { held } => assert!(matches!(held, Held::Running(_))),
            Received::Nothing => {}
        }
        if let Some((stream, message)) = reply {
            self.send(side, stream, message);
        }
        (0..STREAMS).for_each(|stream| self.start_waiting(side, stream));
    }

    fn requested(&mut self, side: usize, stream: StreamId, id: &str, request: &Request) {
        let id: Arc<str> = id.into();
        let machine = &mut self.sides[side].machine;
        let deadline = request.timeout().map(|limit| self.now + limit);
        let subscribed = request.window.is_some();
        if let Some(error) = machine.refusal(&id) {
            self.send(side, stream, Message::Error { id: id.to_string(), error });
        } else if machine.has_room(stream) {
            let task = |number| Held::Running(Task { id: id.clone(), number, stream, subscribed });
            machine.enter(&id, stream, deadline, request.window, task);
        } else {
            machine.enter_waiting(&id, stream, deadline, Held::Waiting { subscribed });
        }
    }

    fn start_waiting(&mut self, side: usize, stream: StreamId) {
        let machine = &mut self.sides[side].machine;
        while let Some((id, held)) = machine.next_waiting(stream) {
            let Held::Waiting { subscribed } = held else { panic!("a running call waited") };
            let window = subscribed.then_some(WINDOW);
            let task = |number| Held::Running(Task { id: id.clone(), number, stream, subscribed });
            machine.enter(&id, stream, Some(self.now + Duration::from_secs(5)), window, task);
        }
    }

    fn expire(&mut self, side: usize) {
        while let Some(expired) = self.sides[side].machine.expire(self.now) {
            match expired {
                Expired::Ours { id, owned } => {
                    self.sides[side].end(owned.owner);
                    self.send(side, owned.stream, Message::Aborted { id: id.to_string() });
                }
                Expired::Theirs { id, removed } => {
                    let error = CallError::new(ErrorCode::Timeout, "late");
                    self.send(side, removed.stream, Message::Error { id: id.to_string(), error });
                    self.start_waiting(side, removed.stream);
                }
            }
        }
        assert!(self.sides[side].machine.next_deadline().is_none_or(|deadline| deadline > self.now));
    }

    /// One side ends its half of a stream; the other sees it once all that was sent is there.
    fn finish(&mut self, side: usize, stream: StreamId) {
        if !self.is_open(stream) || !self.sides[side].finished.insert(stream) {
            return;
        }
        while self.sides[1 - side].inbox.get(&stream).is_some_and(|inbox| !inbox.is_empty()) {
            self.deliver(1 - side, stream);
        }
        for owner in self.sides[1 - side].machine.stream_finished(stream) {
            self.sides[1 - side].end(owner);
        }
    }

    fn break_stream(&mut self, stream: StreamId) {
        self.broken.insert(stream);
        for side in &mut self.sides {
            side.inbox.remove(&stream);
            let lost = side.machine.stream_lost(stream);
            lost.ours.into_iter().for_each(|owner| side.end(owner));
        }
    }

    fn cut(&mut self) {
        self.cut = true;
        for side in &mut self.sides {
            side.inbox.clear();
            let lost = side.machine.cut();
            lost.ours.into_iter().for_each(|owner| side.end(owner));
        }
    }

    /// What holds at every moment.
    fn check(&mut self) {
        for side in &mut self.sides {
            let (ours, theirs) = side.machine.count();
            assert_eq!(ours, side.open.len(), "what is entered is what is open");
            assert!(theirs >= side.tasks().len());
            assert!(side.machine.deadlines.len() <= ours + theirs, "an ended call has no deadline");
            for (id, events) in &side.open {
                let held: u64 = events.iter().sum();
                let largest = events.iter().max().copied().unwrap_or(0);
                assert!(held < WINDOW + largest.max(1), "subscription {id} holds {held} bytes");
            }
            for stream in 0..STREAMS {
                assert!(!side.machine.has_room(stream) || side.machine.waiting(stream) == 0, "none waits in vain");
            }
        }
    }

    /// Lets the network come to rest and all time pass.
    fn settle(&mut self) {
        for _ in 0..3 {
            while self.sides.iter().any(|side| side.inbox.values().any(|inbox| !inbox.is_empty())) {
                for side in 0..2 {
                    (0..STREAMS).for_each(|stream| self.deliver(side, stream));
                }
                self.check();
            }
            self.now += Duration::from_secs(3600);
            self.expire(0);
            self.expire(1);
        }
    }

    fn assert_nothing_is_left(&self) {
        for side in &self.sides {
            assert_eq!(side.machine.count(), (0, 0));
            assert!(side.open.is_empty());
            assert_eq!(side.machine.next_deadline(), None);
            assert_eq!(side.ended.len() as u64, side.next_id - 1, "each call has ended");
            for stream in 0..STREAMS {
                assert!(!side.machine.serves(stream) && !side.machine.is_full(stream));
                assert_eq!(side.machine.waiting(stream), 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_happens_in_whatever_order_a_cut_leaves_nothing(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.apply(step));
        world.cut();
        world.assert_nothing_is_left();
    }

    #[test]
    fn calls_with_deadlines_end_without_a_cut(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in steps {
            match step {
                // A subscription that nobody ends goes on for ever; so does a call without a limit to a lost callee.
                Step::Call { side, stream, limit_ms, subscribe } => {
                    let limit_ms = Some(limit_ms.unwrap_or(700));
                    world.apply(Step::Call { side, stream, limit_ms, subscribe });
                }
                Step::Cut => {}
                step => world.apply(step),
            }
        }
        world.settle();
        world.assert_nothing_is_left();
    }
}
