//! Declaring queues and exchanges, finding them again, deleting them.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_queue_is_declared_once_and_found_again() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-max-length: 10}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q durable arguments={x-max-length: 10}
        a1 < queue.declare-ok queue=q
        # The width of an integer is not compared.
        a1 > queue.declare queue=q durable arguments={x-max-length: 10l}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > queue.declare queue=q passive
        a1 < queue.declare-ok queue=q message_count=1
        # A passive declaration does not compare anything.
        b1 > queue.declare queue=q passive exclusive auto_delete arguments={x-max-length: 7}
        b1 < queue.declare-ok queue=q message_count=1
    "#]])
}

#[test]
fn a_queue_that_was_declared_otherwise_is_not_the_same() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'" class_id=50 method_id=10
        a1 > queue.declare queue=q durable auto_delete
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'" class_id=50 method_id=10
        a1 > queue.declare queue=q durable exclusive
        a1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-max-length: 10}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received the value '10' of type 'signedint' but current is none" class_id=50 method_id=10
        a1 > queue.declare queue=limited arguments={x-max-length: 10}
        a1 < queue.declare-ok queue=limited
        a1 > queue.declare queue=limited arguments={x-max-length: 11}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'limited' in vhost '/': received '11' but current is '10'" class_id=50 method_id=10
        a1 > queue.declare queue=limited
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'limited' in vhost '/': received none but current is the value '10' of type 'signedint'" class_id=50 method_id=10
        # An argument that no queue knows is not compared.
        a1 > queue.declare queue=limited arguments={x-max-length: 10, x-colour: "red"}
        a1 < queue.declare-ok queue=limited
    "#]])
}

#[test]
fn an_exchange_that_was_declared_otherwise_is_not_the_same() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=direct durable
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=x type=direct durable
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=x type=fanout durable
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'direct'" class_id=40 method_id=10
        a1 > exchange.declare exchange=x type=direct
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'" class_id=40 method_id=10
        a1 > exchange.declare exchange=x type=direct durable auto_delete
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'auto_delete' for exchange 'x' in vhost '/': received 'true' but current is 'false'" class_id=40 method_id=10
        a1 > exchange.declare exchange=x type=direct durable internal
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'" class_id=40 method_id=10
        a1 > exchange.declare exchange=x type=direct durable arguments={alternate-exchange: "y"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value 'y' of type 'longstr' but current is none" class_id=40 method_id=10
        a1 > exchange.declare exchange=x type=direct durable arguments={colour: "red"}
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=x type=nonsense passive
        a1 < exchange.declare-ok
    "#]])
}

#[test]
fn the_server_makes_up_names() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare
        a1 < queue.declare-ok queue=amq.gen-$1
        a1 > queue.declare exclusive
        a1 < queue.declare-ok queue=amq.gen-$2
        a1 > basic.consume queue=amq.gen-$1
        a1 < basic.consume-ok consumer_tag=amq.ctag-$3
        a1 > basic.publish routing_key=amq.gen-$1 "hello"
        a1 < basic.deliver consumer_tag=amq.ctag-$3 delivery_tag=1 routing_key=amq.gen-$1 "hello"
    "#]])
}

