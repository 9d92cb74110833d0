"""The machine's services, and what `systemctl` may ask of them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

from journal import Journal, bind_datagram, sender
from service import NOTIFY_SOCKET, JobFailed, Service
from unit import UNIT_FOLDER, UnitError, load

CONTROL_SOCKET = "/run/vm-tests/control"
NO_SUCH_UNIT = 4
NOT_RUNNING = 3


class Manager:
    """Holds every service of the unit folder."""

    def __init__(self) -> None:
        self.journal = Journal(self._unit_of)
        self.services: dict[str, Service] = {}
        self.load_units()
        self._notify = bind_datagram(NOTIFY_SOCKET, 0o666)
        asyncio.get_running_loop().add_reader(self._notify, self._notified)

    def load_units(self) -> None:
        """Reads the unit files; a service that runs keeps running."""
        for file in sorted(UNIT_FOLDER.glob("*.service")):
            unit = load(file.name)
            if known := self.services.get(file.name):
                known.unit = unit
            else:
                self.services[file.name] = Service(unit, self.journal)

    async def serve(self) -> None:
        """Answers the stand-ins of systemctl and journalctl."""
        await asyncio.start_unix_server(self._answer, CONTROL_SOCKET)
        os.chmod(CONTROL_SOCKET, 0o600)

    async def stop_all(self) -> None:
        """For a shutdown in good order."""
        await asyncio.gather(*(service.stop() for service in self.services.values()), return_exceptions=True)

    def _unit_of(self, pid: int) -> str | None:
        return next((name for name, service in self.services.items() if service.owns(pid)), None)

    def _notified(self) -> None:
        while True:
            try:
                data, ancillary, _, _ = self._notify.recvmsg(4096, 256)
            except BlockingIOError:
                return
            lines = data.decode(errors="replace").splitlines()
            message = dict(line.split("=", 1) for line in lines if "=" in line)
            for service in self.services.values():
                service.notified(sender(ancillary), message)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline())
            code, text = await self._perform(request)
            writer.write(json.dumps({"code": code, "text": text}).encode() + b"\n")
            await writer.drain()
        except ConnectionError:
            pass  # whoever asked has gone
        finally:
            writer.close()

    async def _perform(self, request: dict[str, object]) -> tuple[int, str]:
        """One request: the exit status of systemctl, and what it prints."""
        verb, name = str(request["verb"]), str(request.get("unit", ""))
        if verb == "sync":
            self.journal.drain()
            return 0, ""
        if verb == "daemon-reload":
            try:
                self.load_units()
            except UnitError as error:
                return 1, str(error)
            return 0, ""
        service = self.services.get(name)
        if service is None:
            return self._without_service(verb, name)
        match verb:
            case "is-active" | "is-failed":
                wanted = "active" if verb == "is-active" else "failed"
                return (0 if service.active_state == wanted else NOT_RUNNING), service.active_state
            case "show":
                return 0, "\n".join(f"{key}={value}" for key, value in properties(service).items())
            case "status":
                return (0 if service.active_state == "active" else NOT_RUNNING), status(service)
            case "cat":
                files = [UNIT_FOLDER / name, *sorted((UNIT_FOLDER / f"{name}.d").glob("*.conf"))]
                return 0, "\n".join(f"# {file}\n{file.read_text()}" for file in files)
        try:
            await self._job(service, verb, request)
        except JobFailed as error:
            return 1, str(error)
        return 0, ""

    async def _job(self, service: Service, verb: str, request: dict[str, object]) -> None:
        active = service.active_state == "active"
        match verb:
            case "start":
                await service.start()
            case "stop":
                await service.stop()
            case "restart":
                await service.restart()
            case "try-restart":
                if active:
                    await service.restart()
            case "reload":
                await service.reload()
            case "reload-or-restart":
                await (service.reload() if active and service.unit.exec_reload else service.restart())
            case "kill":
                number = signal.Signals[str(request.get("signal", "SIGTERM"))]
                service.kill(number, str(request.get("whom", "all")))
            case "reset-failed":
                service.reset_failed()
            case _:
                raise JobFailed(f"systemctl {verb} is not emulated here")

    def _without_service(self, verb: str, name: str) -> tuple[int, str]:
        # All of them are reached when the machine is up; scripts wait for some of them.
        if name.endswith(".target"):
            answers = {
                "is-active": (0, "active"),
                "show": (0, "ActiveState=active\nSubState=active"),
                "start": (0, ""),
            }
            return answers.get(verb, (1, f"systemctl {verb} of a target is not emulated here"))
        if verb in ("show", "is-active"):
            text = (
                "LoadState=not-found\nActiveState=inactive\nSubState=dead" if verb == "show" else "inactive"
            )
            return (0 if verb == "show" else NO_SUCH_UNIT), text
        return NO_SUCH_UNIT + (verb != "status"), f"Unit {name} could not be found."


def properties(service: Service) -> dict[str, str]:
    """What `systemctl show` tells, of the names that scripts ask for."""
    return {
        "Id": service.unit.name,
        "Description": service.unit.description,
        "LoadState": "loaded",
        "ActiveState": service.active_state,
        "SubState": service.sub_state,
        "Result": service.result,
        "MainPID": str(service.run.main_pid if service.run else 0),
        "ExecMainStatus": str(service.exit_code),
        "NRestarts": str(service.restarts),
        "StatusText": service.status_text,
        "FragmentPath": str(Path(UNIT_FOLDER, service.unit.name)),
    }


def status(service: Service) -> str:
    """What `systemctl status` prints, without the log lines."""
    known = properties(service)
    lines = [
        f"● {known['Id']} - {known['Description']}",
        f"     Loaded: loaded ({known['FragmentPath']})",
        f"     Active: {known['ActiveState']} ({known['SubState']})",
    ]
    if service.run:
        lines.append(f"   Main PID: {known['MainPID']}")
    if service.status_text:
        lines.append(f'     Status: "{service.status_text}"')
    return "\n".join(lines)
