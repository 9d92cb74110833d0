"""The unit that a machine runs: what the NixOS module makes of the handlers that the machine's settings enable.

The texts lie in a folder, one for each set of handlers: `call-http.service`. `@alknet@` in them stands for the program's package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

PLACEHOLDER = "@alknet@"


class UnitTextError(Exception):
    """There is no text for a machine, or none that can be used."""


def handlers(settings: dict[str, Any]) -> list[str]:
    """The handlers that are switched on, in the order of the alphabet."""
    return sorted(
        name
        for name, section in settings.items()
        if isinstance(section, dict) and section.get("enable") is True
    )


def text(folder: Path, settings: dict[str, Any], package: str, log: str) -> str:
    """The unit for these settings, with the program of this package and this log filter."""
    names = handlers(settings)
    if not names:
        raise UnitTextError("a node that serves needs a handler: set call.enable, or serve = false")
    file = folder / f"{'-'.join(names)}.service"
    try:
        unit = file.read_text()
    except FileNotFoundError:
        raise UnitTextError(
            f"there is no {file}, the unit for the handlers {', '.join(names)}: have the NixOS module make it, "
            "or name another folder with --units"
        ) from None
    if PLACEHOLDER not in unit:
        raise UnitTextError(f"{file} does not say {PLACEHOLDER}, so it would not start the program to be tested")
    # What `systemd.services.alknet.environment` adds. A section may be given twice.
    return f"{unit.replace(PLACEHOLDER, package).rstrip()}\n\n[Service]\nEnvironment=ALKNET_LOG={log}\n"
