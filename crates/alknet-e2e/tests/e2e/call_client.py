"""A client of the call protocol alknet/call, written from its description alone.

A Connection carries calls in both directions over one stream or several. Two things make one:

    async with over_command("alknet", "connect", NODE, "alknet/call", auth_token=TOKEN) as node:
        print(await node.call("/node/info"))

    async with over_quic(HOST, PORT, FINGERPRINT, auth_token=TOKEN) as node:
        async for event in await node.subscribe("/resources/watch"):
            print(event)

The first needs nothing but Python's standard library and the program; the second needs aioquic. All waiting is without a
limit of its own: asyncio.wait_for gives it one.
"""

import asyncio
import contextlib
import inspect
import itertools
import json
import ssl
import struct

MAX_FRAME = 16 * 1024 * 1024
LENGTH = struct.Struct(">I")

# How many events of a call may wait to be taken before its stream is not read any more.
MAX_WAITING = 16

# How many messages that belong to no call are kept, the latest.
MAX_UNRELATED = 1024


class CallError(Exception):
    """What a call fails with."""

    def __init__(self, code, message="", retryable=False, details=None):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.retryable, self.details = code, message, retryable, details

    @classmethod
    def of(cls, payload):
        get = payload.get
        return cls(get("code", "INTERNAL"), get("message", ""), get("retryable", False), get("details"))

    def payload(self):
        payload = {"code": self.code, "message": self.message, "retryable": self.retryable}
        return payload if self.details is None else payload | {"details": self.details}


class Unanswered(Exception):
    """The stream ended before the call did."""


def frame(message):
    """One message as it goes over a stream."""
    text = json.dumps(message).encode()
    if len(text) > MAX_FRAME:
        raise ValueError(f"a message of {len(text)} bytes is longer than a frame may be")
    return LENGTH.pack(len(text)) + text


class Stream:
    """Messages over a reader and a writer of asyncio."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.ended = asyncio.Event()

    async def send(self, message):
        await self.send_bytes(frame(message))

    async def send_bytes(self, data):
        self.writer.write(data)
        await self.writer.drain()

    def end(self):
        """Ends this side. The peer's answers still come."""
        self.writer.write_eof()

    async def receive(self):
        """The next message; None at the end."""
        try:
            (length,) = LENGTH.unpack(await self.reader.readexactly(LENGTH.size))
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None
        if length > MAX_FRAME:
            raise ValueError(f"a frame of {length} bytes is longer than it may be")
        return json.loads(await self.reader.readexactly(length))


class Call:
    """A call that was made. Its answers are taken with result(), or as an asynchronous iterator."""

    def __init__(self, call_id, stream, many):
        self.id, self.stream = call_id, stream
        self._many = many
        self._messages = asyncio.Queue(MAX_WAITING)
        self._ended = False

    async def deliver(self, message):
        """Takes a message in, and says whether it is the last."""
        await self._messages.put(message)
        return message["type"] != "call.responded" or not self._many

    def lose(self):
        """There will be no more messages. What waits already is still taken."""
        with contextlib.suppress(asyncio.QueueFull):
            self._messages.put_nowait(None)
        self._ended = True

    async def result(self):
        """The one output of the call."""
        return (await self._next())["output"]

    def __aiter__(self):
        return self

    async def __anext__(self):
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event["output"]

    async def abort(self, stream=None):
        """Gives the call up and waits for its end, which it returns: an error, as a rule ABORTED, or None if the call had
        ended by itself."""
        await (stream or self.stream).send({"type": "call.aborted", "id": self.id, "payload": {}})
        try:
            while await self._next() is not None and self._many:
                pass
        except CallError as error:
            return error
        return None

    async def _next(self):
        """The payload of the next answer; None at the end of a subscription."""
        if self._ended and self._messages.empty():
            raise Unanswered(f"the call {self.id} was not answered")
        message = await self._messages.get()
        if message is None:
            raise Unanswered(f"the call {self.id} was not answered")
        payload = message.get("payload") or {}
        match message["type"]:
            case "call.responded":
                return payload
            case "call.completed":
                return None
            case _:
                raise CallError.of(payload)


class Inbox:
    """Everything that comes under an id, as it comes: for those who write messages by hand."""

    def __init__(self, stream):
        self.stream = stream
        self._messages = asyncio.Queue(MAX_WAITING)

    async def deliver(self, message):
        await self._messages.put(message)
        return False

    def lose(self):
        with contextlib.suppress(asyncio.QueueFull):
            self._messages.put_nowait(None)

    async def get(self):
        """The next message; None when no more can come."""
        return await self._messages.get()


