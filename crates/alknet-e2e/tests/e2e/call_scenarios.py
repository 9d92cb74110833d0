"""What a client of the call protocol can rely on, as scenarios over call_client.py.

usage: call_scenarios.py SCENARIO < PLACE

PLACE is a JSON object that says where the node is: `transport` (tcp or quic), for tcp `command` (the program and its
arguments), for quic `host`, `port` and `fingerprint`, and for both `token`.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time

import call_client
from call_client import MAX_FRAME, CallError

PATIENCE = 60


class Place:
    """Where the node is, and how to get there."""

    def __init__(self, text):
        self.text = text
        self.values = json.loads(text)
        self.token = self.values["token"]
        self.is_quic = self.values["transport"] == "quic"

    def connect(self, **options):
        options = {"auth_token": self.token} | options
        if not self.is_quic:
            return call_client.over_command(*self.values["command"], **options)
        where = (self.values[name] for name in ("host", "port", "fingerprint"))
        return call_client.over_quic(*where, **options)


async def fails(code, awaitable):
    """Waits for a failure, which has to be of this code."""
    try:
        output = await awaitable
    except CallError as error:
        assert error.code == code, f"{error} instead of {code}"
        return error
    raise AssertionError(f"{output} instead of {code}")


async def until(what, condition):
    """Waits until an asynchronous condition holds."""
    start = time.monotonic()
    while not await condition():
        assert time.monotonic() - start < PATIENCE, f"never happened: {what}"


async def running(node, kind):
    """How many operations of a kind run at the node."""
    metrics = (await node.call("/metrics/list"))["metrics"]
    [metric] = [m for m in metrics if m["name"] == "alknet_runs_running" and m["labels"] == {"kind": kind}]
    return metric["value"]


# What every node has.


async def lists_and_describes(place):
    async with place.connect() as node:
        services = {service["name"]: service for service in (await node.call("/services/list"))["services"]}
        assert services["/node/info"]["kind"] == "call" and services["/node/info"]["description"], services
        assert services["/resources/watch"]["kind"] == "subscription", services
        assert "/metrics/list" in services and "/config/reload" not in services, services
        for name in services:
            [described] = (await node.call("/services/schema", {"name": name}))["operations"]
            assert described["name"] == name and described["kind"] == services[name]["kind"], described
        [listing] = (await node.call("/services/schema", {"name": "/resources/list"}))["operations"]
        assert "type" in listing["input_schema"]["properties"], listing
        await fails("NOT_FOUND", node.call("/services/schema", {"name": "/no/such"}))
        await fails("NOT_FOUND", node.call("/services/schema", {"name": "/config/reload"}))
    async with place.connect(auth_token=None) as stranger:
        everything = {service["name"] for service in (await stranger.call("/services/list"))["services"]}
        assert everything < services.keys() and "/services/list" in everything, everything


async def calls_and_is_told_what_is_wrong(place):
    async with place.connect() as node:
        info = await node.call("/node/info")
        assert info["caller"]["id"] == "alice" and info["fingerprint"] == place.values["fingerprint"], info
        transport = info["caller"]["transport"]
        assert (transport == "quic") == place.is_quic, transport
        for unknown in ("/no/such", "/node/infos", "/Node/Info", "/"):
            error = await fails("NOT_FOUND", node.call(unknown))
            assert not error.retryable, error
        await fails("INVALID_INPUT", node.call("node/info"))
        error = await fails("INVALID_INPUT", node.call("/resources/list", {"type": 5}))
        assert "/type" in error.message, error.message
        assert [violation["path"] for violation in error.details["violations"]] == ["/type"], error.details
        await fails("FORBIDDEN", node.call("/config/reload"))


async def a_token_decides_and_a_wrong_one_is_never_ignored(place):
    async with place.connect(auth_token=None) as node:
        for wrong in ("alk_guessed", "", place.token + "x"):
            await fails("UNAUTHENTICATED", node.call("/node/info", auth_token=wrong))
            await fails("UNAUTHENTICATED", node.call("/services/list", auth_token=wrong))
        info = await node.call("/node/info", auth_token=place.token)
        assert info["caller"]["id"] == "alice", info
        forwarded = await node.call("/node/info", auth_token=place.token, forwarded_for={"id": "self"})
        assert forwarded["caller"]["id"] == "alice", forwarded
        await fails("UNAUTHENTICATED", node.call("/node/info", forwarded_for={"id": "alice"}))


async def garbage_is_answered_and_the_stream_goes_on(place):
    async with place.connect() as node:
        await node.call("/services/list")
        stream = (await node.start("/services/list")).stream

        async def refused(data, call_id=""):
            await stream.send_bytes(call_client.LENGTH.pack(len(data)) + data)
            error = await node.unrelated.get()
            assert error["type"] == "call.error" and error["id"] == call_id, error
            assert error["payload"]["code"] == "INVALID_INPUT", error
            assert (await node.call("/node/info", stream=stream))["name"]

        for no_message in (b"", b"{", b"\xff\xfe", b"null", b"[]", b"{}", b'{"type":"call.requested"}', b'{"id":"x"}'):
            await refused(no_message)
        await refused(b'{"type":"call.requested","id":"","payload":{"operationId":"/node/info"}}')
        long_id = json.dumps({"type": "call.requested", "id": "x" * 129, "payload": {"operationId": "/node/info"}})
        await refused(long_id.encode())
        await refused(b'{"type":"call.invented","id":"x"}', "x")
        await refused(b'{"type":"call.requested","id":"x"}', "x")
        await refused(b'{"type":"call.requested","id":"x","payload":{"operationId":5}}', "x")
        await refused(b'{"type":"call.requested","id":"x","payload":{"operationId":"/a/b","timeout_ms":-1}}', "x")
        # Answers to calls that nobody has made say nothing, and fields that nobody knows do no harm.
        for stray in ("call.responded", "call.completed", "call.error", "call.aborted"):
            payload = {"output": 1, "code": "NOT_FOUND"}
            await stream.send({"type": stray, "id": "nobody", "payload": payload, "later": [{}]})
        assert (await node.call("/node/info", None, stream=stream, later={"x": 1}))["name"]
        assert node.unrelated.empty(), node.unrelated.get_nowait()


async def a_frame_over_the_limit_ends_its_stream_and_nothing_else(place):
    async with place.connect() as node:
        call = await node.start("/services/list")
        await call.result()
        await call.stream.send_bytes(call_client.LENGTH.pack(MAX_FRAME + 1))
        error = await node.unrelated.get()
        assert (error["type"], error["id"]) == ("call.error", ""), error
        assert str(MAX_FRAME) in error["payload"]["message"], error
        await call.stream.ended.wait()
        if place.is_quic:
            assert (await node.call("/node/info", stream=await node.open()))["name"]
    async with place.connect() as node:
        assert (await node.call("/node/info"))["name"]


async def answers_come_after_the_end_of_the_requests(place):
    async with place.connect() as node:
        calls = [await node.start("/node/info") for _ in range(20)]
        calls[0].stream.end()
        for call in calls:
            assert (await call.result())["name"]
        await calls[0].stream.ended.wait()
        if not place.is_quic:
            assert await node.process.wait() == 0, node.process.returncode


async def a_killed_subscriber_leaves_nothing(place):
    async with place.connect() as node:
        before = await running(node, "subscription")
    command = [sys.executable, "-B", __file__, "holds_a_subscription"]
    pipe = asyncio.subprocess.PIPE
    holder = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True)
    try:
        holder.stdin.write(place.text.encode())
        holder.stdin.close()
        assert await holder.stdout.readline() == b"it holds\n"

        async def runs(count):
            async with place.connect() as node:
                return await running(node, "subscription") == count

        assert await runs(before + 1)
    finally:
        # The holder, and the program that it may have started.
        os.killpg(holder.pid, signal.SIGKILL)
        await holder.wait()
    await until("the subscription has ended at the node", lambda: runs(before))


async def holds_a_subscription(place):
    """Not a scenario of its own: what is killed in one."""
    async with place.connect() as node:
        watch = await node.subscribe("/resources/watch")
        assert await anext(watch) == {"snapshot": []}
        print("it holds", flush=True)
        while True:
            # A QUIC connection that is silent ends by itself.
            if place.is_quic:
                await node.ping()
            await asyncio.sleep(1)


# What needs operations that only the tests have.


async def pipelined_calls_are_answered_out_of_order(place):
    async with place.connect() as node:
        for stream in [None, "one for each"] if place.is_quic else [None]:

            async def start(operation, input):
                return await node.start(operation, input, stream=await node.open() if stream else None)

            keys = [f"{stream} {n}" for n in range(10)]
            held = [await start("/test/gate", key) for key in keys]
            echoes = [await start("/test/echo", {"n": n}) for n in range(190)]
            for n, echo in enumerate(echoes):
                assert await echo.result() == {"n": n}
                if stream:
                    echo.stream.end()
            waiting = {asyncio.create_task(call.result()): key for key, call in zip(keys, held)}
            for key in reversed(keys):
                await node.call("/test/open", key, stream=held[0].stream)
                [answered], _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                assert answered.result() == key == waiting.pop(answered), (answered, key)


async def a_large_frame_goes_both_ways(place):
    async with place.connect() as node:
        text = "\N{WHITE SMILING FACE}x" * 200_000
        assert await node.call("/test/echo", text) == text
        error = await fails("RESOURCE_EXHAUSTED", node.call("/test/repeat", {"text": "x" * 1024, "times": 20_000}))
        assert not error.retryable and str(MAX_FRAME) in error.message, error


async def a_subscription_gives_its_events_and_ends(place):
    async with place.connect() as node:
        counted = await node.subscribe("/test/count", {"to": 100})
        assert [event async for event in counted] == list(range(100))
        assert [event async for event in await node.subscribe("/test/count", {"to": 0})] == []
        counted, events = await node.subscribe("/test/count", {"to": 3, "fail": True}), []
        with contextlib.suppress(StopAsyncIteration):
            error = await fails("TEST_BROKE", collect(counted, events))
        assert events == [0, 1, 2] and error.details == {"at": 3} and not error.retryable, (events, error)
        assert node.unrelated.empty()


async def collect(events, into):
    async for event in events:
        into.append(event)


async def a_watch_begins_with_what_there_is(place):
    async with place.connect() as node:
        await node.call("/test/spawn", "first", forwarded_for={"id": "bob"})
        first = {"type": "thing", "id": "first", "claim": {"id": "bob"}}
        watch = await node.subscribe("/resources/watch")
        assert await anext(watch) == {"snapshot": [first]}
        await node.call("/test/spawn", "second")
        assert await anext(watch) == {"recorded": {"type": "thing", "id": "second", "claim": None}}
        await node.call("/test/end", "first")
        assert await anext(watch) == {"revoked": {"type": "thing", "id": "first"}}
        # What others own is not for alice: of bob's thing she sees neither the beginning nor the end.
        async with place.connect(auth_token=place.values["other_token"]) as other:
            await other.call("/test/spawn", "third")
            other_watch = await other.subscribe("/resources/watch")
            assert [resource["id"] for resource in (await anext(other_watch))["snapshot"]] == ["third"]
            await fails("FORBIDDEN", node.call("/test/end", "third"))
            await fails("FORBIDDEN", node.call("/test/end", "never was"))
            await other.call("/test/end", "third")
            assert await anext(other_watch) == {"revoked": {"type": "thing", "id": "third"}}
            await other_watch.abort()
        await node.call("/test/end", "second")
        assert await anext(watch) == {"revoked": {"type": "thing", "id": "second"}}
        error = await watch.abort()
        assert error.code == "ABORTED", error


async def an_aborted_call_is_answered_and_dropped(place):
    async with place.connect() as node:
        for on_another_stream in [False, True] if place.is_quic else [False]:
            call = await node.start("/test/hang")
            await until("the call runs", lambda: holds(node, 1))
            error = await call.abort(await node.open() if on_another_stream else None)
            assert error.code == "ABORTED" and not error.retryable, error
            await until("the call is dropped", lambda: holds(node, 0))
        # One that has ended already is nothing to abort.
        call = await node.start("/test/echo", 1)
        assert await call.result() == 1
        await call.stream.send({"type": "call.aborted", "id": call.id})
        assert await node.call("/test/echo", 2) == 2
        assert node.unrelated.empty()


async def holds(node, count):
    """Whether so many runs of the tests' operations that never end are under way."""
    return await node.call("/test/held") == count


