"""Reads a scenario's `fleet.toml`, and makes of it the files of each machine.

The same file is read by Nix (`builtins.fromTOML`), so what is derived here has to be derivable there: a seed is the SHA-512 of a text
(`builtins.hashString "sha512"`), and a peer is named by its machine. What only the program can compute, the fingerprints, stands in
the file and is compared with what the program says.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import toml, units

CONFIG_FOLDER = "/etc/alknet"
CONFIG_FILE = f"{CONFIG_FOLDER}/alknet.toml"
SEED_FILE = f"{CONFIG_FOLDER}/seed"
UNIT = "alknet.service"
UNIT_FOLDER = "/etc/systemd/system"
SEED_PREFIX = "not a secret: "
SUBNET = "192.168.1"
SUBNET_6 = "2001:db8:1:"
MAX_MACHINES = 254
# The packages of a machine's generations, by their numbers; and what its next generation consists of.
PACKAGES = "/opt/alknet"
NEXT_FOLDER = "/etc/next-generation"


class FleetError(Exception):
    """A fleet file that is of no use, with what to do about it."""


@dataclass
class File:
    """A file that a machine has when it boots."""

    path: str
    text: str
    mode: int = 0o644


@dataclass
class MachineSpec:
    """A machine: a node with its identity, its settings and its peers."""

    name: str
    number: int
    seed: str
    fingerprint: str
    serve: bool
    log: str
    settings: dict[str, Any]
    next_settings: dict[str, Any] | None
    peers: list[dict[str, Any]]

    @property
    def address(self) -> str:
        """Its IPv4 address. The NixOS test network numbers machines in the order of their names, too."""
        return f"{SUBNET}.{self.number}"

    @property
    def address_6(self) -> str:
        """Its IPv6 address."""
        return f"{SUBNET_6}:{self.number:x}"

    @property
    def seed_hex(self) -> str:
        """The node's seed, as the program reads it from a credential."""
        return hashlib.sha512(self.seed.encode()).hexdigest()


@dataclass
class Fleet:
    """A scenario's machines, in the order of their names."""

    folder: Path
    description: str
    disabled: str | None
    machines: dict[str, MachineSpec] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The scenario's name."""
        return self.folder.name

    @property
    def script(self) -> Path:
        """The test script."""
        return self.folder / "test.py"


@dataclass(frozen=True)
class Programs:
    """The programs to be tested: of the first generation, and of the next one."""

    first: Path
    second: Path

    def install(self, folder: Path) -> Path:
        """Makes the package of each generation in `folder`, and gives the first program there."""
        first, second = (folder / str(generation) / "bin/alknet" for generation in (1, 2))
        for program in (first, second):
            program.parent.mkdir(parents=True)
        shutil.copyfile(self.first, first)
        first.chmod(0o755)
        if self.second == self.first:
            second.hardlink_to(first)  # another path is what matters; a scenario's disks are in memory
        else:
            shutil.copyfile(self.second, second)
            second.chmod(0o755)
        return first


def load(folder: Path) -> Fleet:
    """Reads and checks a scenario's `fleet.toml`."""
    file = folder / "fleet.toml"
    try:
        document = tomllib.loads(file.read_text())
        return _fleet(folder, document)
    except (tomllib.TOMLDecodeError, FleetError) as error:
        raise FleetError(f"{file}: {error}") from None


def _fleet(folder: Path, document: dict[str, Any]) -> Fleet:
    _known("the fleet", document, {"description", "disabled", "machines"})
    fleet = Fleet(folder, document.get("description", ""), document.get("disabled"))
    machines = document.get("machines", {})
    if not 1 <= len(machines) <= MAX_MACHINES:
        raise FleetError(f"{len(machines)} machines: a fleet has 1 to {MAX_MACHINES}")
    for number, name in enumerate(sorted(machines), start=1):
        fleet.machines[name] = _machine(name, number, machines[name])
    seeds = [machine.seed for machine in fleet.machines.values()]
    for name, machine in fleet.machines.items():
        if seeds.count(machine.seed) > 1:
            raise FleetError(f"machines.{name}: another machine has the same seed")
        for peer in machine.peers:
            if peer.get("machine", name) not in machines:
                raise FleetError(f"machines.{name}: there is no machine {peer['machine']} to be its peer")
    return fleet


