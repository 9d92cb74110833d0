"""The first process of a machine: brings it up, reaps what is orphaned, keeps the services, and is killed to crash it.

The runner talks to it over a socket pair, one JSON object a line. When the runner goes away, however that happens, the socket ends,
this process ends, and the kernel ends every other process of the machine with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import keeper
from manager import Manager

CONTROL_VARIABLE = "VM_TESTS_CONTROL"
SHUTDOWN_GRACE = 5.0


def main() -> None:
    """Says hello (which tells the runner our process id), is told what the machine is, and runs it."""
    control = socket.socket(fileno=int(os.environ.pop(CONTROL_VARIABLE)))
    control.set_inheritable(False)
    control.sendall(b'{"hello": true}\n')
    with control.makefile("r") as lines:
        machine = json.loads(lines.readline())
        bring_up(machine)
        asyncio.run(run(control, machine))


def bring_up(machine: dict) -> None:
    """The host name, the files of /etc, and the network."""
    socket.sethostname(machine["name"])
    os.umask(0o022)
    for file in machine["files"]:
        path = Path(file["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["text"])
        path.chmod(file["mode"])
    subprocess.run(["ip", "-batch", "-"], input="\n".join(machine["network"]), text=True, check=True)


async def run(control: socket.socket, machine: dict) -> None:
    """Until the runner has the machine shut down."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCHLD, reap)
    manager = Manager()
    await manager.serve()
    starts = [asyncio.create_task(start(manager, name)) for name in machine["autostart"]]
    control.setblocking(False)
    await loop.sock_sendall(control, b'{"ready": true}\n')
    command = await loop.sock_recv(control, 4096)
    if not command:
        os._exit(0)
    for task in starts:
        task.cancel()
    await manager.stop_all()
    await end_all()
    os.sync()
    os._exit(0)


async def start(manager: Manager, name: str) -> None:
    """Starts a service at boot. Whether it came up is for `wait_for_unit` to tell."""
    try:
        await manager.services[name].start()
    except Exception as error:  # whatever it is, the machine is up and the journal says what went wrong
        manager.journal.say(name, str(error))


async def end_all() -> None:
    """Asks what is left to end, and waits a little for it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in keeper.descendants(1):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        for _ in range(int(SHUTDOWN_GRACE / 0.05)):
            if not keeper.descendants(1):
                return
            await asyncio.sleep(0.05)


def reap() -> None:
    """Takes the exit status of every process whose parent has gone."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()