async def nothing_comes_after_the_end_of_an_aborted_subscription(place):
    async with place.connect() as node:
        for _ in range(20):
            ticks = await node.subscribe("/test/ticks", {"size": 10})
            for n in range(50):
                assert (await anext(ticks))["n"] == n
            error = await ticks.abort()
            assert error.code == "ABORTED", error
            # On the same stream, so whatever the node sent before is here when this is.
            assert await node.call("/test/echo", 1, stream=ticks.stream) == 1
            late = node.unrelated
            assert late.empty(), f"{late.qsize()} messages came after the end, as {late.get_nowait()}"
        await until("all are dropped", lambda: holds(node, 0))
        assert await running(node, "subscription") == 0


async def time_runs_out_for_calls_and_subscriptions(place):
    async with place.connect() as node:
        error = await fails("TIMEOUT", node.call("/test/hang", timeout_ms=50))
        assert error.retryable, error
        await until("the call is dropped", lambda: holds(node, 0))
        ticks = await node.subscribe("/test/count", {"to": 1, "hang": True}, timeout_ms=500)
        assert await anext(ticks) == 0
        await fails("TIMEOUT", anext(ticks))
        await until("the subscription is dropped", lambda: holds(node, 0))
        assert node.unrelated.empty()


async def an_id_in_use_is_refused_and_the_first_goes_on(place):
    async with place.connect() as node:
        stream = (await node.start("/test/echo")).stream
        inbox = node.inbox("twin", stream)
        request = {"type": "call.requested", "id": "twin", "payload": {"operationId": "/test/gate", "input": "twin"}}
        request["payload"]["auth_token"] = place.token
        await stream.send(request)
        await stream.send(request)
        error = await inbox.get()
        assert (error["type"], error["payload"]["code"]) == ("call.error", "INVALID_INPUT"), error
        await node.call("/test/open", "twin")
        answer = await inbox.get()
        assert (answer["type"], answer["payload"]) == ("call.responded", {"output": "twin"}), answer
        # Once it is answered, its id is free again.
        await stream.send(request)
        answer = await inbox.get()
        assert answer["type"] == "call.responded", answer


