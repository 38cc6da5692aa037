//! Misuse, and what is said to it: code, text, and whether it ends the channel or the connection. Clients compare them.

use expect_test::expect;

use crate::script::check;

#[test]
fn what_does_not_exist_is_not_found() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.publish exchange=none routing_key=k "hello"
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'none' in vhost '/'" class_id=60 method_id=40
        a1 > exchange.declare exchange=none type=direct passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'none' in vhost '/'" class_id=40 method_id=10
        a1 > queue.declare queue=none passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'none' in vhost '/'" class_id=50 method_id=10
        a1 > queue.bind queue=none exchange=amq.direct
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'none' in vhost '/'" class_id=50 method_id=20
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=none
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'none' in vhost '/'" class_id=50 method_id=20
        a1 > queue.bind queue=none exchange=nowhere
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'nowhere' in vhost '/'" class_id=50 method_id=20
        a1 > queue.unbind queue=none exchange=amq.direct
        a1 < queue.unbind-ok
        a1 > exchange.bind source=none destination=amq.fanout
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'none' in vhost '/'" class_id=40 method_id=30
        a1 > exchange.bind source=amq.fanout destination=none
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'none' in vhost '/'" class_id=40 method_id=30
        a1 > exchange.unbind source=none destination=amq.fanout
        a1 < exchange.unbind-ok
        a1 > basic.consume queue=none
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'none' in vhost '/'" class_id=60 method_id=20
        a1 > basic.get queue=none
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'none' in vhost '/'" class_id=60 method_id=70
        a1 > queue.purge queue=none
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'none' in vhost '/'" class_id=50 method_id=30
        a1 > basic.get
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no previously declared queue" class_id=60 method_id=70
        a1 > basic.consume
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no previously declared queue" class_id=60 method_id=20
        a1 > queue.bind exchange=amq.direct routing_key=k
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no previously declared queue" class_id=50 method_id=20
    "#]])
}

#[test]
fn names_with_the_prefix_of_the_broker_are_reserved() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=amq.mine type=direct
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'" class_id=40 method_id=10
        a1 > queue.declare queue=amq.mine
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'" class_id=50 method_id=10
        a1 > exchange.delete exchange=amq.direct
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed" class_id=40 method_id=20
        # Asking for one is allowed.
        a1 > queue.declare queue=amq.mine passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'amq.mine' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn the_default_exchange_is_not_to_be_touched() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > exchange.declare type=direct
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=40 method_id=10
        a1 > exchange.declare type=direct passive
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=40 method_id=10
        a1 > exchange.delete
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=40 method_id=20
        a1 > queue.bind queue=q routing_key=k
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=50 method_id=20
        a1 > queue.unbind queue=q routing_key=k
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=50 method_id=50
        a1 > exchange.bind destination=amq.fanout
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=40 method_id=30
        a1 > exchange.bind source=amq.fanout
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=40 method_id=30
        a1 > exchange.unbind source=amq.fanout
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - operation not permitted on the default exchange" class_id=40 method_id=40
    "#]])
}

#[test]
fn an_exchange_of_an_unknown_type_cannot_be_made() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=nonsense
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown exchange type 'nonsense'" class_id=40 method_id=10
    "#]])
}

#[test]
fn an_internal_exchange_takes_nothing_from_clients() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=fanout internal
        a1 < exchange.declare-ok
        a1 > basic.publish exchange=x "hello"
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - cannot publish to internal exchange 'x' in vhost '/'" class_id=60 method_id=40
    "#]])
}

#[test]
fn an_exclusive_queue_is_for_its_connection_alone() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q exclusive
        a1 < queue.declare-ok queue=q
        b1 > queue.declare queue=q exclusive
        b1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=50 method_id=10
        b1 > queue.declare queue=q passive
        b1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=50 method_id=10
        b1 > queue.bind queue=q exchange=amq.fanout
        b1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=50 method_id=20
        b1 > basic.consume queue=q
        b1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=60 method_id=20
        b1 > basic.get queue=q
        b1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=60 method_id=70
        b1 > queue.purge queue=q
        b1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=50 method_id=30
        b1 > queue.delete queue=q
        b1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration." class_id=50 method_id=40
        # Whoever knows its name may publish to it.
        b1 > basic.publish routing_key=q "hello"
        b < nothing
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q "hello"
    "#]])
}

