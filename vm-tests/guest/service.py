"""One service, from start to stop, as systemd.service(5) describes it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import keeper
from journal import Journal
from run import Run, within
from unit import Unit

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
NOTIFY_SOCKET = "/run/systemd/notify"
CLEAN_SIGNALS = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE})
EXIT_CREDENTIALS = 243
KILL_PATIENCE = 10.0


class JobFailed(Exception):
    """A start, stop or reload that did not come to its end."""


class Service:
    """What `systemctl` acts on. Jobs run one after the other."""

    def __init__(self, unit: Unit, journal: Journal) -> None:
        self.unit = unit
        self.active_state, self.sub_state, self.result = "inactive", "dead", "success"
        self.status_text = ""
        self.restarts = 0
        self.run: Run | None = None
        self.exit_code = 0
        """The exit status of the last main process, or its signal."""
        self._journal = journal
        self._lock = asyncio.Lock()
        self._starts: list[float] = []
        self._mains: set[int] = set()
        self._later: asyncio.Task[None] | None = None
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Returns when the service is up, and says why it is not."""
        async with self._lock:
            self._cancel_restart()
            if self.active_state != "active":
                self.restarts = 0
                await self._start()

    async def stop(self) -> None:
        """Returns when nothing of the service is left."""
        async with self._lock:
            self._cancel_restart()
            if self.run is None:
                self._enter(
                    "inactive" if self.active_state != "failed" else "failed", self.sub_state_at_rest()
                )
                return
            run, self.run = self.run, None
            self._say(f"Stopping {self.unit.name} - {self.unit.description}...")
            self._enter("deactivating", "stop-sigterm")
            killed = await self._terminate(run)
            self._settle(run.main_exit.result(), "timeout" if killed else None)
            self._say(f"Stopped {self.unit.name} - {self.unit.description}.")

    async def restart(self) -> None:
        """A stop and a start."""
        await self.stop()
        await self.start()

    async def reload(self) -> None:
        """Runs ExecReload=, and returns when that command has ended, as systemd does for this type of service."""
        async with self._lock:
            if self.run is None or self.active_state != "active":
                raise JobFailed(f"{self.unit.name} is not active, cannot reload.")
            if not self.unit.exec_reload:
                raise JobFailed(f"Job type reload is not applicable for unit {self.unit.name}.")
            main = str(self.run.main_pid)
            words = [w.replace("${MAINPID}", main).replace("$MAINPID", main) for w in self.unit.exec_reload]
            output = self._journal.stream(self.unit.name)
            command = Run(keeper.Spawn(words, {"PATH": PATH, "MAINPID": main}, self.unit.umask, None, output))
            os.close(output)
            if status := await command.main_exit:
                raise JobFailed(f"the reload command of {self.unit.name} ended with {describe(status)}")

    def kill(self, number: int, whom: str) -> None:
        """Sends a signal to all of the service's processes, or to the main one."""
        if self.run is None:
            raise JobFailed(f"Failed to kill unit {self.unit.name}: no main process to kill")
        self.run.signal(number, [self.run.main_pid] if whom == "main" else self.run.processes())

    def owns(self, pid: int) -> bool:
        """Whether a process is one of this service, or was its main process: its last words may be read after its end."""
        return pid in self._mains or (self.run is not None and pid in self.run.processes())

    def notified(self, pid: int, message: dict[str, str]) -> None:
        """A message of sd_notify(3). Only the main process is listened to (NotifyAccess=main)."""
        if self.run is None or pid != self.run.main_pid:
            return
        self.status_text = message.get("STATUS", self.status_text)
        if message.get("READY") == "1" and not self.run.ready.done():
            self.run.ready.set_result(None)
        if message.get("STOPPING") == "1" and self.active_state == "active":
            self._enter("deactivating", "stop-sigterm")

    def reset_failed(self) -> None:
        """Forgets a failure, and how often the service was started lately."""
        self._starts.clear()
        if self.active_state == "failed":
            self.result = "success"
            self._enter("inactive", "dead")

    def sub_state_at_rest(self) -> str:
        """`dead` or `failed`."""
        return "failed" if self.active_state == "failed" else "dead"

    async def _start(self) -> None:
        now = time.monotonic()
        self._starts = [at for at in self._starts if now - at < self.unit.start_limit_interval]
        if len(self._starts) >= self.unit.start_limit_burst:
            self.result = "start-limit-hit"
            self._enter("failed", "failed")
            self._say(f"{self.unit.name}: Start request repeated too quickly.")
            raise JobFailed(f"{self.unit.name} was started too often lately; see systemctl reset-failed.")
        self._starts.append(now)
        self._say(f"Starting {self.unit.name} - {self.unit.description}...")
        self._enter("activating", "start")
        self.status_text = ""
        run = self.run = self._spawn()
        if self.unit.kind == "notify":
            await self._until(run.ready, run)
        if run.main_exit.done() or (self.unit.kind == "notify" and not run.ready.done()):
            await self._failed_start(run)
        self._enter("active", "running")
        self._say(f"Started {self.unit.name} - {self.unit.description}.")
        watcher = asyncio.create_task(self._watch(run))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)

    async def _until(self, event: asyncio.Future[None], run: Run) -> None:
        limit = None if self.unit.timeout_start == float("inf") else self.unit.timeout_start
        events: list[asyncio.Future[Any]] = [event, run.main_exit]
        await asyncio.wait(events, timeout=limit, return_when=asyncio.FIRST_COMPLETED)

    async def _failed_start(self, run: Run) -> None:
        late = not run.main_exit.done()
        self.run = None
        await self._terminate(run)
        self._settle(run.main_exit.result(), "timeout" if late else "protocol")
        self._restart_if_wanted(run.main_exit.result(), True)
        raise JobFailed(
            f"Job for {self.unit.name} failed: {self.result}. See journalctl -u {self.unit.name}."
        )

    def _spawn(self) -> Run:
        unit = self.unit
        environment = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": "/", "NOTIFY_SOCKET": NOTIFY_SOCKET}
        if unit.state_directory:
            environment["STATE_DIRECTORY"] = _make(
                Path("/var/lib", unit.state_directory), unit.state_directory_mode
            )
        if unit.configuration_directory:
            environment["CONFIGURATION_DIRECTORY"] = _make(Path("/etc", unit.configuration_directory), None)
        argv = unit.exec_start
        if unit.credentials:
            folder = Path("/run/credentials", unit.name)
            environment["CREDENTIALS_DIRECTORY"] = str(folder)
            if missing := _load_credentials(folder, unit.credentials):
                # Said and failed as by systemd, in the place of the main process.
                self._say(f"{unit.name}: Failed to set up credentials: {missing}: No such file or directory")
                argv = ["/bin/sh", "-c", f"exit {EXIT_CREDENTIALS}"]
        output = self._journal.stream(unit.name)
        stat = os.fstat(output)
        environment["JOURNAL_STREAM"] = f"{stat.st_dev}:{stat.st_ino}"
        spawn = keeper.Spawn(argv, environment | unit.environment, unit.umask, unit.limit_nofile, output)
        run = Run(spawn, self._mains.add)
        os.close(output)
        return run

    async def _watch(self, run: Run) -> None:
        status = await run.main_exit
        async with self._lock:
            if self.run is not run:
                return  # it was stopped
            self._say(f"{self.unit.name}: Main process exited, {describe(status)}")
            self.run = None
            self._enter("deactivating", "stop-sigterm")
            await self._terminate(run)
            self._settle(status, None)
            self._restart_if_wanted(status, self.active_state == "failed")

    async def _terminate(self, run: Run) -> bool:
        """SIGTERM to all, then SIGKILL to what is left. Gives whether it came to that."""
        everybody = run.processes()
        targets = everybody if self.unit.kill_mode == "control-group" else [run.main_pid]
        run.signal(signal.SIGTERM, targets)
        run.signal(signal.SIGCONT, targets)
        if await within(self.unit.timeout_stop, run.gone):
            return False
        self._say(f"{self.unit.name}: State 'stop-sigterm' timed out. Killing.")
        end = time.monotonic() + KILL_PATIENCE
        while not run.gone.done() and time.monotonic() < end:
            run.signal(signal.SIGKILL, run.processes())
            await within(0.02, run.gone)
        if not run.gone.done():
            raise JobFailed(f"processes of {self.unit.name} survive SIGKILL: {run.processes()}")
        return True

    def _settle(self, status: int, other_result: str | None) -> None:
        """What the end of the main process says about the service."""
        number = os.WTERMSIG(status)
        if not number:
            self.exit_code = os.WEXITSTATUS(status)
            ended = "exit-code" if self.exit_code else other_result or "success"
        else:
            self.exit_code = number
            ended = other_result or ("success" if number in CLEAN_SIGNALS else "signal")
        self.result = "timeout" if other_result == "timeout" else ended
        if self.result == "success":
            self._enter("inactive", "dead")
        else:
            self._enter("failed", "failed")
            self._say(f"{self.unit.name}: Failed with result '{self.result}'.")

    def _restart_if_wanted(self, status: int, failed: bool) -> None:
        wanted = self.unit.restart == "always" or (self.unit.restart == "on-failure" and failed)
        if wanted and not (os.WIFEXITED(status) and self.exit_code in self.unit.restart_prevent):
            self._enter("activating", "auto-restart")
            self._later = asyncio.create_task(self._restart_later())

    async def _restart_later(self) -> None:
        await asyncio.sleep(self.unit.restart_sec)
        async with self._lock:
            self._later = None
            self.restarts += 1
            self._say(f"{self.unit.name}: Scheduled restart job, restart counter is at {self.restarts}.")
            try:
                await self._start()
            except JobFailed:
                pass  # said in the journal

    def _cancel_restart(self) -> None:
        if self._later:
            self._later.cancel()
            self._later = None
            self._enter("inactive", "dead")

    def _enter(self, active_state: str, sub_state: str) -> None:
        self.active_state, self.sub_state = active_state, sub_state

    def _say(self, message: str) -> None:
        self._journal.say(self.unit.name, message)


def describe(status: int) -> str:
    """A wait status in systemd's words."""
    if number := os.WTERMSIG(status):
        return f"code=killed, status={number}/{signal.Signals(number).name.removeprefix('SIG')}"
    return f"code=exited, status={os.WEXITSTATUS(status)}"


def _make(folder: Path, mode: int | None) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    if mode is not None:
        folder.chmod(mode)
    return str(folder)


def _load_credentials(folder: Path, credentials: dict[str, Path]) -> Path | None:
    """Copies the credentials, and gives the first one that is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    for name, source in credentials.items():
        try:
            (folder / name).write_bytes(source.read_bytes())
        except FileNotFoundError:
            return source
        (folder / name).chmod(0o400)
    return None
