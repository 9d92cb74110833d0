"""Clients of both generations that are killed at random points.

usage: soak.py PORT COUNT SEED, with the token in the first line of standard input. Prints at how many points of each kind.
"""

import asyncio
import collections
import json
import random
import ssl
import sys

AT_ONCE = 64
MODERN = "2026-07-28"
PREFIX = "every.thing."
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "soak", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
    "progressToken": 1,
}


# The node shows a certificate over its own key.
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE


class Killed(Exception):
    pass


class Client:
    def __init__(self, port, token, rng, points):
        self.port, self.token, self.rng, self.points = port, token, rng, points
        self.writers = []

    def perhaps(self, point):
        """Dies here, or lives on."""
        if self.rng.random() < 0.25:
            self.points[point] += 1
            raise Killed

    async def send(self, method, body, headers=()):
        """Sends a request over a connection of its own, or a part of it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=TLS)
        self.writers.append(writer)
        self.perhaps("connected")
        body = json.dumps(body).encode() if body else b""
        head = [f"{method} /mcp HTTP/1.1", "host: localhost", f"authorization: Bearer {self.token}"]
        head += ["accept: application/json, text/event-stream", "content-type: application/json"]
        head += [f"content-length: {len(body)}", *headers]
        request = "\r\n".join(head).encode() + b"\r\n\r\n" + body
        if self.rng.random() < 0.1:
            writer.write(request[: self.rng.randrange(len(request))])
            await writer.drain()
            self.points["within a request"] += 1
            raise Killed
        writer.write(request)
        await writer.drain()
        self.perhaps("sent")
        return reader

    async def answer(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert head.startswith("http/1.1 2"), head
        return head

    async def message(self, reader):
        """Waits for an event, or for the whole of an answer that is none."""
        await reader.readuntil(b"}")

    async def legacy(self):
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
        reader = await self.send("POST", {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        head = await self.answer(reader)
        id = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("mcp-session-id"))
        self.perhaps("has a session")
        headers = [f"mcp-session-id: {id}", "mcp-protocol-version: 2025-11-25"]
        await self.answer(await self.send("POST", {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers))
        self.perhaps("initialized")
        if self.rng.random() < 0.5:
            await self.answer(await self.send("GET", None, headers))
            self.perhaps("listens")
        tool = self.rng.choice(["ticks", "hang", "test_simple_text"])
        params = {"name": PREFIX + tool, "arguments": {}, "_meta": {"progressToken": 1}}
        reader = await self.send("POST", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, headers)
        await self.answer(reader)
        self.perhaps("has called")
        if tool == "ticks":
            for _ in range(self.rng.randrange(4)):
                await self.message(reader)
        self.points[f"in the middle of {tool}"] += 1
        raise Killed

    async def modern(self):
        def headers(method, name=None):
            fields = [f"mcp-protocol-version: {MODERN}", f"mcp-method: {method}"]
            return fields + ([f"mcp-name: {name}"] if name else [])

        async def ask(method, params, name=None):
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
            return await self.send("POST", body, headers(method, name))

        await self.answer(await ask("server/discover", {}))
        self.perhaps("has discovered")
        if self.rng.random() < 0.5:
            await self.answer(await ask("subscriptions/listen", {"notifications": {"toolsListChanged": True}}))
            self.perhaps("listens")
        tool = self.rng.choice(["ticks", "hang", "test_simple_text"])
        reader = await ask("tools/call", {"name": PREFIX + tool, "arguments": {}}, PREFIX + tool)
        self.perhaps("has called")
        if tool != "hang":
            await self.answer(reader)
        if tool == "ticks":
            for _ in range(self.rng.randrange(4)):
                await self.message(reader)
        self.points[f"in the middle of {tool}"] += 1
        raise Killed

    async def live(self):
        try:
            await self.rng.choice([self.legacy, self.modern])()
        except Killed:
            pass
        finally:
            for writer in self.writers:
                # As the kernel does for a process that is killed: without a farewell.
                writer.transport.abort()


async def main(port, count, seed):
    token = sys.stdin.readline().strip()
    room, points = asyncio.Semaphore(AT_ONCE), collections.Counter()

    async def one(number):
        async with room:
            await Client(port, token, random.Random(f"{seed} {number}"), points).live()

    await asyncio.gather(*(one(number) for number in range(count)))
    print(json.dumps(points, sort_keys=True), flush=True)
    assert sum(points.values()) == count, points


asyncio.run(main(*map(int, sys.argv[1:])))
