//! What a call that waits for its answer holds, at both ends of its connection.

use std::io::{BufReader, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::again::{again, line_of, tell, wait_for_the_end_of_input};
use crate::certificate::write_certificate;
use crate::note::Note;
use crate::report::{Column, Contestant as _, Report};
use crate::rounds::{Figures, rounds};
use crate::side::Side;
use crate::{process, runtime};

/// The hidden argument with which this program is a client that holds calls and nothing else.
pub(crate) const HOLD: &str = "--hold-calls";

/// How many calls wait.
const COUNT: u64 = 10_000;
/// What the servers allow on one connection.
pub(crate) const MANY: usize = 20_000;

const NAME: &str = "memory of a pending call";

/// What each process gets to do before its memory is looked at, so that what is made at the first use is there.
const WARM_UP: usize = 6400;
/// How long allocators and garbage collectors get to come to rest.
const SETTLE: Duration = Duration::from_millis(300);

pub(crate) fn measure(report: &mut Report, wanted: impl Fn(&str) -> bool) {
    if !wanted(NAME) {
        return;
    }
    let columns = ["client, bytes", "server, bytes", "both, bytes"].map(Column::lower).into();
    let outcomes = rounds(Duration::ZERO, &Side::ALL, |side| grow(*side));
    report.table(NAME, columns, Side::ALL.into_iter().zip(outcomes).collect());
}

/// By how much client and server grow with each call. The processes are new: memory that was freed stays with a process
/// for the next.
fn grow(side: Side) -> Result<Figures, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write_certificate(folder.path());
    let server = side.start(folder.path())?;
    let mut client = again(&[HOLD, side.name(), folder.path().to_str().unwrap(), &server.address])?;
    let mut output = BufReader::new(client.0.stdout.take().unwrap());
    let resident = || (process::resident(client.0.id()), server.resident());
    line_of(&mut output)?;
    std::thread::sleep(SETTLE);
    let before = resident();
    writeln!(client.0.stdin.as_ref().unwrap()).map_err(|error| error.to_string())?;
    line_of(&mut output)?;
    std::thread::sleep(SETTLE);
    let after = resident();
    let (client, server) = ((after.0 - before.0) / COUNT as f64, (after.1 - before.1) / COUNT as f64);
    Ok(vec![client, server, client + server])
}

/// The body of the client's process: connects, says so, waits for a line, holds its calls, and says so.
pub(crate) fn hold_until_killed(arguments: &[String]) {
    let [name, folder, address] = arguments else { panic!("{HOLD} SIDE FOLDER ADDRESS") };
    let runtime = runtime();
    let caller = runtime.block_on(Side::by_name(name).connect(address, Path::new(folder)));
    runtime.block_on(runtime.spawn(caller.calls(Note::of_length(64), 64, WARM_UP))).unwrap();
    tell("connected");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    runtime.block_on(runtime.spawn(caller.hang(Note::of_length(64), COUNT))).unwrap();
    tell("held");
    runtime.block_on(wait_for_the_end_of_input());
}
