#!/usr/bin/env python3
"""RabbitMQ's `rabbitmqadmin` version 2 at this broker: it gets the answers that RabbitMQ gave.

What RabbitMQ 3.10.8 answered is in `rabbitmqadmin_v2.txt`; `--record URL` asks one again, which must be new. The tool is built from crates.io, once.
"""

import re
import shlex
import socket
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

RECORDED = Path(__file__).with_name("rabbitmqadmin_v2.txt")
VERSION = "2.35.0"

# What is otherwise here, and why.
OLDER = "3.10 does not have what this version of the tool asks for"
SHOWN_EARLIER = "virtual hosts show the type of queue that is declared without one, and whether they are protected, as later versions do"
SAYS_WHY = "the refusal says why, where 3.10 has a general text or none that the tool reads"
ERLANG = "patterns that make no sense are told in words, where RabbitMQ prints terms"
DIFFERENCES = {
    "show overview": "another product, without Erlang",
    "show churn": "RabbitMQ opens channels of its own, and counts them; this broker is new",
    "vhosts list": SHOWN_EARLIER,
    "vhosts enable_deletion_protection --name spare": OLDER,
    "vhosts disable_deletion_protection --name spare": OLDER,
    "declare permissions --username clerk --configure ( --write .* --read .*": ERLANG,
    "declare exchange --name odd --type nothing": "the text is RabbitMQ 4's",
    "declare exchange --name amq.mine --type direct": SAYS_WHY,
    "bindings list": "a binding with arguments has a longer key: it is the broker's own to choose",
    "declare policy --name odd --pattern ^p --apply-to queues --definition '{\"nothing\":1}'": "JSON needs no HTML in it",
    "declare policy --name odd --pattern ( --apply-to queues --definition '{\"message-ttl\":1}'": ERLANG,
    "policies list": "policies are listed by name",
    "declare user_limit --username stranger --name max-connections --value 5": SAYS_WHY,
    "global_parameters list": "one node needs no identity of a cluster",
    "nodes list": OLDER,
    "nodes memory_breakdown_in_bytes --node NODE": OLDER,
    "nodes memory_breakdown_in_percent --node NODE": OLDER,
    "show memory_breakdown_in_bytes --node NODE": OLDER,
    "plugins list_all": OLDER,
    "plugins list_on_node --node NODE": OLDER,
    "feature_flags list": "those of RabbitMQ's that mean something here",
    "deprecated_features list": OLDER,
    "deprecated_features list_used": OLDER,
    "list deprecated_features": OLDER,
    "shovels list": "there are no shovels, of which every path says the same",
    "--username clerk --password test12 --vhost shop declare queue --name d1": SAYS_WHY,
}