#[test]
fn arguments_of_queues_have_types_and_bounds() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-length: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'q' in vhost '/': {value_negative,-1}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-length: "ten"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-message-ttl: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-message-ttl: true}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'q' in vhost '/': \"expected integer, got bool\"" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-expires: 0}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-expires: -5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': {value_negative,-5}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-priority: 256}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '/': {max_value_exceeded,256}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-priority: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '/': {value_negative,-1}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-overflow: "spill"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-overflow' for queue 'q' in vhost '/': invalid_overflow" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: 7}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-dead-letter-routing-key: "k"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost '/': routing_key_but_no_dlx_defined" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-single-active-consumer: 1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-single-active-consumer' for queue 'q' in vhost '/': {unacceptable_type,signedint}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-queue-type: "pile"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'q' in vhost '/': \"unsupported queue type 'pile'\"" class_id=50 method_id=10
    "#]])
}

#[test]
fn an_unknown_delivery_tag_ends_the_channel() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.ack delivery_tag=5
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 5" class_id=60 method_id=80
        a1 > basic.nack delivery_tag=5
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 5" class_id=60 method_id=120
        a1 > basic.reject delivery_tag=5
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 5" class_id=60 method_id=90
        a1 > basic.ack delivery_tag=5 multiple
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 5" class_id=60 method_id=80
        # All of nothing is nothing to complain about.
        a1 > basic.ack delivery_tag=0 multiple
        a < nothing
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "hello"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "hello"
        a1 > basic.ack delivery_tag=1
        a1 > basic.ack delivery_tag=1
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 1" class_id=60 method_id=80
    "#]])
}

#[test]
fn properties_that_the_broker_looks_at_have_to_be_right() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "hello" expiration=soon
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid expiration 'soon': no_integer" class_id=60 method_id=40
        a1 > basic.publish routing_key=q "hello" expiration=10s
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid expiration '10s': {leftover_string,\"s\"}" class_id=60 method_id=40
        a1 > basic.publish routing_key=q "hello" expiration=""
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid expiration '': no_integer" class_id=60 method_id=40
        a1 > basic.publish routing_key=q "hello" expiration=-1
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid expiration '-1': {value_negative,-1}" class_id=60 method_id=40
        a1 > basic.publish routing_key=q "hello" expiration=315360000001
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid expiration '315360000001': {value_too_large,315360000001}" class_id=60 method_id=40
        a1 > basic.publish routing_key=q "hello" user_id=somebody
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest'" class_id=60 method_id=40
        # Nothing of all this was taken.
        a1 > basic.publish routing_key=q "hello" user_id=guest expiration=315360000000
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q "hello" expiration=315360000000 user_id=guest
        a1 > basic.publish routing_key=q "hello" expiration=+100000
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "hello" expiration=+100000
        a1 > basic.consume queue=q arguments={x-priority: "high"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=60 method_id=20
    "#]])
}

#[test]
fn a_channel_has_transactions_or_confirms() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > tx.commit
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - channel is not transactional" class_id=90 method_id=20
        a1 > tx.rollback
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - channel is not transactional" class_id=90 method_id=30
        a1 > tx.select
        a1 < tx.select-ok
        a1 > confirm.select
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - cannot switch from tx to confirm mode" class_id=85 method_id=10
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > tx.select
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - cannot switch from confirm to tx mode" class_id=90 method_id=10
    "#]])
}

