"""Stands in for journalctl inside of a machine. Stands alone: it is copied into the machine's programs.

Fields, units, the current boot, the number of lines and the output formats that scripts use. What it does not know it refuses.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import time

CONTROL_SOCKET = "/run/vm-tests/control"
JOURNAL_FILE = "/var/log/journal.jsonl"
IGNORED = {"--no-pager", "-q", "--quiet", "-a", "--all", "-e", "--full", "-l", "--sync", "--no-hostname"}
VALUES = {
    "-u": "unit",
    "--unit": "unit",
    "-o": "output",
    "--output": "output",
    "-n": "lines",
    "--lines": "lines",
}
VALUES |= {"-g": "grep", "--grep": "grep", "-p": "priority", "-t": "identifier", "--identifier": "identifier"}
OUTPUTS = {"cat", "short", "short-precise", "json"}

Entry = dict[str, str]


def main(arguments: list[str]) -> int:
    """Prints the entries that were asked for."""
    options: dict[str, list[str]] = {}
    matches: dict[str, set[str]] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        if name in VALUES and (equals or rest):
            options.setdefault(VALUES[name], []).append(value if equals else rest.pop(0))
        elif argument[:2] in VALUES and len(argument) > 2 and argument[1] != "-":
            options.setdefault(VALUES[argument[:2]], []).append(argument[2:])
        elif argument in ("-b", "--boot", "-b0"):
            options["boot"] = ["0"]
        elif re.fullmatch(r"[A-Z0-9_]+", name) and equals:
            matches.setdefault(name, set()).add(value)
        elif argument not in IGNORED:
            sys.exit(f"journalctl: {argument} is not emulated here")
    output = options.get("output", ["short"])[-1]
    if output not in OUTPUTS or "priority" in options:
        sys.exit(f"journalctl: not emulated here: {' '.join(arguments)}")
    entries = [entry for entry in read() if wanted(entry, options, matches)]
    if "lines" in options and options["lines"][-1] != "all":
        entries = entries[max(0, len(entries) - int(options["lines"][-1])) :]
    for entry in entries:
        print(shown(entry, output))
    return 1 if "grep" in options and not entries else 0


def read() -> list[Entry]:
    """Everything that was logged until now, also what is still under way to the file."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(CONTROL_SOCKET)
        connection.sendall(b'{"verb": "sync"}\n')
        connection.recv(4096)
    with open(JOURNAL_FILE, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


def wanted(entry: Entry, options: dict[str, list[str]], matches: dict[str, set[str]]) -> bool:
    """Several matches of one field are alternatives; those of different fields have to hold together."""
    units = {unit if "." in unit else f"{unit}.service" for unit in options.get("unit", [])}
    if units and not units & {entry.get("_SYSTEMD_UNIT"), entry.get("UNIT")}:
        return False
    if "boot" in options:
        with open("/run/vm-tests/boot-id", encoding="utf-8") as file:
            if entry["_BOOT_ID"] != file.read():
                return False
    if "identifier" in options and entry.get("SYSLOG_IDENTIFIER") not in options["identifier"]:
        return False
    # As journalctl does: without regard to case if the pattern has no upper-case letter.
    for pattern in options.get("grep", []):
        flags = re.IGNORECASE if pattern == pattern.lower() else 0
        if not re.search(pattern, entry.get("MESSAGE", ""), flags):
            return False
    return all(entry.get(name) in values for name, values in matches.items())


def shown(entry: Entry, output: str) -> str:
    """One entry in the given format."""
    if output == "json":
        return json.dumps(entry, ensure_ascii=False)
    message = entry.get("MESSAGE", "")
    if output == "cat":
        return message
    at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    stamp = time.strftime("%b %d %H:%M:%S", time.localtime(at))
    if output == "short-precise":
        stamp += f"{at % 1:.6f}"[1:]
    pid = f"[{entry['_PID']}]" if "_PID" in entry else ""
    return f"{stamp} {socket.gethostname()} {entry.get('SYSLOG_IDENTIFIER', 'unknown')}{pid}: {message}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
