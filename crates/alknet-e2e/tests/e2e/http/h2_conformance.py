"""Speaks HTTP/2 to a server in ways that RFC 9113 forbids or leaves open, and says what the RFC does not have.

The frames are made by hyperframe and the headers by hpack, neither of which keeps anybody from sending nonsense. Each case
has a connection of its own.

usage: h2_conformance.py HOST PORT TOKEN
"""

import socket
import ssl
import struct
import sys

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

HOST, PORT, TOKEN = sys.argv[1], int(sys.argv[2]), sys.argv[3]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, FRAME_SIZE_ERROR = 0x1, 0x3, 0x5, 0x6
REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x7, 0x9, 0xB
GET = [(":method", "GET"), (":scheme", "https"), (":path", "/healthz"), (":authority", "node")]
# One whose body is waited for.
POST = [(":method", "POST"), GET[1], (":path", "/node/info"), GET[3], ("content-type", "application/json"),
        ("authorization", f"Bearer {TOKEN}")]


class Client:
    """A connection, with the settings exchanged unless that is what is tried."""

    def __init__(self, settings=None, preface=PREFACE):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection((HOST, PORT), timeout=10), server_hostname=HOST)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.encoder, self.decoder = Encoder(), Decoder()
        self.send_bytes(preface)
        if preface == PREFACE:
            self.send(SettingsFrame(0, settings=settings or {}))

    def send_bytes(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # What the server said before it closed is read all the same.

    def send(self, *frames):
        self.send_bytes(b"".join(frame.serialize() for frame in frames))

    def headers(self, stream, fields, flags=("END_HEADERS", "END_STREAM")):
        return HeadersFrame(stream, data=self.encoder.encode(fields, huffman=False), flags=list(flags))

    def frames(self):
        """All frames up to the end of the connection; settings are acknowledged."""
        while (head := self.read(9)) is not None:
            frame, length = Frame.parse_frame_header(memoryview(head))
            body = self.read(length)
            if body is None:
                return
            frame.parse_body(memoryview(body))
            if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                self.send(SettingsFrame(0, flags=["ACK"]))
            yield frame

    def read(self, length):
        data = b""
        while len(data) < length:
            try:
                more = self.socket.recv(length - len(data))
            except TimeoutError:
                raise AssertionError("nothing came of it") from None
            except OSError:
                more = b""
            if not more:
                return None
            data += more
        return data

    def close(self):
        self.socket.close()


def frame(kind, stream, body=b"", flags=0):
    """A frame of any form."""
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


CASES = []


def case(test):
    CASES.append(test)
    return test


def connection_error(section, *codes):
    """What it sends has to end the connection: with a GOAWAY with one of the codes, or just so (RFC 9113 §5.4.1). Servers
    may use PROTOCOL_ERROR for what has a code of its own, and many do."""

    def wrap(send):
        def test():
            client = Client()
            send(client)
            for got in client.frames():
                if isinstance(got, GoAwayFrame):
                    assert got.error_code in (*codes, PROTOCOL_ERROR), f"GOAWAY with {got.error_code:#x}"
                    return
            client.close()

        test.__doc__ = f"{section}: {send.__doc__}"
        return case(test)

    return wrap


def stream_error(section, *codes):
    """What it sends on stream 1 has to end that stream, or the connection, or be answered with 400 (§8.1.1)."""

    def wrap(send):
        def test():
            client = Client()
            send(client)
            for got in client.frames():
                if isinstance(got, (RstStreamFrame, GoAwayFrame)):
                    assert got.error_code in codes, f"{type(got).__name__} with {got.error_code:#x}"
                    return
                # An answer that was quicker than the error says nothing.
                if isinstance(got, HeadersFrame) and dict(client.decoder.decode(got.data))[":status"] == "400":
                    return
            client.close()

        test.__doc__ = f"{section}: {send.__doc__}"
        return case(test)

    return wrap


def answered(client, stream=1):
    """Reads up to the end of a stream; its status and body."""
    status, body = None, b""
    for got in client.frames():
        assert not isinstance(got, (GoAwayFrame, RstStreamFrame)), got
        if got.stream_id != stream:
            continue
        if isinstance(got, HeadersFrame):
            status = dict(client.decoder.decode(got.data))[":status"]
        if isinstance(got, DataFrame):
            body += got.data
        if "END_STREAM" in got.flags:
            return status, body
    raise AssertionError("the connection ended")


# What must work.


@case
def get():
    """8.1: a request is answered."""
    client = Client()
    client.send(client.headers(1, GET))
    assert answered(client) == ("200", b"ok\n")


@case
def head():
    """8.1: an answer to HEAD has no body."""
    client = Client()
    client.send(client.headers(1, [(":method", "HEAD"), *GET[1:]]))
    assert answered(client) == ("200", b"")


@case
def ping():
    """6.7: a PING comes back with what was in it."""
    client = Client()
    client.send(PingFrame(0, opaque_data=b"12345678"))
    pong = next(got for got in client.frames() if isinstance(got, PingFrame))
    assert "ACK" in pong.flags and pong.opaque_data == b"12345678", pong


@case
def settings_are_acknowledged():
    """6.5.3: settings are acknowledged."""
    client = Client()
    assert any(isinstance(got, SettingsFrame) and "ACK" in got.flags for got in client.frames())


@case
def unknown_frames():
    """4.1, 5.5: frames of unknown types and unknown settings are ignored, and so are unknown flags."""
    client = Client(settings={0x4242: 1})
    client.send_bytes(frame(0x42, 0, b"x" * 100, 0xFF) + frame(0x42, 5, b"x"))
    client.send_bytes(frame(0x6, 0, b"12345678", 0x42))
    client.send(client.headers(1, GET))
    assert answered(client) == ("200", b"ok\n")


@case
def continuation():
    """6.10: a block of headers may come in pieces, of which some are empty."""
    client = Client()
    block = client.encoder.encode(GET, huffman=False)
    pieces = [ContinuationFrame(1, data=piece) for piece in (block[1:2], b"", block[2:])]
    pieces[-1].flags.add("END_HEADERS")
    client.send(HeadersFrame(1, data=block[:1], flags=["END_STREAM"]), *pieces)
    assert answered(client) == ("200", b"ok\n")


@case
def padding():
    """6.2: padding and priority are taken out."""
    client = Client()
    padded = client.headers(1, GET, ("END_HEADERS", "END_STREAM", "PADDED", "PRIORITY"))
    padded.pad_length, padded.stream_weight = 200, 15
    client.send(padded)
    assert answered(client) == ("200", b"ok\n")


@case
def priority_of_idle_streams():
    """5.3.2: PRIORITY is taken for any stream."""
    client = Client()
    client.send(PriorityFrame(7, depends_on=3, stream_weight=15), client.headers(1, GET))
    assert answered(client) == ("200", b"ok\n")


@case
def windows():
    """6.9: no more is sent than there is room for."""
    client = Client(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1})
    client.send(client.headers(1, GET))
    body, done = b"", False
    for got in client.frames():
        if isinstance(got, DataFrame):
            assert len(got.data) <= 1, "more than the window"
            body, done = body + got.data, "END_STREAM" in got.flags
            client.send(WindowUpdateFrame(1, window_increment=1))
        if done:
            break
    assert body == b"ok\n", body


