"""AMQP 0-9-1 by hand: as much of it as it takes to see the exact bytes of a content header."""

import socket
import struct
from types import TracebackType
from typing import Self

from .broker import PROTOCOL_HEADER, Address

METHOD, HEADER, BODY = 1, 2, 3
FRAME_END = b"\xce"

CONNECTION_START, CONNECTION_TUNE, CONNECTION_OPEN_OK = (10, 10), (10, 30), (10, 41)
CHANNEL_OPEN_OK = (20, 11)
BASIC_GET_OK = (60, 71)


def short(text: str) -> bytes:
    """A short string."""
    return bytes([len(text.encode())]) + text.encode()


def long(data: bytes) -> bytes:
    """A long string, or a table or an array whose fields are `data`."""
    return struct.pack(">I", len(data)) + data


class Wire:
    """One connection with one channel, on which each method is written as bytes."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.socket = socket.create_connection((address.host, address.port), timeout=60)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(PROTOCOL_HEADER)
        self._expect(CONNECTION_START)
        response = f"\0{address.user}\0{address.password}".encode()
        self._method(0, 10, 11, long(b"") + short("PLAIN") + long(response) + short("en_US"))
        self._expect(CONNECTION_TUNE)
        self._method(0, 10, 31, struct.pack(">HIH", 0x7FF, 131072, 0))
        self._method(0, 10, 40, short("/") + short("") + b"\0")
        self._expect(CONNECTION_OPEN_OK)
        self._method(1, 20, 10, short(""))
        self._expect(CHANNEL_OPEN_OK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stream.close()
        self.socket.close()

    def publish(self, queue: str, properties: bytes, body: bytes) -> None:
        """Publish to a queue, with the property flags and values as they are."""
        self._method(1, 60, 40, struct.pack(">H", 0) + short("") + short(queue) + b"\0")
        self._frame(HEADER, 1, struct.pack(">HHQ", 60, 0, len(body)) + properties)
        self._frame(BODY, 1, body)

    def get(self, queue: str) -> tuple[bytes, bytes]:
        """Take a message: its property flags and values, and its body."""
        self._method(1, 60, 70, struct.pack(">H", 0) + short(queue) + b"\1")
        self._expect(BASIC_GET_OK)
        kind, header = self._read()
        assert kind == HEADER, f"frame type {kind} where a content header belongs"
        size = struct.unpack_from(">Q", header, 4)[0]
        body = b""
        while len(body) < size:
            kind, part = self._read()
            assert kind == BODY, f"frame type {kind} where a body belongs"
            body += part
        return header[12:], body

    def _method(self, channel: int, class_id: int, method_id: int, arguments: bytes) -> None:
        self._frame(METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)

    def _frame(self, kind: int, channel: int, payload: bytes) -> None:
        self.socket.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + FRAME_END)

    def _expect(self, wanted: tuple[int, int]) -> None:
        kind, payload = self._read()
        method = struct.unpack_from(">HH", payload)
        assert (kind, method) == (METHOD, wanted), f"{method} {payload!r} where {wanted} belongs"

    def _read(self) -> tuple[int, bytes]:
        kind, _channel, size = struct.unpack(">BHI", self.stream.read(7))
        payload = self.stream.read(size)
        assert self.stream.read(1) == FRAME_END
        return kind, payload
