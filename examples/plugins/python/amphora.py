"""Amphora's SDK for plugins in Python: what a plugin needs to see, and packed batches of messages that have just that.

This file belongs into the plugin's folder. It needs nothing of the plugin's bindings until `Packed.description` is called,
so routers can be tested with an ordinary Python.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from struct import Struct
from typing import Any, Iterator, Union

ALL = "all"
WHOLE = "whole"


class Timestamp(int):
    """A field value that is a time: seconds since 1970."""


class Malformed(ValueError):
    """A batch that is not what the plugin asked for."""


@dataclass
class Message:
    """A message as the plugin asked to see it; the rest is empty."""

    vhost: str = ""
    exchange: str = ""
    routing_key: str = ""
    user: str = ""
    time: int = 0
    properties: bytes = b""
    headers: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""
    body_size: int = 0


class Packed:
    """What a plugin needs to see of a message. Says so to the host, and reads the batches that the host then passes.

    `headers` are the names of some, or `ALL`; `body` is the number of bytes from its beginning, or `WHOLE`.
    """

    def __init__(
        self,
        *,
        vhost: bool = False,
        exchange: bool = False,
        routing_key: bool = False,
        user: bool = False,
        time: bool = False,
        properties: bool = False,
        headers: Union[tuple[str, ...], list[str], str] = (),
        body: Union[int, str] = 0,
        pure: bool = False,
    ):
        self.texts = [
            name
            for name, asked in (
                ("vhost", vhost),
                ("exchange", exchange),
                ("routing_key", routing_key),
                ("user", user),
            )
            if asked
        ]
        self.time = time
        self.properties = properties
        self.headers = headers
        self.body = body
        self.pure = pure

    def description(self, name: str, version: str):
        """The answer of `describe`."""
        from wit_world.imports import types

        parts = types.Parts(0)
        for part in self.texts:
            parts |= types.Parts[part.upper()]
        if self.time:
            parts |= types.Parts.TIME
        if self.properties:
            parts |= types.Parts.PROPERTIES
        if self.headers == ALL:
            headers = types.HeaderNeeds_All()
        elif self.headers:
            headers = types.HeaderNeeds_Named(list(self.headers))
        else:
            headers = types.HeaderNeeds_None_()
        if self.body == WHOLE:
            body = types.BodyNeeds_Whole()
        elif self.body:
            body = types.BodyNeeds_Prefix(self.body)
        else:
            body = types.BodyNeeds_None_()
        needs = types.Needs(parts, headers, body, self.pure)
        return types.Description(name, version, needs)

    def messages(self, batch: bytes) -> Iterator[Message]:
        """The messages of a batch, in their order."""
        cursor = _Cursor(batch)
        if cursor.number(_U8) != 1:
            raise Malformed("the batch has a layout that this SDK does not know")
        for _ in range(cursor.number(_U32)):
            yield self._message(cursor)
        if cursor.at != len(batch):
            raise Malformed("the batch goes on behind its last message")

    def _message(self, cursor: "_Cursor") -> Message:
        message = Message()
        for part in self.texts:
            setattr(message, part, cursor.take(cursor.number(_U8)).decode())
        if self.time:
            message.time = cursor.number(_U64)
        if self.properties:
            message.properties = cursor.take(cursor.number(_U32))
        if self.headers == ALL:
            message.headers = cursor.table(cursor.number(_U32))
        else:
            for name in self.headers:
                kind = cursor.take(1)
                if kind != b"\0":
                    message.headers[name] = cursor.value(kind)
        if self.body:
            message.body_size = cursor.number(_U64)
            message.body = cursor.take(cursor.number(_U32))
        return message


def table(arguments) -> dict[str, Any]:
    """The contract's table as a dict. Integers are int, timestamps Timestamp, tables dict, arrays list, void None."""
    return {entry.name: _plain(entry.value, arguments.nested) for entry in arguments.fields}


def kind(value: Any) -> str:
    """What a value is, as error texts call it."""
    return _KINDS[type(value)]


_KINDS = {
    type(None): "void",
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    Decimal: "a decimal",
    str: "a text",
    bytes: "bytes",
    Timestamp: "a timestamp",
    list: "an array",
    dict: "a table",
}


def _plain(value, nested) -> Any:
    name = type(value).__name__
    if name == "Value_Void":
        return None
    if name == "Value_Decimal":
        places, number = value.value
        return Decimal(number).scaleb(-places)
    if name == "Value_Timestamp":
        return Timestamp(value.value)
    if name in ("Value_Array", "Value_Table"):
        span = value.value
        entries = nested[span.first : span.first + span.count]
        if name == "Value_Array":
            return [_plain(entry.value, nested) for entry in entries]
        return {entry.name: _plain(entry.value, nested) for entry in entries}
    return value.value


# The packing is little-endian, and what is on the wire big-endian.
_U8 = Struct("<B")
_U32 = Struct("<I")
_U64 = Struct("<Q")
_WIRE_U32 = Struct(">I")
_NUMBERS = {
    b"b": Struct(">b"),
    b"B": Struct(">B"),
    b"s": Struct(">h"),
    b"u": Struct(">H"),
    b"I": Struct(">i"),
    b"i": Struct(">I"),
    b"l": Struct(">q"),
    b"L": Struct(">q"),
    b"f": Struct(">f"),
    b"d": Struct(">d"),
}


class _Cursor:
    def __init__(self, data: bytes):
        self.data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise Malformed("the batch ends within a message")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, form: Struct) -> Any:
        return form.unpack(self.take(form.size))[0]

    def value(self, kind: bytes) -> Any:
        form = _NUMBERS.get(kind)
        if form is not None:
            return self.number(form)
        if kind == b"S":
            raw = self.take(self.number(_WIRE_U32))
            try:
                return raw.decode()
            except UnicodeDecodeError:
                return raw
        if kind == b"V":
            return None
        if kind == b"t":
            return self.take(1) != b"\0"
        if kind == b"x":
            return self.take(self.number(_WIRE_U32))
        if kind == b"T":
            return Timestamp(int.from_bytes(self.take(8), "big"))
        if kind == b"D":
            places = self.take(1)[0]
            return Decimal(int.from_bytes(self.take(4), "big", signed=True)).scaleb(-places)
        if kind == b"F":
            return self.table(self.number(_WIRE_U32))
        if kind == b"A":
            end = self.end(self.number(_WIRE_U32))
            values = []
            while self.at < end:
                values.append(self.value(self.take(1)))
            return values
        raise Malformed(f"there is no field value of type {kind!r}")

    def table(self, length: int) -> dict[str, Any]:
        """The first of several fields of the same name counts."""
        end = self.end(length)
        fields: dict[str, Any] = {}
        while self.at < end:
            name = self.take(self.take(1)[0]).decode(errors="replace")
            value = self.value(self.take(1))
            fields.setdefault(name, value)
        return fields

    def end(self, length: int) -> int:
        end = self.at + length
        if end > len(self.data):
            raise Malformed("the batch ends within a table")
        return end
