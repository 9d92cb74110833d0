//! `alknet demo`: three nodes on loopback, and what alknet is about, in real commands that anybody can repeat.

mod fleet;
mod scenes;
mod show;
mod weather;

use std::time::Instant;

use anyhow::Context as _;

use fleet::Fleet;
use show::Show;
use weather::Weather;

/// Runs the demo. Every step says what it expects; one that turns out otherwise ends it with an error.
///
/// # Errors
/// When a node cannot be started, or a step fails.
pub(crate) fn run(color: bool) -> anyhow::Result<()> {
    let started = Instant::now();
    let folder =
        tempfile::Builder::new().prefix("alknet-demo-").tempdir().context("no temporary folder can be made")?;
    let show = Show::new(color);
    show.title("Three nodes on this machine, each with a key of its own");
    let weather = Weather::start()?;
    let mut fleet = Fleet::start(folder.path(), &weather)?;
    fleet.introduce(&show);
    scenes::dispatch(&fleet, &show)?;
    scenes::calls(&fleet, &show)?;
    scenes::terminals(&fleet, &show)?;
    scenes::imports(&fleet, &weather, &show)?;
    scenes::decoy(&fleet, &show)?;
    scenes::strangers(&fleet, &show)?;
    scenes::pairing(&fleet, &show)?;
    scenes::revocation(&mut fleet, &show)?;
    fleet.stop()?;
    show.title(&format!(
        "Done in {:.1} s. Now your own node: alknet init, then alknet serve",
        started.elapsed().as_secs_f32()
    ));
    Ok(())
}
