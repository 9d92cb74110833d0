"""The machine API of the NixOS test driver, as far as the scenarios use it. Names, parameters and meaning are the driver's."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner import fleet, network
from runner.container import Container
from runner.report import Report

# The driver looks once a second. Looking more often changes no outcome, and a fleet is up sooner.
POLL_INTERVAL = 0.2
SHUTDOWN_LIMIT = 120.0
# The driver's default. A caller who names no other gets the runner's own.
DEFAULT_TIMEOUT = 900


class TestFailure(Exception):
    """Something that the script demanded is not so."""


@dataclass
class Laboratory:
    """What all machines of a scenario share."""

    folder: Path
    tools: Path
    units: Path
    timeout: float
    stdin: int
    """A pipe that nothing ever comes from: the driver's commands have its own command stream there, and must not read it."""
    report: Report


def retry(fn: Callable[[bool], bool], timeout: float = DEFAULT_TIMEOUT) -> None:
    """Calls `fn` until it gives true; the last time with true, so that it can say what is missing."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if fn(False):
            return
        time.sleep(POLL_INTERVAL)
    if not fn(True):
        raise TestFailure(f"action timed out after {timeout} seconds")


class Machine:
    """One machine of the fleet."""

    def __init__(self, spec: fleet.MachineSpec, whole: fleet.Fleet, laboratory: Laboratory) -> None:
        self.name = spec.name
        self._spec, self._laboratory = spec, laboratory
        self._folder = laboratory.folder / spec.name
        self._shared = self._folder / "shared"
        self._shared.mkdir(parents=True)
        self.console = self._folder / "console.log"
        self._console = self.console.open("ab", buffering=0)
        self._files = fleet.network_files(whole, spec) + fleet.node_files(whole, spec, laboratory.units)
        self._boots = 0
        self._starting: Container | None = None
        self._container: Container | None = None

    def __repr__(self) -> str:
        return f"<Machine '{self.name}'>"

    @property
    def disk(self) -> Path:
        """What survives a crash."""
        return self._folder / "disk"

    def is_up(self) -> bool:
        """Whether it has been started and not ended since."""
        return self._container is not None

    def log(self, msg: str) -> None:
        """A line of the runner's verbose output, and of the machine's console."""
        self._laboratory.report.log(f"{self.name}: {msg}")
        self._console.write(f"# {msg}\n".encode())

    @contextmanager
    def nested(self, msg: str) -> Iterator[None]:
        """Logs what is done, and how long it took."""
        self.log(msg)
        started = time.monotonic()
        yield
        self._laboratory.report.log(
            f"{self.name}: (finished: {msg}, in {time.monotonic() - started:.2f} seconds)"
        )

    def power_on(self) -> None:
        """The first half of `start`: the machine's processes are created. Not of the driver's API."""
        if self._container is None and self._starting is None:
            self._starting = Container(self._folder, self._laboratory.tools, self._console.fileno())

    def start(self) -> None:
        """Starts the machine. Does not wait until it is up; what needs that waits for it."""
        self.power_on()
        if self._starting is None:
            return
        self.log("starting vm")
        self._container, self._starting = self._starting, None
        self._boots += 1
        spec = self._spec
        lines = network.machine_side(spec.address, spec.address_6)
        autostart = [fleet.UNIT] if spec.serve else []
        self._container.plug(self.name, spec.number, self._boots, lines, self._files, autostart)

    def execute(
        self,
        command: str,
        check_return: bool = True,
        check_output: bool = True,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> tuple[int, str]:
        """Runs a shell command under `set -euo pipefail`. Gives its exit status and its standard output."""
        if not check_output:
            raise NotImplementedError("execute(check_output=False) is not emulated")
        self.start()
        assert self._container
        status, output = self._container.execute(command, self._limit(timeout), self._laboratory.stdin)
        return (status if check_return else -1), output

    def _limit(self, timeout: float | None) -> float:
        return self._laboratory.timeout if timeout in (None, DEFAULT_TIMEOUT) else timeout

    def succeed(self, *commands: str, timeout: float | None = None) -> str:
        """Runs commands that have to succeed. Gives their standard output."""
        output = ""
        for command in commands:
            with self.nested(f"must succeed: {command}"):
                status, out = self.execute(command, timeout=timeout)
                if status != 0:
                    self.log(f"output: {out}")
                    raise TestFailure(f"command `{command}` failed (exit code {status})")
                output += out
        return output

    def fail(self, *commands: str, timeout: float | None = None) -> str:
        """Runs commands that have to fail. Gives their standard output."""
        output = ""
        for command in commands:
            with self.nested(f"must fail: {command}"):
                status, out = self.execute(command, timeout=timeout)
                if status == 0:
                    self.log(f"output: {out}")
                    raise TestFailure(f"command `{command}` unexpectedly succeeded")
                output += out
        return output

    def wait_until_succeeds(self, command: str, timeout: float = DEFAULT_TIMEOUT) -> str:
        """Repeats a command until it succeeds. Gives the standard output of that time."""
        return self._repeat(command, timeout, "success", lambda status: status == 0)

    def wait_until_fails(self, command: str, timeout: float = DEFAULT_TIMEOUT) -> str:
        """Repeats a command until it fails."""
        return self._repeat(command, timeout, "failure", lambda status: status != 0)

    def _repeat(self, command: str, timeout: float, wanted: str, good: Callable[[int], bool]) -> str:
        output = ""

        def check(last: bool) -> bool:
            nonlocal output
            status, output = self.execute(command, timeout=timeout)
            if last and not good(status):
                self.log(f"the last time it ended with {status}; output: {output}")
            return good(status)

        with self.nested(f"waiting for {wanted}: {command}"):
            retry(check, self._limit(timeout))
        return output

    def systemctl(self, q: str, user: str | None = None) -> tuple[int, str]:
        """Runs systemctl inside of the machine."""
        if user is not None:
            raise NotImplementedError("services of users are not emulated")
        return self.execute(f"systemctl {q}")

    def wait_for_unit(self, unit: str, user: str | None = None, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Waits until a unit is active. One that has failed, or that nobody starts, is an error at once."""

        def check(_: bool) -> bool:
            state = self.systemctl(f'--no-pager show "{unit}" --property=ActiveState --value', user)[
                1
            ].strip()
            if state == "failed":
                raise TestFailure(f'unit "{unit}" reached state "{state}"')
            if state == "inactive":
                raise TestFailure(f'unit "{unit}" is inactive and there are no pending jobs')
            return state == "active"

        with self.nested(f"waiting for unit {unit}"):
            retry(check, self._limit(timeout))

    def wait_for_open_port(
        self, port: int, addr: str = "localhost", timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        """Waits until something takes TCP connections there."""
        with self.nested(f"waiting for TCP port {port} on {addr}"):
            retry(lambda _: self._is_open(port, addr), self._limit(timeout))

    def wait_for_closed_port(
        self, port: int, addr: str = "localhost", timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        """Waits until nothing takes TCP connections there."""
        with self.nested(f"waiting for TCP port {port} on {addr} to be closed"):
            retry(lambda _: not self._is_open(port, addr), self._limit(timeout))

    def _is_open(self, port: int, addr: str) -> bool:
        probe = f"exec 3<>/dev/tcp/{addr}/{port}"  # the driver's `nc` is not on every host
        return self.execute(f"timeout 5 bash -c {shlex.quote(probe)} 2>/dev/null")[0] == 0

    def wait_for_file(self, filename: str, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Waits until a file is there."""
        with self.nested(f"waiting for file '{filename}'"):
            retry(lambda _: self.execute(f"test -e {filename}")[0] == 0, self._limit(timeout))

    def block(self) -> None:
        """Cuts the machine off the others, as if its cable were unplugged."""
        self.log("blocked")
        assert self._container and self._container.port, f"{self.name} is not up"
        self._container.port.block()

    def unblock(self) -> None:
        """Undoes `block`."""
        self.log("unblocked")
        assert self._container and self._container.port, f"{self.name} is not up"
        self._container.port.unblock()

    def crash(self) -> None:
        """A sudden power failure."""
        if self._container or self._starting:
            self.log("forced crash")
            for container in (self._container, self._starting):
                if container:
                    container.crash()
            self._container = self._starting = None

    def shutdown(self) -> None:
        """Shuts the machine down, and waits for that."""
        if self._container:
            with self.nested("waiting for the VM to power off"):
                container, self._container = self._container, None
                container.power_off(SHUTDOWN_LIMIT)

    def copy_from_host(self, source: str, target: str) -> None:
        """Copies a file or a folder from the host to the machine."""
        with tempfile.TemporaryDirectory(dir=self._shared) as folder:
            origin = Path(source)
            copied = Path(folder, origin.name)
            if origin.is_dir():
                shutil.copytree(origin, copied)
            else:
                shutil.copy(origin, copied)
            inside = Path("/tmp/shared", Path(folder).name, origin.name)
            self.succeed(shlex.join(["mkdir", "-p", str(Path(target).parent)]))
            self.succeed(shlex.join(["cp", "-r", str(inside), target]))
