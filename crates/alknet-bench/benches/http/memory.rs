//! What a server's memory grows by while a body of 1 GiB goes through it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::aim::Aim;
use crate::arguments::Arguments;
use crate::bodies::{DOWNLOAD, LENGTH, SERVE, TOKEN, UPLOAD};
use crate::certificate::write_certificate;
use crate::curl::{self, Figures, Version};
use crate::process;
use crate::report::{Column, Contestant as _, Report};
use crate::rounds::{self, rounds};
use crate::side::{Server, Side};

/// In MiB: buffers and windows, whatever the length of the body.
const AIM: Aim = Aim::AtMost(16.0);

const SIDES: [Side; 2] = [Side::Ours, Side::Bare];

const CASES: [Case; 4] = [
    Case { name: "memory while 1 GiB goes up over h2", version: Version::H2, is_upload: true },
    Case { name: "memory while 1 GiB comes down over h2", version: Version::H2, is_upload: false },
    Case { name: "memory while 1 GiB goes up over http/1.1", version: Version::Http1, is_upload: true },
    Case { name: "memory while 1 GiB comes down over http/1.1", version: Version::Http1, is_upload: false },
];

/// How long a new process gets to come to rest.
const SETTLE: Duration = Duration::from_millis(200);

const MIB: f64 = (1 << 20) as f64;

struct Case {
    name: &'static str,
    version: Version,
    is_upload: bool,
}

pub(crate) fn measure(report: &mut Report, arguments: &Arguments) {
    let mut wanted = CASES.iter().filter(|case| arguments.want(case.name)).peekable();
    if wanted.peek().is_none() {
        return;
    }
    if let Err(why) = curl::PROGRAM.version("--version") {
        return wanted.for_each(|case| report.missing(case.name, why.clone()));
    }
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path());
    // It takes no room on the disk, and reading it costs next to nothing.
    File::create(body_file(folder.path())).and_then(|file| file.set_len(LENGTH)).unwrap();
    for case in wanted {
        let columns = vec![
            Column { limit: Some(AIM), ..Column::lower("growth of resident memory, MiB") },
            Column::lower("at rest, MiB"),
            Column::higher("MiB per second"),
            Column::lower("server's processor time, ms"),
        ];
        let outcomes = rounds(Duration::ZERO, &SIDES, |side| case.leg(*side, folder.path()));
        report.table(case.name, columns, SIDES.into_iter().zip(outcomes).collect());
    }
}

fn body_file(folder: &Path) -> PathBuf {
    folder.join("body")
}

impl Case {
    /// One body through a new process: memory that was freed stays with a process for the next.
    fn leg(&self, side: Side, folder: &Path) -> Result<rounds::Figures, String> {
        let server = Server::again(&[SERVE, side.name(), folder.to_str().unwrap()])?;
        std::thread::sleep(SETTLE);
        process::forget_peak(server.id());
        let (before, busy_before) = (process::resident(server.id()), server.on_processor());
        let figures = self.transfer(&server, folder)?;
        let (peak, busy) = (process::peak(server.id()), server.on_processor() - busy_before);
        let speed = LENGTH as f64 / figures.time();
        Ok([(peak - before) / MIB, before / MIB, speed / MIB, busy * 1000.0].into())
    }

    fn transfer(&self, server: &Server, folder: &Path) -> Result<Figures, String> {
        let path = if self.is_upload { UPLOAD } else { DOWNLOAD };
        let fetched = curl::fetch(folder, server.address, path, self.version, |command| self.body(command, folder))?;
        let (there, back) = (fetched.figures.size_upload, fetched.figures.size_download);
        match self.is_upload {
            // The server has counted it, too.
            true if there == LENGTH && fetched.body == LENGTH.to_string() => Ok(fetched.figures),
            false if back == LENGTH => Ok(fetched.figures),
            _ => Err(format!("curl sent {there} bytes and got {back}, the server said {:?}", fetched.body)),
        }
    }

    fn body(&self, command: &mut Command, folder: &Path) {
        command.args(["--header", &format!("authorization: Bearer {TOKEN}")]);
        if self.is_upload {
            command.args(["--request", "POST", "--upload-file"]).arg(body_file(folder));
        } else {
            command.args(["--output", "/dev/null"]);
        }
    }
}