#[test]
fn a_delivery_mode_is_1_or_2() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one" delivery_mode=1
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 > basic.publish routing_key=q "three" delivery_mode=7
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,7}" class_id=60 method_id=40
        # Also behind other properties, and if nobody takes it.
        a1 > basic.publish routing_key=nowhere mandatory "four" content_type="text/plain" headers={n: 1} delivery_mode=0
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,0}" class_id=60 method_id=40
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish routing_key=q "five" delivery_mode=255
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,255}" class_id=60 method_id=40
        # What is wrong with the exchange is said first.
        a1 > basic.publish exchange=nope "six" delivery_mode=7
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'nope' in vhost '/'" class_id=60 method_id=40
        a1 > basic.publish exchange=nope "seven" expiration=soon
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'nope' in vhost '/'" class_id=60 method_id=40
        a1 > exchange.declare exchange=within type=fanout internal
        a1 < exchange.declare-ok
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish exchange=within "eight" delivery_mode=7
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - cannot publish to internal exchange 'within' in vhost '/'" class_id=60 method_id=40
        a1 > queue.delete queue=q
        a1 < queue.delete-ok message_count=2
    "#]])
}

#[test]
fn a_headers_binding_has_a_known_mode() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=q exchange=amq.headers arguments={x-match: "some"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or any-with-x" class_id=50 method_id=20
        a1 > queue.bind queue=q exchange=amq.headers arguments={x-match: 1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr" class_id=50 method_id=20
    "#]])
}

#[test]
fn a_consumer_has_its_tag_for_itself() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        # Another channel has its own.
        a2 > basic.consume queue=q consumer_tag=c
        a2 < basic.consume-ok consumer_tag=c
        a1 > basic.consume queue=q consumer_tag=c
        a < connection.close reply_code=530 reply_text="NOT_ALLOWED - attempt to reuse consumer tag 'c'" class_id=60 method_id=20
    "#]])
}

#[test]
fn what_the_broker_does_not_do_ends_the_connection() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.publish routing_key=q immediate "hello"
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - immediate=true" class_id=60 method_id=40
        a1 > basic.qos prefetch_size=1
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - prefetch_size!=0 (1)" class_id=60 method_id=10
        a1 > basic.recover
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - requeue=false" class_id=60 method_id=110
        a1 > basic.recover-async
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - requeue=false" class_id=60 method_id=100
        a1 > channel.flow
        a < connection.close reply_code=540 reply_text="NOT_IMPLEMENTED - active=false" class_id=20 method_id=20
    "#]])
}

#[test]
fn flow_may_be_asked_for() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > channel.flow active
        a1 < channel.flow-ok active
    "#]])
}

#[test]
fn channels_are_opened_once() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > channel.open
        a1 < channel.open-ok
        a1 > channel.open
        a < connection.close reply_code=504 reply_text="CHANNEL_ERROR - second 'channel.open' seen" class_id=20 method_id=10
    "#]])
}

#[test]
fn an_exclusive_consumer_is_alone() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c exclusive
        a1 < basic.consume-ok consumer_tag=c
        b1 > basic.consume queue=q consumer_tag=d
        b1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use" class_id=60 method_id=20
        b1 > basic.consume queue=q consumer_tag=d exclusive
        b1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use" class_id=60 method_id=20
        a1 > basic.cancel consumer_tag=c
        a1 < basic.cancel-ok consumer_tag=c
        b1 > basic.consume queue=q consumer_tag=d
        b1 < basic.consume-ok consumer_tag=d
        # Too late to be alone.
        a1 > basic.consume queue=q consumer_tag=c exclusive
        a1 < channel.close reply_code=403 reply_text="ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use" class_id=60 method_id=20
    "#]])
}

#[test]
fn a_method_that_only_a_server_says_ends_the_connection() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare-ok queue=q
        a < connection.close reply_code=503 reply_text="COMMAND_INVALID - unimplemented method" class_id=50 method_id=11
        a1 > basic.get-empty
        a < connection.close reply_code=503 reply_text="COMMAND_INVALID - unimplemented method" class_id=60 method_id=72
    "#]])
}

#[test]
fn a_connection_is_opened_once() -> anyhow::Result<()> {
    check(&expect![[r#"
        a0 > connection.open virtual_host=/
        a < connection.close reply_code=504 reply_text="CHANNEL_ERROR - unexpected method in connection state running" class_id=10 method_id=40
    "#]])
}

#[test]
fn the_connection_s_methods_belong_on_channel_0() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > connection.close reply_code=200
        a < connection.close reply_code=503 reply_text="COMMAND_INVALID - unimplemented method" class_id=10 method_id=50
    "#]])
}
