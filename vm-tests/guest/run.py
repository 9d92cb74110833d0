"""One life of a service: its processes, and what becomes of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import keeper


class Run:
    """One life of the service: the keeper, the main process, and what became of them."""

    def __init__(self, spawn: keeper.Spawn, on_main: Callable[[int], None] = lambda _: None) -> None:
        self._on_main = on_main
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.main_exit: asyncio.Future[int] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.main_pid = 0
        self.keeper_pid, self._report = keeper.start(spawn)
        self._rest = b""
        loop.add_reader(self._report, self._read)

    def _read(self) -> None:
        data = os.read(self._report, 4096)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, number = line.split()
            if word == b"main":
                self.main_pid = int(number)
                self._on_main(self.main_pid)
            elif not self.main_exit.done():
                self.main_exit.set_result(int(number))
        if not data:
            asyncio.get_running_loop().remove_reader(self._report)
            os.close(self._report)
            if not self.main_exit.done():  # somebody killed the keeper
                self.main_exit.set_result(signal.SIGKILL)
            self.gone.set_result(None)

    def processes(self) -> list[int]:
        """Everything that is left of the service."""
        return keeper.descendants(self.keeper_pid)

    def signal(self, number: int, processes: list[int]) -> None:
        """Sends a signal. Who has ended meanwhile needs none."""
        for pid in processes:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


async def within(limit: float, event: asyncio.Future[None]) -> bool:
    """Waits for an event, and gives whether it came in time."""
    done, _ = await asyncio.wait([event], timeout=None if limit == float("inf") else limit)
    return bool(done)
