"""Stands in for systemctl inside of a machine. Stands alone: it is copied into the machine's programs.

What it does not know it refuses: a script that leaned on it would fail in a virtual machine, or the other way round.
"""

from __future__ import annotations

import json
import socket
import sys

CONTROL_SOCKET = "/run/vm-tests/control"
WITHOUT_UNIT = {"daemon-reload", "is-system-running", "list-jobs"}
FLAGS = {"--no-pager", "--quiet", "-q", "--no-block", "--full", "-l", "--value", "--all", "-a", "--now"}
VALUES = {
    "-p": "property",
    "--property": "property",
    "-s": "signal",
    "--signal": "signal",
    "-o": "output",
    "-n": "lines",
}
VALUES |= {"--kill-who": "whom", "--kill-whom": "whom", "--lines": "lines", "--output": "output"}


def main(arguments: list[str]) -> int:
    """Runs one systemctl command, and gives its exit status."""
    flags, values, words = parse(arguments)
    if not words:
        sys.exit("systemctl: listing units is not emulated here")
    verb, *units = words
    if verb == "is-system-running":
        print("running")
        return 0
    if verb == "list-jobs":
        print("No jobs running.")
        return 0
    if not units and verb not in WITHOUT_UNIT:
        sys.exit(f"systemctl {verb}: which unit?")
    worst = 0
    for unit in units or [""]:
        request = {"verb": verb, "unit": full_name(unit), **values, "wait": "--no-block" not in flags}
        worst = max(worst, perform(request, flags, values))
    return worst


def parse(arguments: list[str]) -> tuple[set[str], dict[str, str], list[str]]:
    """Flags, options with a value, and words."""
    flags: set[str] = set()
    values: dict[str, str] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        if argument in FLAGS:
            flags.add(argument)
        elif name in VALUES and (equals or rest):
            values[VALUES[name]] = value if equals else rest.pop(0)
        elif argument[:2] in VALUES and len(argument) > 2 and argument[1] != "-":
            values[VALUES[argument[:2]]] = argument[2:]
        elif argument.startswith("-"):
            sys.exit(f"systemctl: {argument} is not emulated here")
        else:
            words.append(argument)
    if "signal" in values:
        values["signal"] = signal_name(values["signal"])
    return flags, values, words


def signal_name(text: str) -> str:
    """`9`, `KILL` and `SIGKILL` are the same."""
    import signal

    return signal.Signals(int(text)).name if text.isdigit() else "SIG" + text.removeprefix("SIG")


def full_name(unit: str) -> str:
    """A name without a type is a service's."""
    return unit if not unit or "." in unit else f"{unit}.service"


def perform(request: dict[str, object], flags: set[str], values: dict[str, str]) -> int:
    """Asks init, prints what systemctl would print where it would print it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(CONTROL_SOCKET)
        connection.sendall(json.dumps(request).encode() + b"\n")
        if not request["wait"]:
            return 0
        with connection.makefile("r") as lines:
            answer = json.loads(lines.readline())
    text, code = answer["text"], int(answer["code"])
    if request["verb"] == "show":
        text = shown(text, values.get("property"), "--value" in flags)
    quiet = flags & {"--quiet", "-q"}
    told = request["verb"] in {"show", "status", "is-active", "is-failed", "cat"}
    if text and not quiet:
        print(text, file=sys.stdout if told else sys.stderr)
    return code


def shown(text: str, wanted: str | None, value_only: bool) -> str:
    """The properties that were asked for."""
    rows = [line.split("=", 1) for line in text.splitlines()]
    if wanted is not None:
        names = wanted.split(",")
        rows = [row for row in rows if row[0] in names]
    return "\n".join(row[1] if value_only else "=".join(row) for row in rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
