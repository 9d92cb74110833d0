"""Makes a client of a node's description with openapi-python-client, and calls operations with it.

usage: generated_client.py URL TOKEN FOLDER
"""

import base64
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx

url, token, folder = sys.argv[1:]

# No proxy and no certificate of this machine's environment.
document = httpx.get(
    f"{url}/openapi.json", headers={"Authorization": f"Bearer {token}"}, verify=False, trust_env=False
)
document.raise_for_status()
with open(f"{folder}/openapi.json", "w", encoding="utf-8") as file:
    file.write(document.text)

programs = os.path.dirname(sys.executable)
arguments = ["--path", f"{folder}/openapi.json", "--output-path", f"{folder}/generated_node", "--meta", "none"]
made = subprocess.run(
    [f"{programs}/openapi-python-client", "generate", *arguments, "--fail-on-warning"],
    # It tidies what it makes with a tool that stands beside it.
    env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
    capture_output=True,
    text=True,
)
assert made.returncode == 0, made.stdout + made.stderr

sys.dont_write_bytecode = True
sys.path.insert(0, folder)
from generated_node import AuthenticatedClient  # noqa: E402
from generated_node.api.node import node_info  # noqa: E402
from generated_node.api.tty import tty_attach, tty_kill, tty_list, tty_spawn, tty_write  # noqa: E402
from generated_node.models import (  # noqa: E402
    Problem,
    TtyAttachInput,
    TtyKillInput,
    TtySpawnErrorSpawnFailed,
    TtySpawnInput,
    TtySpawnOutput,
    TtyWriteOutput,
)



def connect(**more):
    settings = {"verify_ssl": False, "httpx_args": {"trust_env": False}, "raise_on_unexpected_status": True}
    return AuthenticatedClient(base_url=url, token=token, **settings, **more)


client = connect()

# Without an input.
info = node_info.sync(client=client)
assert info.name == "tested" and info.caller.id == "user", info

# With one, whose answer has a type.
terminal = tty_spawn.sync(client=client, body=TtySpawnInput(command="/bin/cat", rows=9, cols=90))
assert isinstance(terminal, TtySpawnOutput) and terminal.rows == 9, terminal
assert [listed.id for listed in tty_list.sync(client=client).terminals] == [terminal.id]

# An error that every operation may have, and one of the operation's own.
refused = tty_kill.sync(client=client, body=TtyKillInput(id="t-none"))
assert isinstance(refused, Problem) and (refused.status, refused.code) == (403, "FORBIDDEN"), refused
failed = tty_spawn.sync(client=client, body=TtySpawnInput(command="/no/such/program"))
assert isinstance(failed, TtySpawnErrorSpawnFailed) and failed.code == "SPAWN_FAILED", failed

# A subscription, up to its end: the client gets the text of all events. The program ends when its input does.
following = connect(headers={"Accept": "text/event-stream"})
with ThreadPoolExecutor() as pool:
    attached = pool.submit(tty_attach.sync_detailed, client=following, body=TtyAttachInput(id=terminal.id))
    try:
        while tty_list.sync(client=client).terminals[0].attachments == 0:
            assert not attached.done(), attached.result()
        typed = tty_write.sync(client=client, body={"id": terminal.id, "text": "hello\n\x04"})
        assert isinstance(typed, TtyWriteOutput), typed
    except BaseException:
        # So that the other thread ends, too.
        tty_kill.sync(client=client, body=TtyKillInput(id=terminal.id))
        raise
    events = attached.result()
assert events.status_code == 200, events
lines = events.content.decode().splitlines()
data = [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]
output = b"".join(base64.b64decode(event["output"]) for event in data if event and "output" in event)
assert output == b"hello\r\nhello\r\n", lines
assert {"exit": {"code": 0}} in data and "event: end" in lines, lines

print("all as described")