async def the_node_calls_its_caller(place):
    asked = []

    async def shout(request):
        asked.append(request)
        return request["input"].upper()

    async def letters(request):
        for letter in request["input"]:
            yield letter

    async def refuse(request):
        raise CallError("SHY", "not today", True, {"why": request["input"]})

    operations = {"/python/shout": shout, "/python/letters": letters, "/python/refuse": refuse}
    async with place.connect(operations=operations) as node:

        async def ask(operation, input, subscribe=False):
            return await node.call("/test/ask", {"operation": operation, "input": input, "subscribe": subscribe})

        # Over QUIC an answer may also come on another stream than its request.
        other = await node.open() if place.is_quic else None
        for answer_stream in [lambda asked_on: asked_on] + ([lambda _: other] if other else []):
            node.answer_stream = answer_stream
            asked.clear()
            assert await ask("/python/shout", "hello") == {"output": "HELLO"}
            assert [request["operationId"] for request in asked] == ["/python/shout"], asked
            assert await ask("/python/letters", "abc", True) == {"outputs": ["a", "b", "c"]}
            long = "x" * 2000
            assert await ask("/python/letters", long, True) == {"outputs": list(long)}
            refusal = {"code": "SHY", "message": "not today", "retryable": True, "details": {"why": 5}}
            assert await ask("/python/refuse", 5) == {"error": refusal}
            assert await ask("/python/refuse", 5, True) == {"outputs": [], "error": refusal}
            assert (await ask("/python/unknown", 5))["error"]["code"] == "NOT_FOUND"
        # Many at once, in both directions.
        asks = [ask("/python/shout", f"n{n}") for n in range(50)]
        assert await asyncio.gather(*asks) == [{"output": f"N{n}"} for n in range(50)]
    async with place.connect() as node:
        answer = await node.call("/test/ask", {"operation": "/python/shout", "input": "", "subscribe": False})
        assert answer["error"]["code"] == "NOT_FOUND", answer


