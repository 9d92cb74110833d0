"""A machine as the kernel sees it: namespaces with an init, a cable to the switch, and commands that are run inside."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from runner.fleet import File
from runner.network import Port

GUEST = Path(__file__).resolve().parent.parent / "guest"
CONTROL_VARIABLE = "VM_TESTS_CONTROL"
BOOT_TIMEOUT = 60.0
# Beyond a command's own limit, for what it left behind with its standard output still open.
OUTPUT_GRACE = 5.0
# What a shell adds to the number of a signal.
SIGNALLED = 128
SHELL_ENVIRONMENT = [
    "HOME=/root",
    "USER=root",
    "LOGNAME=root",
    "LANG=C.UTF-8",
    "PAGER=",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin",
]


class ContainerError(Exception):
    """A machine that does not come up, or a command that does not come back."""


class Container:
    """One boot of a machine."""

    def __init__(self, folder: Path, tools: Path, console: int) -> None:
        """Starts the machine's init, which waits for `plug`."""
        self._control, theirs = socket.socketpair()
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._control.settimeout(BOOT_TIMEOUT)
        self._console = console
        self._pid = 0
        self._ready = False
        self.port: Port | None = None
        python = Path(sys.executable).resolve()
        namespaces = [
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
        ]
        boot = ["bash", *map(str, (GUEST / "root.sh", folder, tools, python, sys.base_prefix))]
        with theirs:
            self._process = subprocess.Popen(
                ["unshare", *namespaces, "--", *boot],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={"PATH": os.environ.get("PATH", os.defpath), CONTROL_VARIABLE: str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
            )

    def plug(
        self, name: str, number: int, boot: int, network: list[str], files: list[File], autostart: list[str]
    ) -> None:
        """Connects the machine to the switch and lets it boot."""
        self._pid = self._hello()
        self.port = Port.plug(number, boot, self._pid)
        machine = {
            "name": name,
            "network": network,
            "files": [asdict(file) for file in files],
            "autostart": autostart,
        }
        self._control.sendall(json.dumps(machine).encode() + b"\n")

    def _hello(self) -> int:
        """Init knows itself as process 1; what it is called here comes with its message."""
        size = socket.CMSG_SPACE(struct.calcsize("3i"))
        try:
            hello, ancillary, _, _ = self._control.recvmsg(64, size)
        except TimeoutError:
            raise ContainerError(f"no init within {BOOT_TIMEOUT} s") from None
        if not hello:
            raise ContainerError("its root file system could not be made; see its console")
        return struct.unpack("3i", ancillary[0][2])[0]

    def wait_ready(self) -> None:
        """Returns when commands can be run."""
        if not self._ready:
            if not self._control.recv(64):
                raise ContainerError("its init has ended; see its console")
            self._ready = True

    def execute(self, command: str, timeout: float, stdin: int) -> tuple[int, str]:
        """Runs a command as the test driver does: its standard output is waited for, its standard error is the console's."""
        self.wait_ready()
        shell = ["timeout", str(timeout), "bash", "-c", f"set -euo pipefail; {command}"]
        namespaces = ["-t", str(self._pid), "-m", "-u", "-i", "-n", "-p"]
        process = subprocess.Popen(
            ["nsenter", *namespaces, "--", "env", "-i", "-C", "/tmp", *SHELL_ENVIRONMENT, *shell],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=self._console,
        )
        try:
            output, _ = process.communicate(timeout=timeout + OUTPUT_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            text = f"after {timeout} s something still has the standard output of `{command}` open"
            raise ContainerError(text) from None
        status = process.returncode
        return (status if status >= 0 else SIGNALLED - status), output.decode(errors="replace")

    def crash(self) -> None:
        """Ends it as a power failure does: no process has a last word, and no connection says goodbye."""
        if self.port:
            self.port.pull()
            self.port = None
        if self._pid and self._process.poll() is None:
            # The end of init is the end of all processes in its namespace, and unshare waits for just that.
            os.kill(self._pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        self._control.close()

    def power_off(self, limit: float) -> None:
        """Asks init to stop the services and end."""
        self.wait_ready()
        self._control.sendall(b"poweroff\n")
        try:
            self._process.wait(limit)
        except subprocess.TimeoutExpired:
            raise ContainerError(f"it was still up {limit} s after it was told to shut down") from None
        finally:
            self.crash()