@case
def many_streams():
    """5.1.2: streams beyond the limit are refused, and the others answered."""
    client = Client(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 0})
    limit = next(got for got in client.frames() if isinstance(got, SettingsFrame) and got.settings)
    limit = limit.settings[SettingsFrame.MAX_CONCURRENT_STREAMS]
    assert 1 <= limit <= 10_000, limit
    client.send(*(client.headers(2 * n + 1, GET) for n in range(limit + 1)))
    for got in client.frames():
        if isinstance(got, RstStreamFrame):
            assert (got.stream_id, got.error_code) == (2 * limit + 1, REFUSED_STREAM), got
            break
        assert not isinstance(got, GoAwayFrame), got
    client.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 100}))
    left = set(range(1, 2 * limit, 2))
    for got in client.frames():
        if "END_STREAM" in got.flags:
            left.discard(got.stream_id)
        if not left:
            break
    assert not left, left


@case
def not_the_preface():
    """3.4: what does not begin as HTTP/2 ends."""
    client = Client(preface=b"GET / HTTP/1.1\r\nhost: node\r\n\r\n")
    assert all(isinstance(got, (SettingsFrame, GoAwayFrame)) for got in client.frames())


# What ends the connection.


@connection_error("4.2", FRAME_SIZE_ERROR)
def too_long(client):
    """a frame longer than the server has said that it takes"""
    client.send_bytes(frame(0x0, 1, b"x" * (1 << 14) + b"x"))


@connection_error("4.3", COMPRESSION_ERROR)
def bad_compression(client):
    """a block of headers that is none"""
    client.send(HeadersFrame(1, data=b"\xff\xff\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS", "END_STREAM"]))


@connection_error("5.1", PROTOCOL_ERROR, STREAM_CLOSED)
def data_on_idle(client):
    """DATA on a stream that was never opened"""
    client.send(DataFrame(1, data=b"x"))


