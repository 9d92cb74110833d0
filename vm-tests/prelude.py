# Stands in front of every scenario's script, here and under the NixOS test driver, and uses only what that driver has.
import base64
import json
import shlex
from typing import Any

PORT = 4433
# As long and of the same form as one that was given out.
NEVER_AN_ID = "t-" + "a" * 16


def refused(machine: "Machine", command: str, reason: str) -> str:
    """A command has to fail, and for this reason: one that fails because of a typing error proves nothing."""
    said = machine.fail(f"{command} 2>&1")
    assert reason in said, f"`{command}` had to fail with {reason}, and said: {said}"
    return said


def identity(machine: "Machine") -> str:
    """The fingerprint of the machine's node."""
    return json.loads(machine.succeed("alknet id --json"))["fingerprint"]


def call_command(node: str, operation: str, arguments: Any = None, *options: str) -> str:
    """The command line of a call."""
    words = ["alknet", "call", node, operation, json.dumps(arguments or {}), "--json", *options]
    return shlex.join(words)


def call(machine: "Machine", node: str, operation: str, arguments: Any = None, *options: str) -> Any:
    """What an operation answers."""
    return json.loads(machine.succeed(call_command(node, operation, arguments, *options)))


def says(command: str, words: str) -> str:
    """A check that a command says something, whether it succeeds or not. (A pipe from one that fails would fail.)"""
    return f"({command} 2>&1 || true) | grep -F {shlex.quote(words)}"


def lacks(command: str, words: str) -> str:
    """A check that a command succeeds and does not say something. (That a pipe to grep fails could have other reasons.)"""
    return f'said=$({command}); ! grep -qF {shlex.quote(words)} <<<"$said"'


def request_frame(payload: dict, request_id: str = "1") -> str:
    """One request as it goes over the wire, in base64."""
    request = {"type": "call.requested", "id": request_id, "payload": payload}
    body = json.dumps(request).encode()
    return base64.b64encode(len(body).to_bytes(4, "big") + body).decode()


def raw_call(machine: "Machine", node: str, payload: dict) -> dict:
    """Sends one request as it stands, with fields that the command line has no option for. Gives the answering frame."""
    frame = request_frame(payload)
    answer = machine.succeed(f"echo {frame} | base64 -d | alknet connect {node} alknet/call | base64 -w0")
    data = base64.b64decode(answer)
    return json.loads(data[4 : 4 + int.from_bytes(data[:4], "big")])


# What follows is for the scenarios with terminals. The names of the fields are those that alknet-tty documents.


def spawn(machine: "Machine", node: str, tty: str, seconds: int) -> str:
    """Starts a terminal whose program says something, sleeps for so long (which tells it apart), and then reads."""
    script = f"echo here; sleep {seconds}; read line"
    return call(machine, node, f"{tty}/spawn", {"command": "/bin/sh", "args": ["-c", script]})["id"]


def terminals(machine: "Machine", node: str, tty: str) -> list[str]:
    """The ids that a caller is shown."""
    return [terminal["id"] for terminal in call(machine, node, f"{tty}/list")["terminals"]]


def owned(machine: "Machine", node: str) -> list[str]:
    """The ids of everything that a caller owns at a node."""
    return [resource["id"] for resource in call(machine, node, "/resources/list")["resources"]]


def process(seconds: int) -> str:
    """A check for the program of `spawn`, in a form that does not find itself."""
    return f"pgrep -f '[s]leep {seconds}$'"


def touches(tty: str, terminal: str) -> list[tuple[str, dict]]:
    """Everything that can be done with a terminal whose id is known."""
    return [
        (f"{tty}/attach", {"id": terminal}),
        (f"{tty}/write", {"id": terminal, "text": "x"}),
        (f"{tty}/kill", {"id": terminal}),
    ]


def is_nothing_to(machine: "Machine", node: str, tty: str, terminal: str) -> None:
    """A caller cannot see a terminal, and gets the very answers that an id gets which never was."""
    assert terminal not in terminals(machine, node, tty)
    assert terminal not in owned(machine, node)
    unknown = touches(tty, NEVER_AN_ID)
    for (operation, real), (_, never) in zip(touches(tty, terminal), unknown):
        said = refused(machine, call_command(node, operation, real), "FORBIDDEN")
        assert said == refused(machine, call_command(node, operation, never), "FORBIDDEN"), said
        frames = [
            raw_call(machine, node, {"operationId": operation, "input": given}) for given in (real, never)
        ]
        assert frames[0] == frames[1] and frames[0]["type"] == "call.error", frames
