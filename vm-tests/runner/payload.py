"""Writes what another driver needs to run a scenario on machines with a real systemd.

`root/` is to be laid over the root of every machine: which one it is, a machine tells by its host name when it boots. `script.py` is
the script. Names, addresses and disks are the driver's.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runner import fleet
from runner.container import GUEST
from runner.scenario import PRELUDE, PROGRAM

MACHINES = "usr/local/share/fleet"
BOOT_UNIT = "fleet.service"


def write(whole: fleet.Fleet, programs: fleet.Programs, unit_texts: Path, folder: Path) -> list[str]:
    """Fills `folder`, which may be there if it is empty. Gives the machines' names in the order of their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise fleet.FleetError(f"{folder} is not empty: name another folder, or remove it")
    # Whatever the umask is here, these become folders of the machines, where the node has a user of its own.
    umask = os.umask(0o022)
    try:
        root = folder / "root"
        root.mkdir()
        program = programs.install(root / fleet.PACKAGES[1:])
        fleet.check_fingerprints(whole, program, folder / "identities")
        shutil.rmtree(folder / "identities")
        _write_programs(root)
        for machine in whole.machines.values():
            _write_machine(root / MACHINES / machine.name, fleet.node_files(whole, machine, unit_texts))
        (folder / "script.py").write_text(PRELUDE.read_text() + whole.script.read_text())
    finally:
        os.umask(umask)
    return list(whole.machines)


def _write_programs(root: Path) -> None:
    programs, boot = root / "usr/local/bin", root / "usr/local/lib/fleet/boot"
    units = root / "etc/systemd/system"
    for made in (programs, boot.parent, units / "multi-user.target.wants"):
        made.mkdir(parents=True)
    (programs / "alknet").symlink_to(PROGRAM)
    shutil.copy(GUEST / "next-generation.sh", programs / "next-generation")
    shutil.copy(GUEST / "boot.sh", boot)
    shutil.copy(GUEST / BOOT_UNIT, units)
    (units / "multi-user.target.wants" / BOOT_UNIT).symlink_to(f"../{BOOT_UNIT}")


def _write_machine(folder: Path, files: list[fleet.File]) -> None:
    for file in files:
        path = folder / file.path[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=file.mode)
        path.write_text(file.text)