@connection_error("5.1", PROTOCOL_ERROR)
def reset_of_idle(client):
    """RST_STREAM on a stream that was never opened"""
    client.send(RstStreamFrame(1, error_code=0))


@connection_error("5.1", PROTOCOL_ERROR)
def window_of_idle(client):
    """WINDOW_UPDATE on a stream that was never opened"""
    client.send(WindowUpdateFrame(1, window_increment=1))


@connection_error("5.1.1", PROTOCOL_ERROR)
def even_stream(client):
    """a stream with an even number"""
    client.send(client.headers(2, GET))


@connection_error("5.1.1", PROTOCOL_ERROR, STREAM_CLOSED)
def older_stream(client):
    """a stream with a smaller number than the one before"""
    client.send(client.headers(5, GET), client.headers(3, GET))


@connection_error("6.1", PROTOCOL_ERROR)
def data_on_zero(client):
    """DATA on stream 0"""
    client.send_bytes(frame(0x0, 0, b"x"))


@connection_error("6.1", PROTOCOL_ERROR)
def too_much_padding(client):
    """padding longer than the frame"""
    client.send(client.headers(1, POST, ["END_HEADERS"]))
    client.send_bytes(frame(0x0, 1, b"\x06hello", 0x8))


@connection_error("6.2", PROTOCOL_ERROR)
def headers_on_zero(client):
    """HEADERS on stream 0"""
    client.send_bytes(frame(0x1, 0, client.encoder.encode(GET), 0x5))


@connection_error("6.2", PROTOCOL_ERROR)
def broken_block(client):
    """another frame within a block of headers"""
    client.send(client.headers(1, GET, ["END_STREAM"]), PingFrame(0, opaque_data=b"12345678"))


@connection_error("6.4", PROTOCOL_ERROR)
def reset_of_zero(client):
    """RST_STREAM on stream 0"""
    client.send_bytes(frame(0x3, 0, b"\0\0\0\0"))


@connection_error("6.4", FRAME_SIZE_ERROR)
def reset_length(client):
    """RST_STREAM of another length than 4"""
    client.send(client.headers(1, POST, ["END_HEADERS"]))
    client.send_bytes(frame(0x3, 1, b"\0\0\0"))


@connection_error("6.5", FRAME_SIZE_ERROR)
def settings_ack_with_body(client):
    """an acknowledgement with settings in it"""
    client.send_bytes(frame(0x4, 0, b"\0" * 6, 0x1))


@connection_error("6.5", PROTOCOL_ERROR)
def settings_on_stream(client):
    """SETTINGS on a stream"""
    client.send_bytes(frame(0x4, 1, b"\0\x03\0\0\0\x64"))


@connection_error("6.5", FRAME_SIZE_ERROR)
def settings_length(client):
    """SETTINGS of a length that is no multiple of 6"""
    client.send_bytes(frame(0x4, 0, b"\0\x03\0"))


@connection_error("6.5.2", PROTOCOL_ERROR)
def settings_push(client):
    """ENABLE_PUSH that is neither 0 nor 1"""
    client.send_bytes(frame(0x4, 0, b"\0\x02\0\0\0\x02"))


@connection_error("6.5.2", FLOW_CONTROL_ERROR)
def settings_window(client):
    """INITIAL_WINDOW_SIZE above 2^31-1"""
    client.send_bytes(frame(0x4, 0, b"\0\x04\x80\0\0\0"))


@connection_error("6.5.2", PROTOCOL_ERROR)
def settings_frame_size(client):
    """MAX_FRAME_SIZE below 2^14"""
    client.send_bytes(frame(0x4, 0, b"\0\x05\0\0\x3f\xff"))


@connection_error("6.6", PROTOCOL_ERROR)
def push(client):
    """a client that pushes"""
    client.send(PushPromiseFrame(1, promised_stream_id=2, data=client.encoder.encode(GET), flags=["END_HEADERS"]))


@connection_error("6.7", PROTOCOL_ERROR)
def ping_on_stream(client):
    """PING on a stream"""
    client.send_bytes(frame(0x6, 1, b"12345678"))


@connection_error("6.7", FRAME_SIZE_ERROR)
def ping_length(client):
    """PING of another length than 8"""
    client.send_bytes(frame(0x6, 0, b"1234567"))


@connection_error("6.8", PROTOCOL_ERROR)
def goaway_on_stream(client):
    """GOAWAY on a stream"""
    client.send_bytes(frame(0x7, 1, b"\0" * 8))


@connection_error("6.9", PROTOCOL_ERROR)
def window_zero(client):
    """WINDOW_UPDATE by 0"""
    client.send_bytes(frame(0x8, 0, b"\0\0\0\0"))


