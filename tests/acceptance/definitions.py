#!/usr/bin/env python3
"""What Debian's rabbitmq-server exported, taken in here: its users log in by pika and by HTTP, and it is given out again without loss.

RabbitMQ 3.10.8 wrote `definitions.json`; `--record URL` makes a new RabbitMQ the shop that it describes, and keeps what that exports.
"""

import base64
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support.admin_tool import arguments  # noqa: E402
from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.venv import reexecute_in  # noqa: E402

reexecute_in("acceptance", Path(__file__).with_name("requirements.txt"))

import pika  # noqa: E402
from pika.exceptions import AMQPConnectionError  # noqa: E402

EXPORTED = Path(__file__).with_name("definitions.json")

# Users, their passwords, a virtual host that is open to each, and what /api/whoami answers.
USERS = {
    "guest": ("guest", "/", ["administrator"]),
    "admin": ("adm1n", "shop", ["administrator"]),
    "orders": ("s3cret", "shop", "Not management user"),
    "watch": ("w4tch", "shop", ["monitoring"]),
    "policy": ("p0licy", "shop", ["management", "policymaker"]),
    "limited": ("l1mit", "shop", ["custom", "management"]),
    "jürgen": ("pässwört", "/", "Not management user"),
}

# What the items of a list are known by.
KEYS = {
    "users": ("name",),
    "vhosts": ("name",),
    "permissions": ("vhost", "user"),
    "topic_permissions": ("vhost", "user", "exchange"),
    "parameters": ("vhost", "component", "name"),
    "global_parameters": ("name",),
    "policies": ("vhost", "name"),
    "queues": ("vhost", "name"),
    "exchanges": ("vhost", "name"),
    "bindings": ("vhost", "source", "destination_type", "destination", "routing_key"),
}

# Fields that RabbitMQ has had since, and 3.10 did not write.
ADDED = {
    "vhosts": {"description", "tags", "default_queue_type", "protected_from_deletion", "metadata"},
    "queues": {"type"},
}

# Which program wrote the file, and why.
HEADER = {
    "rabbit_version",
    "rabbitmq_version",
    "product_name",
    "product_version",
    "rabbitmq_definition_format",
    "original_cluster_name",
    "explanation",
}


def main() -> int:
    """Compare what comes out with what went in, and log in as everybody."""
    args = arguments(__doc__).parse_args()
    if args.record:
        fill(args.record)
        definitions = ask(args.record, "GET", "/definitions")
        EXPORTED.write_text(json.dumps(definitions, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        return 0
    exported = json.loads(EXPORTED.read_text())
    log = cache_dir() / "results" / "definitions.log"
    with Broker(args.binary or default_binary(TESTS.parent), log) as broker:
        url = f"http://127.0.0.1:{broker.address.http_port}"
        ask(url, "POST", "/definitions", exported)
        failures = log_in(broker.address.port, url)
        failures += losses(exported, ask(url, "GET", "/definitions"))
        broker.kill()
        broker.start()
        lost = losses(durable(exported), ask(url, "GET", "/definitions"))
        failures += [f"after a crash: {loss}" for loss in lost]
        failures += log_in(broker.address.port, url)
    for failure in failures:
        print(f"FAILED: {failure}")
    count = sum(len(exported[name]) for name in KEYS)
    print(f"{count} definitions out as they came in, {len(USERS)} users logged in")
    return 1 if failures else 0


def durable(definitions: dict) -> dict:
    """What outlives the end of the broker."""
    kept = {name: [item for item in definitions[name] if item["durable"]] for name in ("queues", "exchanges")}
    ends = {(item["vhost"], item["name"]) for name in kept for item in definitions[name] if not item["durable"]}

    def stays(binding: dict) -> bool:
        vhost = binding["vhost"]
        return (vhost, binding["source"]) not in ends and (vhost, binding["destination"]) not in ends

    return definitions | kept | {"bindings": [item for item in definitions["bindings"] if stays(item)]}


def losses(before: dict, after: dict) -> list[str]:
    """What differs, but for fields that only newer versions write."""
    found = [f"{key} is lost" for key in before.keys() - after.keys()]
    found += [f"{key} is new" for key in after.keys() - before.keys() - HEADER]
    for name, keys in KEYS.items():
        was, is_now = ({tuple(item[key] for key in keys): item for item in side[name]} for side in (before, after))
        found += [f"{name}: {place} is lost" for place in was.keys() - is_now.keys()]
        found += [f"{name}: {place} is new" for place in is_now.keys() - was.keys()]
        for place in was.keys() & is_now.keys():
            item = {key: value for key, value in is_now[place].items() if key not in ADDED.get(name, ())}
            if item != was[place]:
                found.append(f"{name}: {place} was {was[place]} and is {item}")
    return found


def log_in(port: int, url: str) -> list[str]:
    """Try everybody's password, and a wrong one, over AMQP and HTTP."""
    found = []
    for user, (password, vhost, expected) in USERS.items():
        if not connects(port, vhost, user, password):
            found.append(f"{user} is not let in by AMQP")
        if connects(port, vhost, user, password + "x"):
            found.append(f"{user} is let in by AMQP with a wrong password")
        for tried, answer in ((password, expected), (password + "x", "Login failed")):
            given = whoami(url, f"{user}:{tried}")
            if given != answer:
                found.append(f"{user} by HTTP: {given}, not {answer}")
    return found


def connects(port: int, vhost: str, user: str, password: str) -> bool:
    """Whether a user is let in by AMQP."""
    credentials = pika.PlainCredentials(user, password)
    try:
        pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port, vhost, credentials)).close()
    except AMQPConnectionError:
        return False
    return True