def _machine(name: str, number: int, table: dict[str, Any]) -> MachineSpec:
    place = f"machines.{name}"
    if not re.fullmatch(r"[a-z][a-z0-9]*", name):
        raise FleetError(f"{place}: a machine is a host and a variable of the script, so a-z and 0-9")
    _known(place, table, {"seed", "fingerprint", "serve", "log", "settings", "next", "peers"})
    seed = table.get("seed", "")
    if not seed.startswith(SEED_PREFIX):
        raise FleetError(
            f'{place}.seed: a seed of these files is public, so its text begins with "{SEED_PREFIX}"'
        )
    settings, following = table.get("settings", {}), table.get("next", {})
    _known(f"{place}.next", following, {"settings"})
    next_settings = following.get("settings")
    for where, given in (("settings", settings), ("next.settings", next_settings or {})):
        if taken := {"vault", "peers"} & given.keys():
            raise FleetError(f"{place}.{where}.{taken.pop()} is made from the rest of this file")
    fingerprint, serve, log = table.get("fingerprint", ""), table.get("serve", True), table.get("log", "info")
    if next_settings is not None and not serve:
        raise FleetError(f"{place}.next: only a node that serves can be switched to a next generation")
    peers = table.get("peers", [])
    return MachineSpec(name, number, seed, fingerprint, serve, log, settings, next_settings, peers)


def _known(place: str, table: dict[str, Any], keys: set[str]) -> None:
    if unknown := table.keys() - keys:
        raise FleetError(f"{place} has no key {unknown.pop()}, only {', '.join(sorted(keys))}")


def config(fleet: Fleet, machine: MachineSpec, settings: dict[str, Any]) -> str:
    """The machine's `alknet.toml` with these settings."""
    peers = []
    for peer in machine.peers:
        entry = dict(peer)
        if other := entry.pop("machine", None):
            entry = {"id": other, "fingerprints": [fleet.machines[other].fingerprint]} | entry
        peers.append(entry)
    settings = dict(settings)
    node = {"name": machine.name} | settings.pop("node", {})
    return toml.dumps(
        {"node": node, "vault": {"seed_file": "seed"}} | settings | ({"peers": peers} if peers else {})
    )


def network_files(fleet: Fleet, machine: MachineSpec) -> list[File]:
    """What tells the machine its name, and how the others are called."""
    hosts = ["127.0.0.1 localhost", "::1 localhost"]
    for other in fleet.machines.values():
        hosts += [f"{other.address} {other.name}", f"{other.address_6} {other.name}"]
    return [
        File("/etc/hosts", "\n".join(hosts) + "\n"),
        File("/etc/hostname", machine.name + "\n"),
        File("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ]


def node_files(fleet: Fleet, machine: MachineSpec, unit_texts: Path) -> list[File]:
    """The node: its configuration, its seed and, if it serves, its unit; and what its next generation replaces of them."""
    made = [
        File(CONFIG_FILE, config(fleet, machine, machine.settings)),
        File(SEED_FILE, machine.seed_hex, 0o600),
    ]
    if machine.serve:
        text = _unit(machine, unit_texts, machine.settings, 1)
        made.append(File(f"{UNIT_FOLDER}/{UNIT}", text))
    if machine.next_settings is not None:
        text = _unit(machine, unit_texts, machine.next_settings, 2)
        made.append(File(f"{NEXT_FOLDER}/{UNIT}", text))
        made.append(File(f"{NEXT_FOLDER}/alknet.toml", config(fleet, machine, machine.next_settings)))
    return made


def _unit(machine: MachineSpec, unit_texts: Path, settings: dict[str, Any], generation: int) -> str:
    try:
        return units.text(unit_texts, settings, f"{PACKAGES}/{generation}", machine.log)
    except units.UnitTextError as error:
        raise FleetError(f"machines.{machine.name}: {error}") from None


def check_fingerprints(fleet: Fleet, alknet: Path, scratch: Path) -> None:
    """Compares every fingerprint in the file with what the program says of the seed."""
    wrong = []
    for machine in fleet.machines.values():
        folder = scratch / machine.name
        folder.mkdir(parents=True)
        (folder / "seed").write_text(machine.seed_hex)
        (folder / "seed").chmod(0o600)
        (folder / "alknet.toml").write_text('[vault]\nseed_file = "seed"\n')
        command = [str(alknet), "id", "--json", "--config", str(folder / "alknet.toml")]
        output = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
        if output.returncode != 0:
            raise FleetError(f"{alknet} id: {output.stderr.strip()}")
        found = json.loads(output.stdout)["fingerprint"]
        if found != machine.fingerprint:
            wrong.append(f'[machines.{machine.name}]\nfingerprint = "{found}"')
    if wrong:
        raise FleetError("the seeds do not give these fingerprints; they are\n" + "\n".join(wrong))