COMMANDS = """
show endpoint
show overview
show churn
declare vhost --name shop --description orders --default-queue-type classic
declare vhost --name shop --description orders --default-queue-type classic
declare vhost --name spare
vhosts list
vhosts enable_deletion_protection --name spare
vhosts disable_deletion_protection --name spare
passwords salt_and_hash secret
declare user --name clerk --password-hash kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR --tags management,policymaker
declare user --name nobody --password secret
declare user --name empty
users list
declare permissions --vhost shop --username clerk --configure ^c --write .* --read .*
declare permissions --vhost shop --username stranger --configure ^c --write .* --read .*
declare permissions --username clerk --configure ( --write .* --read .*
permissions list
users permissions
list permissions
declare exchange --name orders --type topic --durable true
declare exchange --name orders --type direct --durable true
declare exchange --name odd --type nothing
declare exchange --name inner --type fanout --durable false --auto-delete true
declare exchange --name amq.mine --type direct
declare queue --name paid --durable true --arguments '{"x-max-length":100}'
declare queue --name paid --durable true
declare queue --name sent --durable false --auto-delete true
declare queue --name bad --arguments '{"x-max-length":-1}'
declare queue --name quorum --type quorum
declare stream --name log --expiration 1D --max-length-bytes 1000000
streams declare --name log2 --expiration 1D
declare binding --source orders --destination-type queue --destination paid --routing-key order.paid
declare binding --source orders --destination-type exchange --destination inner --routing-key '#' --arguments '{"n":1}'
declare binding --source orders --destination-type queue --destination nothing --routing-key a
exchanges bind --source inner --destination-type queue --destination sent --routing-key x
exchanges list
queues list --columns name,durable,auto_delete,arguments,queue_type
queues show --name paid --columns name,durable,arguments,queue_type
queues show --name nothing
streams list --columns name,durable,queue_type
streams show --name log --columns name,durable,queue_type
bindings list
list consumers
list channels
list connections
channels list
connections list
connections list_of_user --username guest
users connections --username guest
connections close --name nothing
connections close --name nothing --idempotently
close user_connections --username nobody
publish message --exchange orders --routing-key order.paid --payload hello --properties '{"delivery_mode":2,"headers":{"a":1}}'
publish message --exchange orders --routing-key nobody --payload hello
publish message --exchange nothing --routing-key a --payload hello
publish message --routing-key paid --payload second
get messages --queue paid --ack-mode ack_requeue_true
get messages --queue paid --count 5 --ack-mode ack_requeue_false
get messages --queue paid
get messages --queue nothing
publish message --routing-key sent --payload waits
queues purge --name sent
purge queue --name nothing
declare policy --name ttl --pattern ^p --apply-to queues --priority 3 --definition '{"message-ttl":1000}'
declare policy --name ttl --pattern ^p --apply-to queues --definition '{"message-ttl":-1}'
declare policy --name odd --pattern ^p --apply-to queues --definition '{"nothing":1}'
declare policy --name odd --pattern ( --apply-to queues --definition '{"message-ttl":1}'
policies list
policies list_in
policies list_matching_object --name paid --type queues
policies list_matching_object --name other --type queues
policies list_conflicting
policies list_conflicting_in
policies declare_override --name ttl --override-name over --definition '{"max-length":5}'
policies declare_blanket --name blanket --apply-to queues --definition '{"max-length":1000}'
policies patch --name ttl --definition '{"max-length":7}'
policies update_definition --name ttl --definition-key max-length --new-value 8
policies update_definitions_of_all_in --definition-key max-length --new-value 9
policies delete_definition_keys --name ttl --definition-keys max-length
policies list
policies delete_definition_keys_from_all_in --definition-keys max-length
policies delete --name over
policies delete --name nothing
policies delete --name nothing --idempotently
declare operator_policy --name max --pattern .* --apply-to queues --definition '{"max-length":50}'
operator_policies patch --name max --definition '{"expires":100000}'
operator_policies update_definition --name max --definition-key expires --new-value 200000
operator_policies list_matching_object --name paid --type queues
operator_policies delete_definition_keys --name max --definition-keys expires
operator_policies list_in
list operator_policies
declare vhost_limit --vhost shop --name max-queues --value 5
declare vhost_limit --vhost nowhere --name max-queues --value 5
vhost_limits list --vhost shop
declare user_limit --username clerk --name max-connections --value 5
declare user_limit --username stranger --name max-connections --value 5
user_limits list --username clerk
users limits --username clerk
declare parameter --component nothing --name x --value 1
parameters list_all
parameters list --component operator_policy
parameters list_in --component operator_policy
parameters clear --component nothing --name x
global_parameters set --name motto --value '{"text":"hello"}'
global_parameters set --name plain --value '"hello"'
global_parameters clear --name plain
global_parameters clear --name plain
global_parameters list
health_check local_alarms
health_check cluster_wide_alarms
health_check node_is_quorum_critical
health_check deprecated_features_in_use
health_check port_listener --port 1
health_check protocol_listener --protocol amqp
health_check protocol_listener --protocol amqps
health_check protocol_listener --protocol http
nodes list
nodes memory_breakdown_in_bytes --node NODE
nodes memory_breakdown_in_percent --node NODE
nodes memory_breakdown_in_bytes --node nothing
show memory_breakdown_in_bytes --node NODE
auth_attempts stats --node NODE
plugins list_all
plugins list_on_node --node NODE
feature_flags list
feature_flags enable_all
feature_flags enable --name nothing
deprecated_features list
deprecated_features list_used
list deprecated_features
queues rebalance
rebalance queues
federation list_all_upstreams
federation list_all_links
shovels list_all
shovels list
--username clerk --password test12 --vhost shop declare queue --name c1
--username clerk --password test12 --vhost shop declare queue --name d1
--username clerk --password test12 users list
--username clerk --password test12 declare vhost --name mine
--username clerk --password wrong queues list --columns name
--username clerk --password test12 --vhost shop queues list --columns name
--vhost nowhere queues list --columns name
queues delete --name nothing
queues delete --name nothing --idempotently
exchanges delete --name nothing
bindings delete --source orders --destination-type queue --destination paid --routing-key order.paid
bindings delete --source orders --destination-type queue --destination paid --routing-key order.paid
exchanges unbind --source inner --destination-type queue --destination sent --routing-key x
bindings list
definitions export --file FILE
definitions export_from_vhost --vhost shop --file SHOP
export definitions --file OTHER
queues delete --name paid
exchanges delete --name orders
delete policy --name ttl
delete operator_policy --name max
delete vhost_limit --vhost shop --name max-queues
delete user_limit --username clerk --name max-connections
delete permissions --vhost shop --username clerk
delete permissions --vhost shop --username clerk
users delete --name clerk
users delete --name clerk
vhosts delete --name shop
vhosts delete --name shop
definitions import --file FILE
definitions import_into_vhost --vhost spare --file SHOP
import definitions --file OTHER
definitions import --file MISSING
queues list --columns vhost,name,durable,queue_type
--vhost spare queues list --columns vhost,name,durable,queue_type
exchanges list
policies list
operator_policies list
permissions list
vhosts list
users list
vhost_limits list --vhost shop
user_limits list --username clerk
queues delete_multiple --name-pattern ^qu --dry-run
queues delete_multiple --name-pattern ^qu --approve
vhosts delete_multiple --name-pattern ^sp --approve
queues delete --name paid
queues delete --name sent
streams delete --name log
delete stream --name log2
exchanges delete --name orders
exchanges delete --name inner
policies delete --name ttl
policies delete --name blanket
operator_policies delete --name max
delete user --name clerk
delete user --name nobody
delete user --name empty
delete vhost --name shop
global_parameters clear --name motto
"""


