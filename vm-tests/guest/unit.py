"""Reads a systemd unit file, with its drop-ins, as far as a node's service needs it.

What a directive would do is either emulated, or it is in NOT_EMULATED and has no effect here, or the unit is refused: a
directive that is new in the unit file must not be dropped in silence, or a test would pass here and fail under systemd.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

UNIT_FOLDER = Path("/etc/systemd/system")

# Confinement and the user. A virtual machine with systemd shows whether the node lives with them.
NOT_EMULATED = frozenset("""
    AmbientCapabilities CapabilityBoundingSet DynamicUser LockPersonality MemoryDenyWriteExecute NoNewPrivileges
    PrivateDevices PrivateMounts PrivateTmp PrivateUsers ProcSubset ProtectClock ProtectControlGroups ProtectHome
    ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem
    RemoveIPC RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID
    SystemCallArchitectures SystemCallErrorNumber SystemCallFilter WatchdogSec
    """.split())

# Of the other sections; what they order (other units, and when) does not exist here.
OTHER_SECTIONS = frozenset({"Unit", "Install"})

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LISTS = frozenset({"LoadCredential", "Environment", "RestartPreventExitStatus"})


class UnitError(Exception):
    """A unit file that cannot be taken at its word."""


@dataclass
class Unit:
    """A service, with systemd's defaults for what the file does not say. Times are in seconds."""

    name: str
    description: str = ""
    kind: str = "simple"
    exec_start: list[str] = field(default_factory=list)
    exec_reload: list[str] = field(default_factory=list)
    restart: str = "no"
    restart_sec: float = 0.1
    restart_prevent: frozenset[int] = frozenset()
    timeout_start: float = 90.0
    timeout_stop: float = 90.0
    kill_mode: str = "control-group"
    start_limit_interval: float = 10.0
    start_limit_burst: int = 5
    umask: int = 0o022
    limit_nofile: int | None = None
    state_directory: str | None = None
    state_directory_mode: int = 0o755
    configuration_directory: str | None = None
    credentials: dict[str, Path] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def load(name: str, folder: Path = UNIT_FOLDER) -> Unit:
    """The unit `name` of `folder`, with the drop-ins beside it."""
    files = [folder / name, *sorted((folder / f"{name}.d").glob("*.conf"))]
    try:
        return parse(name, [file.read_text() for file in files])
    except UnitError as error:
        raise UnitError(f"{files[0]}: {error}") from None


def parse(name: str, texts: list[str]) -> Unit:
    """A unit from the texts of its file and its drop-ins, in this order."""
    values: dict[str, list[str]] = {}
    unit = Unit(name)
    for text in texts:
        for section, key, value in _assignments(text):
            if section.startswith("X-") or key.startswith("X-"):
                continue  # for other programs than systemd; NixOS has some
            if section in OTHER_SECTIONS:
                _other_section(unit, key, value)
            elif section != "Service":
                raise UnitError(f"[{section}] is not known here")
            elif value == "":
                values[key] = []  # an empty assignment takes back the earlier ones
            else:
                values.setdefault(key, []).append(value)
    for key, given in values.items():
        if given and key not in NOT_EMULATED:
            _service(unit, key, given)
    if not unit.exec_start:
        raise UnitError("there is no ExecStart=")
    return unit


def _assignments(text: str) -> list[tuple[str, str, str]]:
    section, found = "", []
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise UnitError(f"this line is no assignment: {line}")
        found.append((section, key.strip(), value.strip()))
    return found


def _other_section(unit: Unit, key: str, value: str) -> None:
    if key == "Description":
        unit.description = value
    elif key == "StartLimitIntervalSec":
        unit.start_limit_interval = seconds(value)
    elif key == "StartLimitBurst":
        unit.start_limit_burst = int(value)


def _service(unit: Unit, key: str, given: list[str]) -> None:
    value = given[-1]
    if key not in _LISTS and len(given) > 1 and key.startswith("Exec"):
        raise UnitError(f"several {key}= lines are not emulated")
    match key:
        case "Type":
            unit.kind = _one_of(key, value, "simple", "exec", "notify")
        case "ExecStart":
            unit.exec_start = command(value)
        case "ExecReload":
            unit.exec_reload = command(value)
        case "Restart":
            unit.restart = _one_of(key, value, "no", "on-failure", "always")
        case "RestartSec":
            unit.restart_sec = seconds(value)
        case "RestartPreventExitStatus":
            unit.restart_prevent = frozenset(int(word) for line in given for word in line.split())
        case "TimeoutStartSec":
            unit.timeout_start = seconds(value)
        case "TimeoutStopSec":
            unit.timeout_stop = seconds(value)
        case "TimeoutSec":
            unit.timeout_start = unit.timeout_stop = seconds(value)
        case "KillMode":
            unit.kill_mode = _one_of(key, value, "control-group", "mixed")
        case "UMask":
            unit.umask = int(value, 8)
        case "LimitNOFILE":
            unit.limit_nofile = int(value)
        case "StateDirectory":
            unit.state_directory = _plain_name(key, value)
        case "StateDirectoryMode":
            unit.state_directory_mode = int(value, 8)
        case "ConfigurationDirectory":
            unit.configuration_directory = _plain_name(key, value)
        case "LoadCredential":
            for line in given:
                name, _, path = line.partition(":")
                unit.credentials[name] = Path(path)
        case "Environment":
            unit.environment = dict(word.split("=", 1) for line in given for word in shlex.split(line))
        case _:
            raise UnitError(f"{key}= is neither emulated nor known to be without effect here")


def _one_of(key: str, value: str, *known: str) -> str:
    if value not in known:
        raise UnitError(f"{key}={value} is not emulated, only {', '.join(known)}")
    return value


def _plain_name(key: str, value: str) -> str:
    if not re.fullmatch(r"[\w.-]+", value):
        raise UnitError(f"{key}={value} is not emulated, only one plain name")
    return value


def command(line: str) -> list[str]:
    """The words of a command line. The program's path has to be absolute, as systemd wants it where it matters."""
    words = shlex.split(line)
    if not words or not words[0].startswith("/"):
        raise UnitError(f"not emulated, only an absolute path and its arguments: {line}")
    if any("%" in word for word in words):
        raise UnitError(f"specifiers are not emulated: {line}")
    return words


def seconds(text: str) -> float:
    """A time span as systemd writes them: `30`, `2s`, `1min 30s`, `500ms`."""
    if text == "infinity":
        return float("inf")
    total = 0.0
    for word in text.split():
        match = re.fullmatch(r"([\d.]+)([a-z]*)", word)
        if not match or match[2] not in _UNITS:
            raise UnitError(f"this time span is not known here: {text}")
        total += float(match[1]) * _UNITS[match[2]]
    return total
