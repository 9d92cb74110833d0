"""The official SDK for Python against a node.

usage: client.py URL MODE SCENARIO, with the token in the first line of standard input. MODE is `legacy` (2025-11-25, with
a session) or `2026-07-28`. It fails with a traceback, or prints what the scenario says.
"""

import asyncio
import json
import ssl
import sys

import httpx2
import mcp
from mcp.client.streamable_http import streamable_http_client


def read_line():
    return asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def say(**fields):
    print(json.dumps(fields), flush=True)


def connect(url, mode, token, **more):
    context = ssl.create_default_context()
    # The node shows a certificate over its own key.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, verify=context, timeout=60)
    return mcp.Client(streamable_http_client(url, http_client=http), mode=mode, **more)


async def tools(client, **_):
    result = await client.list_tools()
    say(tools=[tool.name for tool in result.tools], titles=[tool.title for tool in result.tools])


async def terminal(client, **_):
    """Calls, a structured result, an error, a subscription with progress."""
    spawned = await client.call_tool("tty.spawn", {"command": "/bin/cat"})
    assert not spawned.is_error, spawned
    id = spawned.structured_content["id"]
    assert json.loads(spawned.content[0].text) == spawned.structured_content
    bad = await client.call_tool("tty.spawn", {"command": 5})
    assert bad.is_error and "/command" in bad.content[0].text, bad
    declared = await client.call_tool("tty.spawn", {"command": "/no/such/program"})
    assert declared.is_error and declared.meta["alknet/error"]["code"] == "SPAWN_FAILED", declared
    foreign = await client.call_tool("tty.write", {"id": "nobody's", "text": "x"})
    assert foreign.is_error and foreign.meta["alknet/error"]["code"] == "FORBIDDEN", foreign
    try:
        await client.call_tool("config.reload", {})
        raise SystemExit("a tool that is not for this bearer was called")
    except mcp.MCPError as error:
        assert error.code == -32602, error

    progress = []

    async def note(number, total, message):
        progress.append(json.loads(message))
        if len(progress) == 1:
            await client.call_tool("tty.kill", {"id": id})

    await client.call_tool("tty.write", {"id": id, "text": "hello\n"})
    attached = await client.call_tool("tty.attach", {"id": id}, progress_callback=note)
    content = attached.structured_content
    assert content["ended"] == "end" and content["cut"] == 0 and content["events"] == progress, attached
    assert "exit" in content["events"][-1], attached
    listed = await client.call_tool("tty.list", {})
    assert listed.structured_content == {"terminals": []}, listed
    say(done=True)


async def cancelled(client, **_):
    spawned = await client.call_tool("tty.spawn", {"command": "/bin/cat"})
    id = spawned.structured_content["id"]
    attached = asyncio.Event()

    async def note(*_):
        attached.set()

    await client.call_tool("tty.write", {"id": id, "text": "x\n"})
    call = asyncio.create_task(client.call_tool("tty.attach", {"id": id}, progress_callback=note))
    await attached.wait()
    call.cancel()
    try:
        await call
    except asyncio.CancelledError:
        pass
    say(id=id)
    await read_line()
    await client.call_tool("tty.kill", {"id": id})


async def changes(client, news, mode):
    """Says how many tools there are, and says so again when the node says that they have changed."""
    before = await client.list_tools()
    say(tools=len(before.tools))
    if mode == "legacy":
        await news.wait()
    else:
        async with client.listen(tools_list_changed=True) as events:
            say(listening=True)
            async for _ in events:
                break
    after = await client.list_tools()
    say(tools=len(after.tools))


async def main(url, mode, scenario):
    token = sys.stdin.readline().strip()
    news = asyncio.Event()

    async def on_message(message):
        if type(message).__name__ == "ToolListChangedNotification":
            news.set()

    async with connect(url, mode, token, message_handler=on_message) as client:
        match scenario:
            case "changes":
                await changes(client, news, mode)
            case _:
                await globals()[scenario](client)


asyncio.run(main(*sys.argv[1:]))
