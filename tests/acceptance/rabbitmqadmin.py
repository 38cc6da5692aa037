#!/usr/bin/env python3
"""RabbitMQ's own `rabbitmqadmin` (version 1, a script) at this broker: it gets the answers that RabbitMQ gave.

What RabbitMQ 3.10.8 answered is in `rabbitmqadmin.txt`; `--record URL` asks one again, whose virtual host `/` must be empty.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support.admin_tool import arguments, broker_under_test, run_command  # noqa: E402
from support.cache import built_once, cache_dir  # noqa: E402
from support.transcript import compare, play  # noqa: E402

RECORDED = Path(__file__).with_name("rabbitmqadmin.txt")

# What is otherwise here, and why.
DIFFERENCES = {
    "declare exchange name=odd type=nothing": "the exception is RabbitMQ 4's 406, not the 503 of 3.10",
    "declare permission vhost=/ user=clerk configure=( write=.* read=.*": "the reason is a text, where "
    "RabbitMQ prints the codes of its letters",
    "list bindings source destination destination_type routing_key properties_key": "a binding with "
    "arguments has a longer key: it is the broker's own to choose",
    "list bindings source destination routing_key": "bindings are listed by virtual host",
    "get queue=sent ackmode=reject_requeue_true encoding=base64": "no properties are an empty object, "
    "which the script leaves out, and not an empty list",
    'declare policy name=odd pattern=^p definition={"nothing":1}': "JSON needs no HTML in it",
    "list parameters component name": "parameters are listed by component",
}

COMMANDS = """
declare vhost name=shop
declare vhost name=shop
declare user name=clerk password_hash=kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR tags=management,policymaker
declare user name=nobody password=secret
declare user name=nobody tags=
declare permission vhost=shop user=clerk configure=^c write=.* read=.*
declare permission vhost=shop user=stranger configure=^c write=.* read=.*
declare permission vhost=/ user=clerk configure=( write=.* read=.*
list users name tags
list vhosts name
list permissions
declare exchange name=orders type=topic durable=true
declare exchange name=orders type=direct
declare exchange name=odd type=nothing
declare exchange name=inner type=fanout internal=true auto_delete=true durable=false
declare exchange name=amq.mine type=direct
declare queue name=paid durable=true arguments={"x-max-length":100}
declare queue name=paid durable=true
declare queue name=sent durable=false auto_delete=true
declare queue name=bad arguments={"x-max-length":-1}
declare binding source=orders destination=paid routing_key=order.paid
declare binding source=orders destination=inner destination_type=exchange routing_key=# arguments={"n":1}
declare binding source=orders destination=nothing routing_key=a
list exchanges name type durable auto_delete internal
list queues name durable auto_delete arguments
list bindings source destination destination_type routing_key properties_key
publish exchange=orders routing_key=order.paid payload=hello properties={"delivery_mode":2,"headers":{"a":1}}
publish exchange=orders routing_key=nobody payload=hello
publish exchange=nothing routing_key=a payload=hello
publish routing_key=sent payload=aGVsbG8= payload_encoding=base64
get queue=paid
get queue=paid ackmode=ack_requeue_false count=5
get queue=paid
get queue=sent ackmode=reject_requeue_true encoding=base64
get queue=nothing
purge queue name=sent
purge queue name=nothing
declare policy name=ttl pattern=^p definition={"message-ttl":1000} priority=3 apply-to=queues
declare policy name=ttl pattern=^p definition={"message-ttl":-1}
declare policy name=odd pattern=^p definition={"nothing":1}
declare operator_policy name=max pattern=.* definition={"max-length":50}
declare vhost_limit vhost=shop name=max-queues value=5
declare vhost_limit vhost=nowhere name=max-queues value=5
declare parameter component=nothing name=x value=1
list policies vhost name pattern apply-to definition priority
list operator_policies vhost name pattern apply-to definition priority
list vhost_limits vhost value
list parameters component name
--username=clerk --password=test12 --vhost=shop declare queue name=c1
--username=clerk --password=test12 --vhost=shop declare queue name=d1
--username=clerk --password=test12 list users
--username=clerk --password=test12 declare vhost name=mine
--username=clerk --password=wrong list queues
--username=clerk --password=test12 --vhost=shop list queues name
--vhost=nowhere list queues name
delete queue name=nothing
delete exchange name=nothing
delete binding source=orders destination_type=queue destination=paid properties_key=order.paid
delete binding source=orders destination_type=queue destination=paid properties_key=order.paid
list bindings source destination routing_key
export FILE
delete queue name=paid
delete exchange name=orders
delete policy name=ttl
delete policy name=ttl
delete operator_policy name=max
delete vhost_limit vhost=shop name=max-queues
delete permission vhost=shop user=clerk
delete permission vhost=shop user=clerk
delete user name=clerk
delete user name=clerk
delete vhost name=shop
delete vhost name=shop
import FILE
list queues vhost name durable arguments
list exchanges vhost name type
list policies vhost name definition
list permissions user vhost configure
list vhosts name
list users name tags
close connection name=nothing
delete queue name=paid
delete exchange name=orders
delete policy name=ttl
delete operator_policy name=max
delete user name=clerk
delete user name=nobody
delete vhost name=shop
"""


def main() -> int:
    """Compare every command's answer with what RabbitMQ gave."""
    args = arguments(__doc__).parse_args()
    script = rabbitmqadmin()
    if args.record:
        RECORDED.write_text(transcript(script, args.record))
        return 0
    with broker_under_test(args.binary, "rabbitmqadmin") as url:
        answered = transcript(script, url)
    return compare(RECORDED, answered, DIFFERENCES)


def transcript(script: Path, url: str) -> str:
    """Every command, and below it its exit code and what it printed."""
    parts = urlsplit(url)
    with tempfile.TemporaryDirectory() as scratch:
        file = str(Path(scratch) / "definitions.json")
        names = {"FILE": file, "URL": url, "HOST": f"{parts.hostname}:{parts.port}"}

        def run(line: str) -> tuple[int, str]:
            words = [file if word == "FILE" else word for word in line.split(" ")]
            command = [sys.executable, "-W", "ignore", script, "--format=tsv"]
            command += [f"--host={parts.hostname}", f"--port={parts.port}", *words]
            return run_command(command, names)

        return play(COMMANDS, run)


def rabbitmqadmin() -> Path:
    """The script: as it is installed, or out of Debian's package."""
    installed = Path("/usr/bin/rabbitmqadmin")
    if installed.is_file():
        return installed

    def build(target: Path) -> None:
        subprocess.run(
            ["apt-get", "--quiet=2", "download", "rabbitmq-server"], cwd=target, check=True
        )
        [package] = target.glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, target], check=True)

    unpacked = built_once(cache_dir() / "rabbitmqadmin", [b"1"], build)
    [script] = unpacked.glob("usr/lib/rabbitmq/lib/*/plugins/*/priv/www/cli/rabbitmqadmin")
    return script


if __name__ == "__main__":
    sys.exit(main())
