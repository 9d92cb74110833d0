"""An MCP server written with the official SDK, for the tests: mcp_server.py PORT GENERATION

It appends to the file `seen` in its folder which tool was called with which credential. GENERATION is "new" for
2026-07-28 and "old" for what was before.
"""

import json
import sys
import time
from pathlib import Path

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

PORT, GENERATION = int(sys.argv[1]), sys.argv[2]
server = MCPServer("shop", version="7")


class Sum(BaseModel):
    sum: int


def saw(tool: str, ctx: Context) -> str:
    credential = (ctx.headers or {}).get("authorization", "none")
    with Path("seen").open("a") as seen:
        print(json.dumps({"tool": tool, "credential": credential, "protocol": ctx.protocol_version}), file=seen)
    return credential


@server.tool()
async def add(a: int, b: int, ctx: Context) -> Sum:
    """Adds two numbers"""
    saw("add", ctx)
    return Sum(sum=a + b)


@server.tool(structured_output=False)
async def whoami(ctx: Context) -> str:
    """Says what it was sent"""
    return f"you are {saw('whoami', ctx)}"


@server.tool(structured_output=False)
async def steps(ctx: Context) -> str:
    for step in range(1, 4):
        await ctx.report_progress(step, 3, f"step {step}")
    return "done"


@server.tool(structured_output=False)
async def fail() -> str:
    raise ToolError("nothing in stock")


@server.tool(structured_output=False)
async def hang(ctx: Context) -> str:
    saw("hang", ctx)
    try:
        await anyio.sleep_forever()
    finally:
        saw("hang is over", ctx)


@server.tool(structured_output=False)
async def grow(ctx: Context) -> str:
    """Has one more tool from now on, and one less"""

    def grown() -> str:
        return "grown"

    server.add_tool(grown, name="grown", structured_output=False)
    server.remove_tool("fail")
    await ctx.notify_tools_changed()
    if GENERATION == "old":
        await ctx.session.send_tool_list_changed()
    return "grows"


class Older:
    """What a server of before 2026-07-28 does not know, it refuses."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and dict(scope["headers"]).get(b"mcp-protocol-version") == b"2026-07-28":
            await send({"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Bad Request: Unsupported protocol version"})
            return
        await self.app(scope, receive, send)


app = server.streamable_http_app()
if GENERATION == "old":
    app = Older(app)
uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning", timeout_graceful_shutdown=1)
