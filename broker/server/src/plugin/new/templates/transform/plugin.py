"""Writes the publishing user into a header, and rejects messages without a body."""

from wit_world import exports
from wit_world.exports import transform
from wit_world.imports import types

from amphora import Packed

# A prefix of one byte is enough to be told the whole length.
NEEDS = Packed(user=True, body=1)


class Plugin(exports.Plugin):
    def describe(self):
        return NEEDS.description("{{name}}", "0.1.0")


class Transform(exports.Transform):
    def apply(self, message, queue):
        if message.body_size == 0:
            return transform.Verdict_Reject("the message has no body")
        header = types.Field("published-by", types.Value_Text(message.user))
        replacement = transform.Replacement(
            routing_key=None,
            properties=None,
            set_headers=types.Table([header], []),
            remove_headers=[],
            body=None,
            delay=0,
        )
        return transform.Verdict_Replace([replacement])
