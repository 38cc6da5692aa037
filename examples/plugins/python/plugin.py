"""A type of exchange: topics, with a least priority for each binding."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import config

from amphora import Packed, kind, table

ARGUMENT = "x-priority-min"
# Routing keys whose candidates are remembered, at most, and their candidates together.
KEYS_MAX = 4096
CANDIDATES_MAX = 65536

packed = Packed()
routers: dict[int, "Router"] = {}


class Plugin(exports.Plugin):
    def describe(self):
        global packed
        pure = config.get("pure") or "true"
        if pure not in ("true", "false"):
            raise ValueError(f"pure must be true or false, and is {pure}")
        header = config.get("priority-header")
        header = "priority" if header is None else header
        packed = Packed(routing_key=True, headers=[header] if header else [], pure=pure == "true")
        return packed.description("priority-topic", "1.0.0")


class Exchange(exports.Exchange):
    def create(self, exchange, vhost, name, arguments):
        routers[exchange] = Router()

    def delete(self, exchange):
        del routers[exchange]

    def rebind(self, exchange, add, remove):
        rules = {binding.id: rule(binding) for binding in add}
        routers[exchange].rebind(rules, remove)


class ExchangePacked(exports.ExchangePacked):
    def route(self, exchange, batch):
        router = routers[exchange]
        answer = []
        for message in packed.messages(batch):
            ids = router.route(message)
            answer.append(len(ids))
            answer.extend(ids)
        return answer


class Router:
    """The bindings of one exchange: by id, the words of the key and the least priority."""

    def __init__(self):
        self.rules = {}
        self.forget()

    def rebind(self, add, remove):
        for id in remove:
            self.rules.pop(id, None)
        self.rules.update(add)
        self.forget()

    def forget(self):
        self.remembered = {}
        self.remembered_candidates = 0

    def route(self, message):
        priority = next(iter(message.headers.values()), None)
        # A bool is an int in Python, and a timestamp is one in the SDK.
        if type(priority) is not int:
            priority = None
        return [
            id
            for id, least in self.candidates(message.routing_key)
            if least is None or (priority is not None and priority >= least)
        ]

    def candidates(self, key):
        found = self.remembered.get(key)
        if found is None:
            if len(self.remembered) >= KEYS_MAX or self.remembered_candidates >= CANDIDATES_MAX:
                self.forget()
            words = split(key)
            rules = self.rules.items()
            found = [(id, least) for id, (pattern, least) in rules if matches(pattern, words)]
            self.remembered[key] = found
            self.remembered_candidates += len(found)
        return found


def rule(binding):
    """What is kept of a binding, which may be refused."""
    arguments = table(binding.arguments)
    least = None
    if ARGUMENT in arguments:
        least = arguments[ARGUMENT]
        if type(least) is not int:
            raise Err(f"{ARGUMENT} must be an integer, and is {kind(least)}")
        if not packed.headers:
            raise Err(f"{ARGUMENT} needs a header to look at, and the plugin's priority-header is empty")
    return split(binding.routing_key), least


def split(key):
    return key.split(".") if key else []


def matches(pattern, words):
    """`*` is one word, `#` any number. After a mismatch, the last `#` takes one word more."""
    at = word = 0
    back = None
    while word < len(words):
        if at < len(pattern) and pattern[at] == "#":
            back = at, word
            at += 1
        elif at < len(pattern) and pattern[at] in ("*", words[word]):
            at += 1
            word += 1
        elif back is not None:
            back = back[0], back[1] + 1
            at, word = back[0] + 1, back[1]
        else:
            return False
    return all(rest == "#" for rest in pattern[at:])