async def giving_up_goes_all_the_way_round(place):
    began, ended = asyncio.Queue(), asyncio.Queue()

    async def hang(_):
        began.put_nowait(True)
        try:
            await asyncio.Event().wait()
        finally:
            ended.put_nowait(True)

    async def drip(request):
        yield 1
        await hang(request)

    operations = {"/python/hang": hang, "/python/drip": drip}
    async with place.connect(operations=operations) as node:
        for operation, subscribe in [("/python/hang", False), ("/python/drip", True)]:
            ask = {"operation": operation, "input": None, "subscribe": subscribe}
            call = await node.start("/test/ask", ask)
            await began.get()
            error = await call.abort()
            assert error.code == "ABORTED", error
            await ended.get()
            # Long enough for it to begin, on any machine.
            await fails("TIMEOUT", node.call("/test/ask", ask, timeout_ms=1500))
            await began.get()
            await ended.get()
        # The node itself has given up what Python has not answered, and takes no harm from an answer that comes late.
        assert await node.call("/test/echo", 1) == 1
        assert node.unrelated.empty(), node.unrelated.get_nowait()


async def what_a_connection_ran_ends_with_it(place):
    async with place.connect() as observer:
        async with place.connect() as node:
            calls = [await node.start("/test/hang") for _ in range(10)]
            # Nobody takes the events, so the stream is not read any more.
            calls.append(await node.subscribe("/test/ticks", {"size": 10}))
            await until("everything runs", lambda: holds(observer, 11))
            if not place.is_quic:
                node.process.kill()
        await until("everything is dropped", lambda: holds(observer, 0))
        assert await running(observer, "subscription") == 0


async def a_reader_that_rests_holds_the_producer_back(place):
    """Over one stream, which Python does not read while nobody takes events. (aioquic reads whatever comes.)"""
    size, most = 10_000, 32 * 1024 * 1024
    async with place.connect() as node, place.connect() as observer:
        ticks = await node.subscribe("/test/ticks", {"size": size})
        assert (await anext(ticks))["n"] == 0

        async def rests():
            before = await observer.call("/test/produced")
            # In this time it would make hundreds of events.
            for n in range(200):
                assert await observer.call("/test/echo", n) == n
            return await observer.call("/test/produced") == before

        await until("the producer rests", rests)
        produced = await observer.call("/test/produced")
        assert 1 <= produced <= most // size, produced
        # What waits is not lost, and it goes on.
        for n in range(1, produced + 500):
            assert (await anext(ticks))["n"] == n
        error = await ticks.abort()
        assert error.code == "ABORTED", error


async def main():
    scenario, place = globals()[sys.argv[1]], Place(sys.stdin.read())
    await asyncio.wait_for(scenario(place), PATIENCE)


asyncio.run(main())
