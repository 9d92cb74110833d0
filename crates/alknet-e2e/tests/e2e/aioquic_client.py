"""One call of the protocol alknet/call over QUIC, by aioquic.

usage: aioquic_client.py HOST PORT ALPN OPERATION TOKEN    (an empty ALPN offers none; an empty TOKEN sends none)
Prints the answer's frame as JSON.
"""

import asyncio
import json
import ssl
import struct
import sys

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated


class Client(QuicConnectionProtocol):
    terminated = None

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            Client.terminated = event
        super().quic_event_received(event)


async def call(host, port, alpn, operation, token):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=[alpn] if alpn else None)
    # The node's certificate is over its own key; this client trusts what it gets and looks at the answer.
    configuration.verify_mode = ssl.CERT_NONE
    payload = {"operationId": operation, "input": None}
    if token:
        payload["auth_token"] = token
    frame = json.dumps({"type": "call.requested", "id": "from-aioquic", "payload": payload}).encode()
    async with connect(host, port, configuration=configuration, create_protocol=Client) as client:
        reader, writer = await client.create_stream()
        writer.write(struct.pack(">I", len(frame)) + frame)
        writer.write_eof()
        (length,) = struct.unpack(">I", await reader.readexactly(4))
        return json.loads(await reader.readexactly(length))


def main():
    host, port, alpn, operation, token = sys.argv[1:]
    try:
        answer = asyncio.run(asyncio.wait_for(call(host, int(port), alpn, operation, token), 30))
    except Exception as error:
        if Client.terminated:
            sys.exit(f"closed with {Client.terminated.error_code:#x}: {Client.terminated.reason_phrase}")
        sys.exit(f"failed: {error!r}")
    print(json.dumps(answer))


main()
