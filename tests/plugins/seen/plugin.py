"""Routes a message to the bindings whose argument `x-seen` says in words what the SDK makes of it."""

from decimal import Decimal
from struct import pack

from componentize_py_types import Err
from wit_world import exports

from amphora import ALL, WHOLE, Packed, Timestamp, table

packed = Packed(
    vhost=True,
    exchange=True,
    routing_key=True,
    user=True,
    time=True,
    properties=True,
    headers=ALL,
    body=WHOLE,
)
bindings: dict[int, str] = {}


class Plugin(exports.Plugin):
    def describe(self):
        return packed.description("seen", "1")


class Exchange(exports.Exchange):
    def create(self, exchange, vhost, name, arguments):
        pass

    def delete(self, exchange):
        pass

    def rebind(self, exchange, add, remove):
        for binding in add:
            arguments = table(binding.arguments)
            value = words(arguments["x-value"])
            if value != arguments["x-value-seen"]:
                raise Err(value)
            bindings[binding.id] = arguments["x-seen"]


class ExchangePacked(exports.ExchangePacked):
    def route(self, exchange, batch):
        answer = []
        for message in packed.messages(batch):
            ids = [id for id, seen in bindings.items() if seen == seen_of(message)]
            answer.append(len(ids))
            answer.extend(ids)
        return answer


def seen_of(message):
    return " ".join(
        [
            message.vhost,
            message.exchange,
            message.routing_key,
            message.user,
            str(message.time),
            message.properties.hex(),
            words(message.headers),
            str(message.body_size),
            message.body.hex(),
        ]
    )


def words(value):
    kind = type(value)
    if value is None:
        return "void"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return "f" + pack(">d", value).hex()
    if kind is Decimal:
        sign, digits, exponent = value.as_tuple()
        number = int("".join(map(str, digits)))
        return f"d{-exponent}/{-number if sign else number}"
    if kind is str:
        return f'"{value}"'
    if kind is bytes:
        return "x" + value.hex()
    if kind is Timestamp:
        return f"@{int(value)}"
    if kind is list:
        return "[" + ",".join(map(words, value)) + "]"
    return "{" + ",".join(f"{name}:{words(value)}" for name, value in value.items()) + "}"