def whoami(url: str, login: str) -> list[str] | str:
    """A user's tags, or why there are none."""
    try:
        return sorted(ask(url, "GET", "/whoami", login=login)["tags"])
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)["reason"]


def ask(url: str, method: str, path: str, body: object = None, login: str = "guest:guest") -> dict:
    """Ask the management API, which has to answer."""
    headers = {
        "authorization": "Basic " + base64.b64encode(login.encode()).decode(),
        "content-type": "application/json",
    }
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/api{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else {}


def fill(url: str) -> None:
    """Make an empty broker a shop with something of everything."""

    def put(*path: str, **body: object) -> None:
        put_object(path, body)

    def put_object(path: tuple[str, ...], body: dict) -> None:
        ask(url, "PUT", "/" + "/".join(quote(part, safe="") for part in path), body)

    def bind(vhost: str, source: str, kind: str, destination: str, key: str = "", **arguments: object) -> None:
        place = "/".join(quote(part, safe="") for part in (vhost, "e", source, kind, destination))
        named = {name.replace("x_match", "x-match"): value for name, value in arguments.items()}
        ask(url, "POST", f"/bindings/{place}", {"routing_key": key, "arguments": named})

    put("vhosts", "shop", description="orders", tags="production,eu")
    put("vhosts", "staging", default_queue_type="quorum")
    put("vhosts", "großer Laden/2")
    tags = {"guest": "administrator", "admin": "administrator", "watch": "monitoring", "jürgen": "impersonator"}
    tags |= {"policy": "policymaker,management", "limited": "management,custom"}
    for user, (password, _, _) in USERS.items():
        put("users", user, password=password, tags=tags.get(user, ""))
    put("users", "certified", password_hash="", tags="")
    put("user-limits", "limited", "max-connections", value=7)
    put("user-limits", "limited", "max-channels", value=70)
    for vhost in ("/", "shop", "staging", "großer Laden/2"):
        put("permissions", vhost, "admin", configure=".*", write=".*", read=".*")
    for vhost, user, configure, write, read in (
        ("shop", "orders", "^(orders|amq\\.gen.*)$", "^(orders|events)$", ".*"),
        ("shop", "watch", "", "", ".*"),
        ("shop", "policy", "^$", "^$", "^$"),
        ("shop", "limited", "", ".*", ".*"),
        ("/", "jürgen", "^jü", ".*", ".*"),
        ("staging", "orders", ".*", ".*", ".*"),
        ("shop", "certified", ".*", ".*", ".*"),
    ):
        put("permissions", vhost, user, configure=configure, write=write, read=read)
    put("topic-permissions", "shop", "orders", exchange="events", write="^{username}\\.", read=".*")
    put("topic-permissions", "shop", "limited", exchange="amq.topic", write="^$", read="^a\\.")
    for vhost, queue, queue_arguments in (
        ("shop", "orders", {"x-dead-letter-exchange": "dead", "x-dead-letter-routing-key": "k", "x-message-ttl": 86_400_000}),
        ("shop", "short", {"x-max-length": 10_000, "x-max-length-bytes": 104_857_600, "x-overflow": "reject-publish"}),
        ("shop", "urgent", {"x-max-priority": 10, "x-queue-mode": "lazy", "x-expires": 604_800_000}),
        ("shop", "quorum", {"x-queue-type": "quorum", "x-delivery-limit": 5, "x-quorum-initial-group-size": 3}),
        ("shop", "log", {"x-queue-type": "stream", "x-max-age": "7D", "x-stream-max-segment-size-bytes": 104_857_600}),
        ("shop", "single", {"x-single-active-consumer": True}),
        ("shop", "classic", {"x-queue-type": "classic", "x-queue-version": 2, "x-queue-master-locator": "client-local"}),
        ("shop", "odd/name %#?", {"custom": {"a": [1, "b", True]}, "float": 1.5}),
        ("/", "plain", {}),
        ("großer Laden/2", "Bücher", {}),
    ):
        put("queues", vhost, queue, durable=True, auto_delete=False, arguments=queue_arguments)
    put("queues", "shop", "passing", durable=False, auto_delete=True, arguments={})
    for vhost, exchange, kind, fields in (
        ("shop", "dead", "fanout", {}),
        ("shop", "events", "topic", {"arguments": {"alternate-exchange": "unrouted"}}),
        ("shop", "unrouted", "fanout", {"internal": True}),
        ("shop", "regions", "headers", {}),
        ("shop", "passing", "direct", {"durable": False, "auto_delete": True}),
        ("großer Laden/2", "Straße", "direct", {}),
    ):
        put_object(("exchanges", vhost, exchange), {"type": kind, "durable": True, "arguments": {}} | fields)
    bind("shop", "events", "q", "orders", "order.#")
    bind("shop", "events", "e", "dead", "*.dead")
    bind("shop", "regions", "q", "quorum", x_match="all", region="eu", level=3, large=2**53 + 1, share=0.25)
    bind("shop", "unrouted", "q", "log")
    bind("shop", "dead", "q", "odd/name %#?", "ü")
    bind("shop", "passing", "q", "passing", "x")
    bind("großer Laden/2", "Straße", "q", "Bücher", "größe")
    bind("shop", "amq.match", "q", "single", x_match="any", a=1)
    for kind, vhost, policy, pattern, apply_to, priority, definition in (
        ("policies", "shop", "ttl", "^orders", "queues", 3, {"message-ttl": 1000, "dead-letter-exchange": "dead", "max-length": 5}),
        ("policies", "shop", "rest", ".*", "exchanges", -1, {"alternate-exchange": "unrouted"}),
        ("policies", "shop", "streams", "^log", "queues", 0, {"max-age": "1D"}),
        ("policies", "/", "all", "^(?!amq\\.).*", "all", 0, {"expires": 36_000_000}),
        ("policies", "shop", "mirrored", "^ha", "queues", 0, {"ha-mode": "all", "ha-sync-mode": "automatic", "queue-mode": "lazy"}),
        ("operator-policies", "shop", "bounded", ".*", "queues", 7, {"max-length": 50_000, "expires": 604_800_000}),
    ):
        body = {"pattern": pattern, "apply-to": apply_to, "priority": priority, "definition": definition}
        put_object((kind, vhost, policy), body)
    put("vhost-limits", "shop", "max-queues", value=1000)
    put("vhost-limits", "shop", "max-connections", value=100)
    put("vhost-limits", "staging", "max-queues", value=-1)
    put("global-parameters", "cluster_name", value="the shop")
    put("global-parameters", "mqtt_port_to_vhost_mapping", value={"1883": "shop", "1884": "/"})
    put("global-parameters", "list", value=[1, "two", {"three": 3.5}])


if __name__ == "__main__":
    sys.exit(main())
