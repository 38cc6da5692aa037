"""A message goes to each binding whose key its routing key begins with."""

from wit_world import exports

from amphora import Packed

# The same routing key always has the same answer, so the broker may keep it: `pure`.
packed = Packed(routing_key=True, pure=True)

# For each exchange, the bindings' keys by their ids.
exchanges: dict[int, dict[int, str]] = {}


class Plugin(exports.Plugin):
    def describe(self):
        return packed.description("{{name}}", "0.1.0")


class Exchange(exports.Exchange):
    def create(self, exchange, vhost, name, arguments):
        exchanges[exchange] = {}

    def delete(self, exchange):
        del exchanges[exchange]

    def rebind(self, exchange, add, remove):
        # To refuse a binding: raise componentize_py_types.Err("text for the client"), before anything is changed.
        for id in remove:
            exchanges[exchange].pop(id, None)
        for binding in add:
            exchanges[exchange][binding.id] = binding.routing_key


class ExchangePacked(exports.ExchangePacked):
    def route(self, exchange, batch):
        answer = []
        for message in packed.messages(batch):
            bindings = exchanges[exchange].items()
            ids = [id for id, prefix in bindings if message.routing_key.startswith(prefix)]
            answer.append(len(ids))
            answer.extend(ids)
        return answer
