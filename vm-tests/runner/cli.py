"""The command line: which scenarios, with which program; and namespaces for each."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from runner import driver, fleet, payload, scenario

SCENARIOS = Path(__file__).resolve().parent.parent
UNITS = SCENARIOS.parent / "nixos/units"
INSIDE = "--inside"
PR_SET_PDEATHSIG = 1
NEEDED = ("bash", "ip", "mount", "nsenter", "pivot_root", "timeout", "umount", "unshare")
INTERRUPTED = 130
TIMEOUT = 60.0


def main(arguments: list[str]) -> int:
    """Gives the exit status: 0 if all went well, 1 if a scenario failed, 2 if nothing could be run."""
    if arguments[:1] == [INSIDE]:
        return scenario.run(scenario.Options(**json.loads(arguments[1])))
    args = parser().parse_args(arguments)
    try:
        fleets = load_all()
        if args.list:
            return show(list(fleets.values()))
        if args.driver and (args.keep or args.timeout is not None):
            raise Unusable("--keep and --timeout are for machines that are started here, not for those of a driver")
        chosen = choose(fleets, args.scenarios)
        programs, units = find_programs(args), args.units.absolute()
        prefix = [] if args.driver else namespaces()
    except (fleet.FleetError, Unusable) as error:
        print(f"vm-tests/run: {error}", file=sys.stderr)
        return 2
    failed = []
    for one in chosen:
        if args.driver:
            status = run_with(args.driver, one, programs, units, args.verbose)
        else:
            options = scenario.Options(
                folder=str(one.folder),
                alknet=str(programs.first),
                next_alknet=str(programs.second),
                units=str(units),
                timeout=TIMEOUT if args.timeout is None else args.timeout,
                verbose=args.verbose,
                keep=args.keep,
            )
            status = run_inside(prefix, options)
        if status != 0:
            failed.append(one.name)
    if failed:
        print(f"vm-tests/run: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def write_payload(arguments: list[str]) -> int:
    """`vm-tests/payload`: writes a folder for another driver, and says which machines it needs."""
    parser = argparse.ArgumentParser(
        prog="vm-tests/payload",
        description="Writes what another driver needs to run a scenario, and prints the names of its machines: "
        "FOLDER/root is laid over the root of each, FOLDER/script.py is the script.",
    )
    parser.add_argument("scenario", metavar="SCENARIO")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="is made, or has to be empty")
    add_inputs(parser)
    args = parser.parse_args(arguments)
    try:
        [one] = choose(load_all(), [args.scenario])
        names = payload.write(one, find_programs(args), args.units.absolute(), args.folder.absolute())
    except (fleet.FleetError, Unusable, OSError) as error:
        print(f"vm-tests/payload: {error}", file=sys.stderr)
        return 2
    print(*names)
    return 0


class Unusable(Exception):
    """The runner cannot run anything, and why."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="vm-tests/run", description="Runs fleet scenarios on network namespaces."
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help="by default all that are not disabled"
    )
    add_inputs(parser)
    parser.add_argument(
        "--driver",
        metavar="COMMAND",
        help="run the scenarios with another driver: COMMAND gets the folder to be laid over the root of every "
        "machine, the script, and the machines' names",
    )
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help=f"for waits that name none; by default {TIMEOUT:.0f}"
    )
    parser.add_argument("--keep", action="store_true", help="copy the machines' disks and logs to a folder")
    parser.add_argument("--list", action="store_true", help="show the scenarios and run none")
    parser.add_argument("--verbose", action="store_true", help="show every command")
    return parser


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The options that name what is tested."""
    parser.add_argument(
        "--alknet", type=Path, metavar="PATH", help="the program; by default the newest below target/"
    )
    parser.add_argument(
        "--next-alknet", type=Path, metavar="PATH", help="the program of next generations; by default the same"
    )
    parser.add_argument(
        "--units",
        type=Path,
        default=UNITS,
        metavar="FOLDER",
        help="the texts of the unit, by the enabled handlers; by default nixos/units",
    )


def load_all() -> dict[str, fleet.Fleet]:
    """The scenarios that lie here."""
    return {file.parent.name: fleet.load(file.parent) for file in sorted(SCENARIOS.glob("*/fleet.toml"))}


def show(fleets: list[fleet.Fleet]) -> int:
    """Lists the scenarios."""
    for one in fleets:
        note = f" [disabled: {one.disabled}]" if one.disabled else ""
        print(f"{one.name:<22} {len(one.machines)} machines  {one.description}{note}")
    return 0


def choose(fleets: dict[str, fleet.Fleet], names: list[str]) -> list[fleet.Fleet]:
    """The scenarios to run. One that is named, or whose folder is, is run even if it is disabled."""
    chosen = []
    for name in names:
        if name in fleets:
            chosen.append(fleets[name])
        elif Path(name, "fleet.toml").exists():
            chosen.append(fleet.load(Path(name).resolve()))
        else:
            raise Unusable(f"there is no scenario {name}, only {', '.join(fleets)}")
    return chosen or [one for one in fleets.values() if not one.disabled]


def find_programs(args: argparse.Namespace) -> fleet.Programs:
    """What `--alknet` and `--next-alknet` name."""
    first = find_program(args.alknet)
    return fleet.Programs(first, find_program(args.next_alknet) if args.next_alknet else first)


def find_program(named: Path | None) -> Path:
    """The alknet program. Nothing is built here."""
    target = SCENARIOS.parent / "target"
    built = [path for kind in ("debug", "release") if (path := target / kind / "alknet").exists()]
    newest = max(built, key=lambda path: path.stat().st_mtime, default=target / "debug/alknet")
    program = (named or newest).absolute()
    if not os.access(program, os.X_OK) or program.is_dir():
        raise Unusable(f"{program} is no program: build it (cargo build -p alknet), or name it with --alknet")
    return program


def namespaces() -> list[str]:
    """The command that gives a scenario namespaces of its own, tried out."""
    if missing := [program for program in NEEDED if shutil.which(program) is None]:
        raise Unusable(
            f"not on this machine: {', '.join(missing)} (of util-linux, iproute2, coreutils and bash)"
        )
    is_root = os.geteuid() == 0
    prefix = ["unshare", *([] if is_root else ["--user", "--map-root-user"])]
    prefix += [
        "--net",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
    ]
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        hint = "" if is_root else "; run it as root, or let users make user namespaces"
        raise Unusable(f"no namespaces can be made here: {tried.stderr.strip()}{hint}")
    return prefix


def run_inside(prefix: list[str], options: scenario.Options) -> int:
    """Runs a scenario in namespaces. Whatever ends this process, the kernel then ends everything of the scenario."""
    command = [sys.executable, "-Es", str(SCENARIOS / "run"), INSIDE, json.dumps(asdict(options))]
    process = subprocess.Popen([*prefix, *command], start_new_session=True, preexec_fn=die_with_parent)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.kill()
        process.wait()
        interrupted()


def run_with(command: str, one: fleet.Fleet, programs: fleet.Programs, units: Path, verbose: bool) -> int:
    """Runs a scenario with another driver, which has been told as well if it is interrupted."""
    try:
        return driver.run(one, programs, units, command, verbose)
    except KeyboardInterrupt:
        interrupted()


def interrupted() -> NoReturn:
    """Ends as a shell expects it of a program that got SIGINT."""
    print("vm-tests/run: interrupted", file=sys.stderr)
    sys.exit(INTERRUPTED)


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends, however that happens."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
