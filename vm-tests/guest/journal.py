"""The machine's journal: takes entries as journald does, and keeps them as one JSON object a line.

A node whose standard error is the journal sends entries with fields (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>), and its fields
then are no part of the message. That is so in a virtual machine and therefore here, or a script that looks for a field in the text
would pass in one of them only.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import struct
import time
import uuid
from collections.abc import Callable
from pathlib import Path

JOURNAL_FILE = Path("/var/log/journal.jsonl")
NATIVE_SOCKET = "/run/systemd/journal/socket"
MAX_ENTRY = 1 << 20
_CREDENTIALS = struct.Struct("3i")


class Journal:
    """Appends entries to the file. Lines of a service's output and datagrams of the native protocol come in by the event loop."""

    def __init__(self, unit_of: Callable[[int], str | None]) -> None:
        """`unit_of` tells which unit a process belongs to."""
        self._unit_of = unit_of
        self._file = JOURNAL_FILE.open("a", buffering=1)
        self._boot = uuid.uuid4().hex
        Path("/run/vm-tests/boot-id").write_text(self._boot)
        self._native = bind_datagram(NATIVE_SOCKET, 0o666)
        asyncio.get_running_loop().add_reader(self._native, self.drain)
        self._streams: dict[int, tuple[str, bytes]] = {}

    def say(self, unit: str, message: str) -> None:
        """What the manager itself tells of a unit."""
        self._write(
            {"MESSAGE": message, "UNIT": unit, "SYSLOG_IDENTIFIER": "systemd", "PRIORITY": "6", "_PID": "1"}
        )

    def stream(self, unit: str) -> int:
        """A descriptor for a service's output. Each line becomes an entry of that unit."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        self._streams[read] = (unit, b"")
        asyncio.get_running_loop().add_reader(read, self._read_stream, read)
        return write

    def drain(self) -> None:
        """Takes in everything that has been sent until now."""
        while True:
            try:
                data, ancillary, _, _ = self._native.recvmsg(MAX_ENTRY, 256)
            except BlockingIOError:
                break
            pid, files = _ancillary(ancillary)
            for file in files:  # an entry too large for a datagram comes as a sealed file
                data = os.pread(file, MAX_ENTRY, 0)
                os.close(file)
            if fields := _native_fields(data):
                self._write({**fields, **self._origin(pid)})
        for read in list(self._streams):
            self._read_stream(read)

    def _origin(self, pid: int) -> dict[str, str]:
        unit = self._unit_of(pid)
        return {"_PID": str(pid), **({"_SYSTEMD_UNIT": unit} if unit else {})}

    def _read_stream(self, read: int) -> None:
        while read in self._streams:
            unit, rest = self._streams[read]
            try:
                data = os.read(read, 65536)
            except BlockingIOError:
                return
            *lines, rest = (rest + data).split(b"\n")
            if not data:  # the last process of the service has ended
                lines, rest = lines + [rest] * bool(rest), b""
                asyncio.get_running_loop().remove_reader(read)
                os.close(read)
                del self._streams[read]
            else:
                self._streams[read] = (unit, rest)
            for line in lines:
                text = line.decode(errors="replace")
                self._write({"MESSAGE": text, "_SYSTEMD_UNIT": unit, "SYSLOG_IDENTIFIER": unit.split(".")[0]})

    def _write(self, fields: dict[str, str]) -> None:
        entry = {"__REALTIME_TIMESTAMP": str(time.time_ns() // 1000), "_BOOT_ID": self._boot, **fields}
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def bind_datagram(path: str, mode: int) -> socket.socket:
    """A non-blocking datagram socket that tells who sends."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    bound.bind(path)
    os.chmod(path, mode)
    bound.setblocking(False)
    return bound


def sender(ancillary: list[tuple[int, int, bytes]]) -> int:
    """The process that a message came from."""
    return _ancillary(ancillary)[0]


def _ancillary(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, list[int]]:
    pid, files = 0, array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])[0]
        elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            files.frombytes(data[: len(data) - len(data) % files.itemsize])
    return pid, list(files)


def _native_fields(data: bytes) -> dict[str, str]:
    """`KEY=value` lines, or `KEY`, a line break, the length in 8 bytes and a value with line breaks of its own."""
    fields: dict[str, str] = {}
    while data:
        line, _, data = data.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            if len(data) < 8:
                break
            (length,) = struct.unpack_from("<Q", data)
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        if key and not key.startswith(b"_"):  # journald trusts nobody with these
            fields[key.decode(errors="replace")] = value.decode(errors="replace")
    return fields