class Connection:
    """Calls in both directions.

    `operations` are those that the peer may call here, by their names with the leading slash: coroutine functions of the
    request's payload, or asynchronous generators, whose values are the events of a subscription.
    """

    def __init__(self, auth_token=None, operations=None, open_stream=None):
        self.auth_token = auth_token
        # Messages that belong to no call of ours: errors about what could not be read, or what came too late.
        self.unrelated = asyncio.Queue(MAX_UNRELATED)
        # On which stream a request is answered that came on one: on the same, unless somebody wants it otherwise.
        self.answer_stream = lambda asked_on: asked_on
        self._operations = operations or {}
        self._open_stream = open_stream
        self._ids = itertools.count(1)
        self._made = {}
        self._running = {}
        self._tasks = set()
        self._streams = []
        self._closed = False

    async def open(self):
        """A new stream, where the transport can have several."""
        return self.attach(*await self._open_stream())

    def attach(self, reader, writer):
        """Takes a stream into use."""
        stream = Stream(reader, writer)
        self._streams.append(stream)
        self._spawn(self._read(stream))
        return stream

    async def call(self, operation, input=None, **options):
        """The output of an operation with one answer. The options are those of start()."""
        return await (await self.start(operation, input, **options)).result()

    async def subscribe(self, operation, input=None, **options):
        """Begins a subscription. The options are those of start()."""
        return await self.start(operation, input, many=True, **options)

    async def start(self, operation, input=None, *, many=False, stream=None, call_id=None, **fields):
        """Makes a call and does not wait for its answer.

        It goes on `stream`, else on the first that there is. `fields` are those of the request: auth_token,
        forwarded_for, timeout_ms.
        """
        stream = stream or await self._first_stream()
        call = Call(call_id or f"python-{next(self._ids)}", stream, many)
        payload = {"operationId": operation, "input": input}
        if self.auth_token is not None:
            payload["auth_token"] = self.auth_token
        payload |= fields
        self._made[call.id] = call
        await stream.send({"type": "call.requested", "id": call.id, "payload": payload})
        return call

    def inbox(self, call_id, stream):
        """What comes under an id, for requests that were written to `stream` by hand."""
        self._made[call_id] = inbox = Inbox(stream)
        return inbox

    async def _first_stream(self):
        return self._streams[0] if self._streams else await self.open()

    def _spawn(self, coroutine):
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self):
        """Stops everything that runs here. Whoever owns the streams ends them."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, stream):
        try:
            while (message := await stream.receive()) is not None:
                await self._receive(stream, message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            stream.ended.set()
            for call_id, call in list(self._made.items()):
                if call.stream is stream:
                    call.lose()
                    del self._made[call_id]

    async def _receive(self, stream, message):
        call_id, kind = message["id"], message["type"]
        if kind == "call.requested":
            task = self._spawn(self._serve(stream, call_id, message.get("payload") or {}))
            self._running[call_id] = task
            task.add_done_callback(lambda _: self._running.pop(call_id, None))
        elif kind == "call.aborted":
            if task := self._running.get(call_id):
                task.cancel()
        elif kind not in ("call.responded", "call.completed", "call.error"):
            error = CallError("INVALID_INPUT", f"the message type {kind} is not known")
            await stream.send({"type": "call.error", "id": call_id, "payload": error.payload()})
        elif call := self._made.get(call_id):
            if await call.deliver(message):
                del self._made[call_id]
        else:
            if self.unrelated.full():
                self.unrelated.get_nowait()
            self.unrelated.put_nowait(message)

    async def _serve(self, stream, call_id, request):
        """Runs a call of the peer's and answers it."""
        stream = self.answer_stream(stream)

        async def answer(kind, payload):
            await stream.send({"type": kind, "id": call_id, "payload": payload})

        milliseconds = request.get("timeout_ms")
        try:
            async with asyncio.timeout(milliseconds and milliseconds / 1000):
                await self._run(request, answer)
        except CallError as error:
            await answer("call.error", error.payload())
        except TimeoutError:
            await answer("call.error", CallError("TIMEOUT", "it took longer than it may", True).payload())
        except asyncio.CancelledError:
            if self._closed:
                raise
            await answer("call.error", CallError("ABORTED", "the caller has aborted the call").payload())
        except Exception:
            await answer("call.error", CallError("INTERNAL", "internal error").payload())
            raise

    async def _run(self, request, answer):
        operation = self._operations.get(request["operationId"])
        if operation is None:
            raise CallError("NOT_FOUND", f"there is no operation {request['operationId']}")
        running = operation(request)
        if not inspect.isasyncgen(running):
            await answer("call.responded", {"output": await running})
            return
        async with contextlib.aclosing(running) as events:
            async for event in events:
                await answer("call.responded", {"output": event})
        await answer("call.completed", {})


@contextlib.asynccontextmanager
async def over_command(*command, **options):
    """A connection over the one stream that is a program's standard input and output. connection.process is the program,
    which is ended if it does not end before."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    connection = Connection(**options)
    connection.process = process
    connection.attach(process.stdout, process.stdin)
    try:
        yield connection
    finally:
        await connection.close()
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        # asyncio sees the end of a process only when its output has been read.
        while await process.stdout.read(64 * 1024):
            pass
        await process.wait()


@contextlib.asynccontextmanager
async def over_quic(host, port, fingerprint, **options):
    """A connection over QUIC to the node with this fingerprint."""
    from aioquic.asyncio.client import connect
    from aioquic.quic.configuration import QuicConfiguration

    configuration = QuicConfiguration(is_client=True, alpn_protocols=["alknet/call"])
    # No authority has signed the node's certificate. It is over the key that the fingerprint names, which is compared
    # before anything is sent.
    configuration.verify_mode = ssl.CERT_NONE
    connection = Connection(open_stream=lambda: client.create_stream(), **options)
    accept = connection.attach
    async with connect(host, port, configuration=configuration, stream_handler=accept) as client:
        key = client._quic.tls._peer_certificate.public_key().public_bytes_raw()
        if f"ed25519:{key.hex()}" != fingerprint:
            raise ConnectionError(f"{host}:{port} is another node than expected")
        connection.ping = client.ping
        try:
            yield connection
        finally:
            await connection.close()
