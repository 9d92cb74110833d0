"""Runs one scenario, inside of namespaces of its own: everything that it makes is gone with its first process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import fleet, network
from runner.container import GUEST
from runner.machine import Laboratory, Machine, retry
from runner.report import Report

# Any folder that is always there: a file system in memory is mounted over it, which nobody else sees.
LABORATORY = Path("/dev/shm")
# What is called alknet in a machine: the program of its present generation.
PROGRAM = "/run/current-system/sw/bin/alknet"
PRELUDE = Path(__file__).resolve().parents[1] / "prelude.py"


@dataclass
class Options:
    """What the command line says."""

    folder: str
    alknet: str
    next_alknet: str
    units: str
    timeout: float
    verbose: bool
    keep: bool


def run(options: Options) -> int:
    """Runs the scenario and gives the exit status."""
    report = Report(options.verbose)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "vm-tests", LABORATORY], check=True)
    started = time.monotonic()
    try:
        whole = fleet.load(Path(options.folder))
        tools = LABORATORY / "tools"
        make_tools(tools / "bin")
        programs = fleet.Programs(Path(options.alknet), Path(options.next_alknet))
        alknet = programs.install(tools / fleet.PACKAGES[1:])
        fleet.check_fingerprints(whole, alknet, LABORATORY / "identities")
        network.make_switch()
        silence, _keep_open = os.pipe()
        laboratory = Laboratory(LABORATORY, tools, Path(options.units), options.timeout, silence, report)
        machines = [Machine(spec, whole, laboratory) for spec in whole.machines.values()]
    except (fleet.FleetError, network.NetworkError, OSError) as error:
        report.error(f"{options.folder}: {error}")
        return 2
    print(f"{whole.name}: {whole.description}", flush=True)
    try:
        failure = run_script(whole.script, machines, report)
        if failure:
            show_logs(machines, report)
        if options.keep:
            keep(machines, whole.name, report)
    finally:
        for machine in machines:
            machine.crash()
    if failure:
        report.error(failure)
    print(f"{whole.name}: {'FAILED' if failure else 'ok'}, {time.monotonic() - started:.1f} s", flush=True)
    return 1 if failure else 0


def make_tools(folder: Path) -> None:
    """The programs that every machine has in front of the host's."""
    folder.mkdir(parents=True)
    for name in ("systemctl", "journalctl"):
        interpreter = Path(sys.executable).resolve()
        text = (GUEST / f"{name}.py").read_text()
        (folder / name).write_text(f"#!{interpreter} -Es\n{text}")
        (folder / name).chmod(0o755)
    shutil.copy(GUEST / "next-generation.sh", folder / "next-generation")
    (folder / "alknet").symlink_to(PROGRAM)


def run_script(script: Path, machines: list[Machine], report: Report) -> str | None:
    """Runs the script with the driver's symbols as its globals. Gives what failed in it, and where."""
    known = symbols(machines, report)
    try:
        for file in (PRELUDE, script):
            exec(compile(file.read_text(), str(file), "exec"), known)  # the script is the program
    except Exception as error:
        files = (str(PRELUDE), str(script))
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
        places = "".join(f"\n  {frame.filename}:{frame.lineno}: {frame.line}" for frame in frames)
        kind = "" if type(error).__name__ == "TestFailure" else f"{type(error).__name__}: "
        return f"\n{kind}{error}{places}"
    return None


def symbols(machines: list[Machine], report: Report) -> dict[str, Any]:
    """The globals of a script."""

    def start_all() -> None:
        for machine in machines:
            machine.power_on()  # all at once, as it takes a while
        for machine in machines:
            machine.start()

    def subtest(name: str) -> AbstractContextManager[None]:
        return report.subtest(name)

    general = {
        "start_all": start_all,
        "subtest": subtest,
        "machines": machines,
        "retry": retry,
        "Machine": Machine,
    }
    return general | {re.sub(r"\W", "_", machine.name): machine for machine in machines}


def show_logs(machines: list[Machine], report: Report) -> None:
    """Everything that the machines have said."""
    for machine in machines:
        report.document(f"console of {machine.name}", machine.console.read_text(errors="replace"))
        journal = machine.disk / "var/log/journal.jsonl"
        if journal.exists():
            lines = [json.loads(line) for line in journal.read_text().splitlines()]
            report.document(f"journal of {machine.name}", "\n".join(map(journal_line, lines)))


def journal_line(entry: dict[str, str]) -> str:
    """An entry with the fields that the node gave it."""
    at = time.strftime("%H:%M:%S", time.localtime(int(entry["__REALTIME_TIMESTAMP"]) / 1e6))
    common = {
        "MESSAGE",
        "UNIT",
        "PRIORITY",
        "SYSLOG_IDENTIFIER",
        "TARGET",
        "CODE_FILE",
        "CODE_LINE",
        "SYSLOG_PID",
    }
    fields = {key: value for key, value in entry.items() if key not in common and not key.startswith("_")}
    who = entry.get("SYSLOG_IDENTIFIER", "")
    return " ".join(
        [at, f"{who}:", entry.get("MESSAGE", ""), *(f"{key}={value}" for key, value in fields.items())]
    )


def keep(machines: list[Machine], name: str, report: Report) -> None:
    """Copies disks and consoles to a folder that stays."""
    folder = Path(tempfile.mkdtemp(prefix=f"alknet-vm-tests-{name}-"))
    for machine in machines:
        target = folder / machine.name
        target.mkdir()
        shutil.copy(machine.console, target)
        if machine.disk.exists():
            shutil.copytree(machine.disk, target / "disk", symlinks=True)
    report.line(f"kept in {folder}")
