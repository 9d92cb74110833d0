//! From the start of the process to the moment when the node tells the service manager that it serves.

use crate::aim::Aim;
use crate::memory::HANDLERS;
use crate::node::{Node, VaultKind, alknet};
use crate::report::Report;

const STARTS: usize = 15;
const AIM: Aim = Aim::AtMost(50.0);

pub(crate) fn measure(report: &mut Report, wanted: impl Fn(&str) -> bool) {
    for vault in VaultKind::ALL {
        let name = format!("start, {}", vault.name());
        if !wanted(&name) {
            continue;
        }
        // What a passphrase costs that a person chose is what it is worth: the aim is not about that.
        let aim = (!matches!(vault, VaultKind::HumanPassphrase)).then_some(AIM);
        match starts(vault) {
            Ok(times) => report.samples(&name, "ms", aim, &times),
            Err(why) => report.not_measured(&name, why),
        }
    }
}

fn starts(vault: VaultKind) -> Result<Vec<f64>, String> {
    let node = Node::new(&alknet()?, vault, HANDLERS).map_err(|error| error.to_string())?;
    // The first start reads the program from the disk.
    node.start()?;
    (0..STARTS).map(|_| node.start().map(|(_, time)| time.as_secs_f64() * 1000.0)).collect()
}