def main() -> int:
    """Compare every command's answer with what RabbitMQ gave."""
    parser = arguments(__doc__)
    parser.add_argument("--tool", type=Path, help="a rabbitmqadmin that is built already")
    parser.add_argument("--node", help="the name of the RabbitMQ's node", default="rabbit@localhost")
    args = parser.parse_args()
    tool = args.tool or built()
    if args.record:
        RECORDED.write_text(transcript(tool, args.record, args.node))
        return 0
    with broker_under_test(args.binary, "rabbitmqadmin_v2") as url:
        answered = transcript(tool, url, f"amphora@{socket.gethostname()}")
    return compare(RECORDED, answered, DIFFERENCES)


def transcript(tool: Path, url: str, node: str) -> str:
    """Every command, and below it its exit code and what it printed."""
    parts = urlsplit(url)
    with tempfile.TemporaryDirectory() as scratch:
        words_of = {name: f"{scratch}/{name.lower()}.json" for name in ("FILE", "SHOP", "OTHER", "MISSING")}
        words_of["NODE"] = node

        def run(line: str) -> tuple[int, str]:
            words = [words_of.get(word, word) for word in shlex.split(line)]
            where = ["--host", parts.hostname, "--port", str(parts.port)]
            login = [] if "--username clerk --password" in line else ["-u", "guest", "-p", "guest"]
            command = [tool, "--non-interactive", *where, *login, *words]
            # Without a configuration file of the user's.
            code, output = run_command(command, {"URL": url, **words_of}, env={"HOME": scratch})
            return code, plain(line, output)

        return play(COMMANDS, run)


def plain(line: str, output: str) -> str:
    """Without what is another time otherwise: the width of columns, salted hashes, how much memory is used."""
    output = re.sub(r" {2,}", "  ", output)
    output = re.sub(r"(?<![\w/+])[A-Za-z0-9+/]{48}(?![\w/+])", "HASH", output)
    output = re.sub(r"\$argon2id\$\S+", "HASH", output)
    if "memory_breakdown" in line or "auth_attempts" in line:
        output = re.sub(r"\b\d+(\.\d+)?%?", "N", output)
    return output


def built() -> Path:
    """The tool, built from its sources as quickly as can be."""

    def build(target: Path) -> None:
        options = ["profile.release.lto=false", "profile.release.opt-level=0", "profile.release.codegen-units=16"]
        command = ["cargo", "install", "rabbitmqadmin", "--version", VERSION, "--no-default-features", "--locked"]
        command += ["--root", str(target), *(f"--config={option}" for option in options)]
        subprocess.run(command, check=True)

    key = [VERSION.encode()]
    return built_once(cache_dir() / "rabbitmqadmin-v2", key, build) / "bin" / "rabbitmqadmin"


if __name__ == "__main__":
    sys.exit(main())
