//! How long a question takes.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::population::{Population, Question};
use crate::rivals::Ownership;
use crate::turns::turns;

/// Of one leg: little, so that there are many rounds, and each asks about other resources than the one before.
const QUESTIONS: usize = 100_000;

/// One thread asks, and nothing changes. It waits for nobody, so the time is that on the processor: what other programs
/// do to the clock, they do not do to this.
pub(crate) fn alone(population: &Population, ours: &impl Ownership, other: &impl Ownership, name: &str) {
    turns(|leg| ask(population, ours, leg, on_processor), |leg| ask(population, other, leg, on_processor)).print(name);
}

/// Two threads ask, each about resources of its own, and a third changes others. The time is that on the clock, since
/// they may have to wait for each other.
pub(crate) fn busy(population: &Population, ours: &impl Ownership, other: &impl Ownership, name: &str) {
    let (mut our_changes, mut other_changes) = (Rate::default(), Rate::default());
    let outcome = turns(
        |leg| ask_while_changing(population, ours, leg, &mut our_changes),
        |leg| ask_while_changing(population, other, leg, &mut other_changes),
    );
    outcome.print(name);
    // A third thread that is kept waiting disturbs the others less.
    let (ours, other) = (our_changes.per_second(), other_changes.per_second());
    println!("    meanwhile the third recorded and revoked {ours:.0} times per second; there: {other:.0}");
}

#[derive(Default)]
struct Rate {
    times: u64,
    seconds: f64,
}

impl Rate {
    fn per_second(&self) -> f64 {
        self.times as f64 / self.seconds
    }
}

/// Nanoseconds by `time` for each question that one thread asks.
fn ask(population: &Population, store: &impl Ownership, leg: usize, time: impl Fn() -> Duration) -> f64 {
    let mut legs = population.questions.chunks(QUESTIONS).cycle();
    let questions: &[Question] = legs.nth(leg % (population.questions.len() / QUESTIONS)).unwrap();
    let begin = time();
    let passed = questions.iter().filter(|question| {
        let identity = &population.owners[question.owner()];
        store.owns(black_box(identity), question.kind(), question.id())
    });
    assert_eq!(passed.count(), QUESTIONS);
    (time() - begin).as_nanos() as f64 / QUESTIONS as f64
}

fn ask_while_changing(population: &Population, store: &impl Ownership, leg: usize, rate: &mut Rate) -> f64 {
    let is_over = AtomicBool::new(false);
    let begin = Instant::now();
    let on_clock = || begin.elapsed();
    thread::scope(|scope| {
        let changes = scope.spawn(|| store.change(|| is_over.load(Ordering::Relaxed)));
        let readers = [2 * leg, 2 * leg + 1].map(|leg| scope.spawn(move || ask(population, store, leg, on_clock)));
        let times = readers.map(|reader| reader.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        rate.times += changes.join().unwrap();
        rate.seconds += begin.elapsed().as_secs_f64();
        times.iter().sum::<f64>() / 2.0
    })
}

/// The kernel's account of this thread (proc_pid_schedstat(5)): the first figure is nanoseconds on the processor.
fn on_processor() -> Duration {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(account.split_whitespace().next().unwrap().parse().unwrap())
}