@connection_error("6.9", FRAME_SIZE_ERROR)
def window_length(client):
    """WINDOW_UPDATE of another length than 4"""
    client.send_bytes(frame(0x8, 0, b"\0\0\0"))


@connection_error("6.9.1", FLOW_CONTROL_ERROR)
def window_overflow(client):
    """a window above 2^31-1"""
    client.send(*[WindowUpdateFrame(0, window_increment=(1 << 31) - 1)] * 2)


@connection_error("6.10", PROTOCOL_ERROR)
def lone_continuation(client):
    """CONTINUATION without HEADERS"""
    client.send(ContinuationFrame(1, data=client.encoder.encode(GET), flags=["END_HEADERS"]))


@connection_error("6.10", PROTOCOL_ERROR)
def continuation_of_another(client):
    """CONTINUATION of another stream"""
    client.send(client.headers(1, GET, ["END_STREAM"]), ContinuationFrame(3, data=b"", flags=["END_HEADERS"]))


@connection_error("10.5", ENHANCE_YOUR_CALM, PROTOCOL_ERROR, COMPRESSION_ERROR)
def endless_continuation(client):
    """a block of headers that never ends"""
    piece = ContinuationFrame(1, data=b"\0" + b"\x7f\x81\x7e" + b"x" * 16_000).serialize()
    client.send(HeadersFrame(1, data=b"", flags=["END_STREAM"]))
    for _ in range(1000):
        client.send_bytes(piece)


@connection_error("10.5", ENHANCE_YOUR_CALM)
def rapid_reset(client):
    """streams that are opened and given up, over and over"""
    for n in range(20_000):
        client.send(client.headers(2 * n + 1, GET), RstStreamFrame(2 * n + 1, error_code=8))


# What ends the stream.


@stream_error("5.1", STREAM_CLOSED, PROTOCOL_ERROR)
def data_after_end(client):
    """DATA behind the end of the stream"""
    client.send(client.headers(1, POST), DataFrame(1, data=b"x"))


@stream_error("6.9", PROTOCOL_ERROR)
def stream_window_zero(client):
    """WINDOW_UPDATE of a stream by 0"""
    client.send(client.headers(1, POST, ["END_HEADERS"]))
    client.send_bytes(frame(0x8, 1, b"\0\0\0\0"))


@stream_error("6.9.1", FLOW_CONTROL_ERROR)
def stream_window_overflow(client):
    """a stream's window above 2^31-1"""
    client.send(client.headers(1, POST, ["END_HEADERS"]), *[WindowUpdateFrame(1, window_increment=(1 << 31) - 1)] * 2)


def malformed(section, description, fields, flags=("END_HEADERS", "END_STREAM"), then=()):
    def send(client):
        client.send(client.headers(1, fields, flags), *then)

    send.__doc__ = description
    stream_error(section, PROTOCOL_ERROR)(send)


# Trailers with a pseudo-header are not tried: the server takes the field out and goes on.
malformed("8.2.1", "a name in upper case", [*GET, ("X-Test", "1")])
malformed("8.2.1", "a name with a space", [*GET, ("x test", "1")])
malformed("8.2.1", "a value with a line break", [*GET, ("x-test", "1\r\nx: 2")])
malformed("8.2.2", "a field of the connection", [*GET, ("connection", "keep-alive")])
malformed("8.2.2", "another one", [*GET, ("transfer-encoding", "chunked")])
malformed("8.2.2", "TE with anything but trailers", [*GET, ("te", "gzip")])
malformed("8.3", "an unknown pseudo-header", [*GET, (":test", "1")])
malformed("8.3", "a pseudo-header of answers", [*GET, (":status", "200")])
malformed("8.3", "a pseudo-header behind other fields", [*GET[:2], ("x-test", "1"), *GET[2:]])
malformed("8.3.1", "no method", GET[1:])
malformed("8.3.1", "no scheme", [GET[0], *GET[2:]])
malformed("8.3.1", "no path", [*GET[:2], GET[3]])
malformed("8.3.1", "an empty path", [*GET[:2], (":path", ""), GET[3]])
malformed("8.3.1", "two methods", [GET[0], *GET])
malformed("8.3.1", "two paths", [*GET, (":path", "/")])
malformed("8.1.1", "a body of another length than was said", [*POST, ("content-length", "1")], ["END_HEADERS"],
          [DataFrame(1, data=b"four", flags=["END_STREAM"])])


failures = 0
for test in CASES:
    try:
        test()
    except Exception as error:  # noqa: BLE001, a case that fails is told with the others
        failures += 1
        print(f"{test.__doc__}: {type(error).__name__}: {error}")
if failures:
    sys.exit(1)
print(f"{len(CASES)} cases, all of them as the RFC has it")
