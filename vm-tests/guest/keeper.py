"""Runs a service's main process and keeps everything that comes of it together, as a control group would.

The keeper is the "child subreaper" (prctl(2)) of what it starts: whatever a process of the service leaves behind, also by
forking twice, becomes the keeper's child. So the processes of a service are the keeper's descendants, and the keeper itself ends
when there are none left. Control groups would tell the same, but not every host lets a test have some.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

PR_SET_CHILD_SUBREAPER = 36
EXIT_EXEC = 203  # as systemd numbers them in systemd.exec(5)


@dataclass
class Spawn:
    """What to run, and how."""

    argv: list[str]
    environment: Mapping[str, str]
    umask: int
    limit_nofile: int | None
    output: int
    """The descriptor that standard output and error go to."""


def start(spawn: Spawn) -> tuple[int, int]:
    """Forks a keeper that runs the command. Gives its process id and a pipe that says `main PID` and `exit STATUS`.

    The pipe ends when no process of the service is left. Without exec, so that the keeper's command line is not the service's
    and a test that looks for the service finds the service alone.
    """
    read, write = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        try:
            _keep(spawn, write)
        finally:
            os._exit(70)
    os.close(write)
    return keeper, read


def _keep(spawn: Spawn, report: int) -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    _close_all_but(report, spawn.output)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    main = os.fork()
    if main == 0:
        try:
            _become(spawn)
        finally:
            os._exit(EXIT_EXEC)
    os.close(spawn.output)
    os.write(report, f"main {main}\n".encode())
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            os._exit(0)
        if pid == main:
            os.write(report, f"exit {status}\n".encode())


def _close_all_but(*keep: int) -> None:
    lowest = 3
    for descriptor in sorted(keep):
        os.closerange(lowest, descriptor)
        lowest = descriptor + 1
    os.closerange(lowest, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _become(spawn: Spawn) -> None:
    os.setsid()
    os.chdir("/")
    os.umask(spawn.umask)
    if spawn.limit_nofile is not None:
        _limit_files(spawn.limit_nofile)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(spawn.output, 1)
    os.dup2(spawn.output, 2)
    environment = {**spawn.environment, "SYSTEMD_EXEC_PID": str(os.getpid())}
    try:
        os.execve(spawn.argv[0], spawn.argv, environment)
    except OSError as error:
        print(f"{spawn.argv[0]}: {error.strerror}", file=sys.stderr, flush=True)


def _limit_files(wanted: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, OSError):  # raising the hard limit takes a capability that containers lack
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def descendants(ancestor: int) -> list[int]:
    """The processes below `ancestor`, without itself."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended meanwhile
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    todo = [ancestor]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found