#[test]
fn a_declarer_may_say_what_a_made_up_name_begins_with() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare arguments={x-name-prefix: "orders"}
        a1 < queue.declare-ok queue=orders-$1
        # It is for the name alone, and no argument of the queue.
        a1 > queue.declare queue=orders-$1 arguments={}
        a1 < queue.declare-ok queue=orders-$1
        a1 > queue.declare arguments={x-name-prefix: "0123456789012345678901234567890123456789012345678901234567890123-"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Queue name prefix '0123456789012345678901234567890123456789012345678901234567890123-' exceeds the 64-byte limit" class_id=50 method_id=10
        a1 > queue.declare arguments={x-name-prefix: "amq.orders"}
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - queue name prefix 'amq.orders' contains reserved prefix 'amq.*'" class_id=50 method_id=10
        a1 > queue.declare arguments={x-name-prefix: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-name-prefix'" class_id=50 method_id=10
    "#]])
}

#[test]
fn an_empty_name_is_the_queue_that_was_declared_last() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=first
        a1 < queue.declare-ok queue=first
        a1 > queue.declare queue=second
        a1 < queue.declare-ok queue=second
        # An empty routing key is the queue's name, too.
        a1 > queue.bind exchange=amq.direct
        a1 < queue.bind-ok
        a1 > basic.publish exchange=amq.direct routing_key=second "hello"
        a1 > basic.get no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=amq.direct routing_key=second "hello"
        a1 > queue.unbind exchange=amq.direct
        a1 < queue.unbind-ok
        a1 > queue.purge
        a1 < queue.purge-ok
        a1 > basic.consume consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        # A passive declaration counts.
        a1 > queue.declare queue=first passive
        a1 < queue.declare-ok queue=first
        a1 > queue.delete
        a1 < queue.delete-ok
        # It is gone, and still the last one.
        a1 > queue.purge
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'first' in vhost '/'" class_id=50 method_id=30
        # Another channel knows nothing of it.
        a2 > queue.purge
        a2 < channel.close reply_code=404 reply_text="NOT_FOUND - no previously declared queue" class_id=50 method_id=30
        # Whoever asks for a queue without a name does not mean the last one.
        a3 > queue.declare queue=third
        a3 < queue.declare-ok queue=third
        a3 > queue.declare passive
        a3 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue '' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn nothing_is_answered_to_who_does_not_want_to_wait() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=direct no_wait
        a1 > queue.declare queue=q no_wait
        a1 > queue.bind queue=q exchange=x routing_key=k no_wait
        a1 > exchange.bind source=x destination=amq.fanout routing_key=k no_wait
        a1 > basic.consume queue=q consumer_tag=c no_ack no_wait
        a1 > confirm.select no_wait
        a1 > basic.publish exchange=x routing_key=k "hello"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 exchange=x routing_key=k "hello"
        a1 < basic.ack delivery_tag=1
        b1 > queue.declare queue=q passive
        b1 < queue.declare-ok queue=q consumer_count=1
        a1 > basic.cancel consumer_tag=c no_wait
        a1 > exchange.unbind source=x destination=amq.fanout routing_key=k no_wait
        a1 > queue.purge queue=q no_wait
        a1 > queue.delete queue=q no_wait
        a1 > exchange.delete exchange=x no_wait
        a < nothing
        a1 > queue.declare queue=q passive no_wait
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn what_is_deleted_is_gone_and_deleting_it_again_is_no_error() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > queue.delete queue=q
        a1 < queue.delete-ok message_count=2
        a1 > queue.delete queue=q
        a1 < queue.delete-ok
        a1 > exchange.declare exchange=x type=fanout
        a1 < exchange.declare-ok
        a1 > exchange.delete exchange=x
        a1 < exchange.delete-ok
        a1 > exchange.delete exchange=x
        a1 < exchange.delete-ok
        a1 > queue.delete queue=never if_unused if_empty
        a1 < queue.delete-ok
    "#]])
}

#[test]
fn what_is_in_use_may_be_spared() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > queue.delete queue=q if_empty
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - queue 'q' in vhost '/' not empty" class_id=50 method_id=40
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 > queue.delete queue=q if_unused
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - queue 'q' in vhost '/' in use" class_id=50 method_id=40
        b1 > basic.ack delivery_tag=1
        b1 > basic.cancel consumer_tag=c
        b1 < basic.cancel-ok consumer_tag=c
        a1 > queue.delete queue=q if_unused if_empty
        a1 < queue.delete-ok
        a1 > exchange.declare exchange=x type=fanout
        a1 < exchange.declare-ok
        a1 > exchange.bind source=x destination=amq.fanout
        a1 < exchange.bind-ok
        a1 > exchange.delete exchange=x if_unused
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - exchange 'x' in vhost '/' in use" class_id=40 method_id=20
        # A destination is not in use.
        a1 > exchange.declare exchange=y type=fanout
        a1 < exchange.declare-ok
        a1 > exchange.bind source=x destination=y
        a1 < exchange.bind-ok
        a1 > exchange.delete exchange=y if_unused
        a1 < exchange.delete-ok
    "#]])
}

#[test]
fn purging_leaves_what_was_delivered() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=2 "one"
        a1 > queue.purge queue=q
        a1 < queue.purge-ok message_count=2
        a1 > basic.reject delivery_tag=1 requeue
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 redelivered routing_key=q "one"
    "#]])
}

#[test]
fn every_virtual_host_has_its_exchanges() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=amq.direct type=direct durable
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=amq.fanout type=fanout durable
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=amq.topic type=topic durable
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=amq.headers type=headers durable
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=amq.match type=headers durable
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=amq.rabbitmq.trace type=topic durable internal
        a1 < exchange.declare-ok
        a1 > access.request realm=/data active
        a1 < access.request-ok ticket=1
    "#]])
}

#[test]
fn a_quorum_queue_is_deleted_without_conditions() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum"}
        a1 < queue.declare-ok queue=q
        b1 > queue.delete queue=q if_unused if_empty
        b < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - cannot delete queue 'q' in vhost '/'. queue.delete operations with if-unused flag set are not supported by quorum queues" class_id=50 method_id=40
        c1 > queue.delete queue=q if_empty
        c < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - cannot delete queue 'q' in vhost '/'. queue.delete operations with if-empty flag set are not supported by quorum queues" class_id=50 method_id=40
        a1 > queue.delete queue=q
        a1 < queue.delete-ok
    "#]])
}
