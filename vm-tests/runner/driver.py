"""Runs a scenario with another driver, such as the NixOS test driver, on machines with a real systemd."""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from runner import fleet, payload
from runner.report import Report

FINISHED = re.compile(r"\(finished: subtest: (.*), in ([\d.]+) seconds\)")


def run(whole: fleet.Fleet, programs: fleet.Programs, unit_texts: Path, driver: str, verbose: bool) -> int:
    """Runs `driver ROOT SCRIPT NAME...` and gives the exit status. What it says is shown if it fails, or if it is wanted."""
    report = Report(verbose)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="alknet-vm-tests-") as folder:
        written = Path(folder, "payload")
        try:
            names = payload.write(whole, programs, unit_texts, written)
            print(f"{whole.name}: {whole.description}", flush=True)
            with Path(folder, "log").open("wb") as log:
                command = [*shlex.split(driver), str(written / "root"), str(written / "script.py"), *names]
                status = _wait(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=None if verbose else log,
                        stderr=None if verbose else subprocess.STDOUT,
                    )
                )
        except (fleet.FleetError, OSError) as error:
            report.error(f"{whole.folder}: {error}")
            return 2
        if not verbose:
            show(Path(folder, "log").read_text(errors="replace"), status, report)
    print(f"{whole.name}: {'FAILED' if status else 'ok'}, {time.monotonic() - started:.1f} s", flush=True)
    return 1 if status else 0


def show(said: str, status: int, report: Report) -> None:
    """The subtests with their times, as the NixOS test driver says them, and everything if something failed."""
    for name, seconds in FINISHED.findall(said):
        report.line(f"{'ok':<6} {float(seconds):6.2f} s  {name}")
    if status != 0:
        report.document("what the driver said", said)


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:
        # The driver was told, too, and has machines to end.
        process.wait()
        raise
