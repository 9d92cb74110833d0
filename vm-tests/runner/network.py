"""The network between the machines: a bridge in the scenario's own network namespace, so the host sees nothing of it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

BRIDGE = "switch"


class NetworkError(Exception):
    """`ip` could not do what it should."""


@dataclass
class Port:
    """The switch's end of a machine's cable. Each boot has a cable of its own, as the kernel takes old ones away at leisure."""

    name: str

    @staticmethod
    def plug(number: int, boot: int, pid: int) -> Port:
        """Makes a cable from the switch to the interface eth1 of the machine with that init.

        The hardware address is the one of a NixOS test machine: it is the same at every boot, or the others would go on
        sending to the old one for a while.
        """
        port = Port(f"m{number}b{boot}")
        peer = f"name eth1 address 52:54:00:12:01:{number:02x} netns {pid}"
        ip(f"link add {port.name} type veth peer {peer}", f"link set {port.name} master {BRIDGE} up")
        return port

    def block(self) -> None:
        """From now on frames vanish both ways, and neither end is told."""
        ip(f"link set {self.name} nomaster")

    def unblock(self) -> None:
        """Undoes `block`."""
        ip(f"link set {self.name} master {BRIDGE}")

    def pull(self) -> None:
        """Takes the cable away. A machine that has ended takes its end along, and with it the cable."""
        try:
            ip(f"link delete {self.name}")
        except NetworkError as error:
            if "Cannot find device" not in str(error):
                raise


def make_switch() -> None:
    """Multicast goes everywhere: IPv6 neighbours are to be found at once, without waiting for a querier."""
    ip(f"link add {BRIDGE} type bridge mcast_snooping 0", f"link set {BRIDGE} up", "link set lo up")


def machine_side(address: str, address_6: str) -> list[str]:
    """The commands that bring up the interfaces inside of a machine."""
    return [
        "link set lo up",
        f"address add {address}/24 dev eth1",
        f"address add {address_6}/64 dev eth1 nodad",
        "link set eth1 up",
    ]


def ip(*commands: str) -> None:
    """Runs commands of ip(8) in the scenario's namespace."""
    text = "\n".join(commands) + "\n"
    done = subprocess.run(["ip", "-batch", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NetworkError(f"ip: {'; '.join(commands)}: {done.stderr.strip()}")
