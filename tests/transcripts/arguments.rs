//! The arguments of `queue.declare`: which types of queues take them, what values they have, and what must be repeated.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_classic_queue_takes_all_of_its_arguments() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "classic", x-expires: 600000, x-message-ttl: 60000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "k", x-max-length: 10, x-max-length-bytes: 1000, x-overflow: "reject-publish-dlx", x-max-priority: 5, x-single-active-consumer: true, x-queue-mode: "lazy", x-queue-version: 2, x-queue-master-locator: "client-local"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        # To say nothing of the type is to say classic.
        a1 > queue.declare queue=q durable arguments={x-expires: 600000, x-message-ttl: 60000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "k", x-max-length: 10, x-max-length-bytes: 1000, x-overflow: "reject-publish-dlx", x-max-priority: 5, x-single-active-consumer: true, x-queue-mode: "lazy", x-queue-version: 2, x-queue-master-locator: "client-local"}
        a1 < queue.declare-ok queue=q
    "#]])
}

#[test]
fn a_quorum_queue_takes_all_of_its_arguments() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-expires: 600000, x-message-ttl: 60000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "k", x-dead-letter-strategy: "at-least-once", x-max-length: 10, x-max-length-bytes: 1000, x-overflow: "reject-publish", x-single-active-consumer: true, x-delivery-limit: 5, x-queue-leader-locator: "client-local", x-quorum-initial-group-size: 1, x-max-in-memory-length: 5, x-max-in-memory-bytes: 500}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        # It has one consumer at a time, and nobody gets a message beside that.
        a1 > basic.get queue=q no_ack
        a1 < channel.close reply_code=405 reply_text="RESOURCE_LOCKED - cannot obtain access to locked queue 'q' in vhost '/'. basic.get operations are not supported by quorum queues with single active consumer" class_id=60 method_id=70
    "#]])
}

#[test]
fn a_quorum_queue_takes_what_came_later() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-consumer-timeout: 600000, x-consumer-disconnected-timeout: 60000, x-quorum-target-group-size: 3, x-member-placement-tag: "zone", x-delayed-retry-type: "failed", x-delayed-retry-min: 100, x-delayed-retry-max: 200}
        a1 < queue.declare-ok queue=q
    "#]])
}

#[test]
fn a_stream_takes_all_of_its_arguments() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-max-length-bytes: 1000000, x-max-age: "7D", x-stream-max-segment-size-bytes: 100000, x-initial-cluster-size: 1, x-queue-leader-locator: "client-local"}
        a1 < queue.declare-ok queue=s
    "#]])
}

#[test]
fn an_argument_of_another_type_is_refused() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-max-priority: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-queue-mode: "lazy"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-dead-letter-strategy: "at-least-once"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-dead-letter-strategy' for queue 'q' in vhost '/' of queue type rabbit_classic_queue" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-age: "7D"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-age' for queue 'q' in vhost '/' of queue type rabbit_classic_queue" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-in-memory-length: 7}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-in-memory-length' for queue 'q' in vhost '/' of queue type rabbit_classic_queue" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-expires: 1000}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-expires' for queue 's' in vhost '/' of queue type rabbit_stream_queue" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-message-ttl: 1000}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 's' in vhost '/' of queue type rabbit_stream_queue" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-dead-letter-exchange: "x"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-dead-letter-exchange' for queue 's' in vhost '/' of queue type rabbit_stream_queue" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-max-length: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 's' in vhost '/' of queue type rabbit_stream_queue" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-overflow: "drop-head"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-overflow' for queue 's' in vhost '/' of queue type rabbit_stream_queue" class_id=50 method_id=10
    "#]])
}

#[test]
fn a_queue_that_is_replicated_or_a_log_is_durable_and_shared() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-queue-type: "quorum"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'non-durable' for queue 'q' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=q durable exclusive arguments={x-queue-type: "quorum"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'exclusive-owner' for queue 'q' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=q durable auto_delete arguments={x-queue-type: "quorum"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'auto-delete' for queue 'q' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=s arguments={x-queue-type: "stream"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'non-durable' for queue 's' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=s durable exclusive arguments={x-queue-type: "stream"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'exclusive-owner' for queue 's' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare queue=s durable auto_delete arguments={x-queue-type: "stream"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid property 'auto-delete' for queue 's' in vhost '/'" class_id=50 method_id=10
        a1 > queue.declare durable arguments={x-queue-type: "quorum"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_quorum_queue" class_id=50 method_id=10
        a1 > queue.declare durable arguments={x-queue-type: "stream"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Cannot declare a server-named queue for type rabbit_stream_queue" class_id=50 method_id=10
    "#]])
}

#[test]
fn every_value_has_its_range() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-ttl: 315360000001l}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_too_large,315360000001}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-expires: 315360000001l}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': {value_too_large,315360000001}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-expires: "soon"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-expires' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-length-bytes: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-length-bytes' for queue 'q' in vhost '/': {value_negative,-1}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-length-bytes: "many"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-length-bytes' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-max-priority: "high"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-overflow: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-overflow' for queue 'q' in vhost '/': {unacceptable_type,signedint}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "", x-dead-letter-routing-key: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost '/': {unacceptable_type,signedint}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-queue-type: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'q' in vhost '/': {unacceptable_type,signedint}" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-dead-letter-strategy: "perhaps"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-dead-letter-strategy' for queue 'q' in vhost '/': invalid_dlx_strategy" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-quorum-initial-group-size: 0}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-quorum-initial-group-size' for queue 'q' in vhost '/': {value_zero,0}" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-queue-leader-locator: "anywhere"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-leader-locator' for queue 'q' in vhost '/': invalid_queue_locator_arg" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-max-age: "7"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-age' for queue 's' in vhost '/': invalid_max_age" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-max-age: "7X"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-age' for queue 's' in vhost '/': invalid_max_age" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-stream-max-segment-size-bytes: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-stream-max-segment-size-bytes' for queue 's' in vhost '/': {value_negative,-1}" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-max-length-bytes: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-length-bytes' for queue 's' in vhost '/': {value_negative,-1}" class_id=50 method_id=10
    "#]])
}

#[test]
fn what_came_later_has_its_range_too() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-consumer-timeout: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-consumer-timeout' for queue 'q' in vhost '/': {value_negative,-1}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-queue-version: 3}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-version' for queue 'q' in vhost '/': \"unsupported queue version '3'\"" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-consumer-disconnected-timeout: "long"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-consumer-disconnected-timeout' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-stream-filter-size-bytes: 15}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Invalid value for x-stream-filter-size-bytes" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "stream", x-initial-cluster-size: 0}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-initial-cluster-size' for queue 's' in vhost '/': {value_zero,0}" class_id=50 method_id=10
    "#]])
}

#[test]
fn what_a_queue_was_declared_with_must_be_repeated() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-expires: 600000}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q arguments={x-expires: 600001}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-expires' for queue 'q' in vhost '/': received '600001' but current is '600000'" class_id=50 method_id=10
        a1 > queue.declare queue=r arguments={x-message-ttl: 600000}
        a1 < queue.declare-ok queue=r
        a1 > queue.declare queue=r
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'r' in vhost '/': received none but current is the value '600000' of type 'signedint'" class_id=50 method_id=10
        a1 > queue.declare queue=s arguments={x-dead-letter-exchange: "x"}
        a1 < queue.declare-ok queue=s
        a1 > queue.declare queue=s arguments={x-dead-letter-exchange: "y"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 's' in vhost '/': received 'y' but current is 'x'" class_id=50 method_id=10
        a1 > queue.declare queue=t arguments={x-dead-letter-exchange: "x", x-dead-letter-routing-key: "k"}
        a1 < queue.declare-ok queue=t
        a1 > queue.declare queue=t arguments={x-dead-letter-exchange: "x"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-routing-key' for queue 't' in vhost '/': received none but current is the value 'k' of type 'longstr'" class_id=50 method_id=10
        a1 > queue.declare queue=u arguments={x-max-length-bytes: 10}
        a1 < queue.declare-ok queue=u
        a1 > queue.declare queue=u arguments={x-max-length-bytes: 11}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-max-length-bytes' for queue 'u' in vhost '/': received '11' but current is '10'" class_id=50 method_id=10
        a1 > queue.declare queue=v arguments={x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=v
        a1 > queue.declare queue=v arguments={x-overflow: "drop-head"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-overflow' for queue 'v' in vhost '/': received 'drop-head' but current is 'reject-publish'" class_id=50 method_id=10
        a1 > queue.declare queue=w arguments={x-max-priority: 5}
        a1 < queue.declare-ok queue=w
        a1 > queue.declare queue=w arguments={x-max-priority: 6}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-max-priority' for queue 'w' in vhost '/': received '6' but current is '5'" class_id=50 method_id=10
        a1 > queue.declare queue=x arguments={x-single-active-consumer: true}
        a1 < queue.declare-ok queue=x
        a1 > queue.declare queue=x arguments={x-single-active-consumer: false}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-single-active-consumer' for queue 'x' in vhost '/': received 'false' but current is 'true'" class_id=50 method_id=10
    "#]])
}

#[test]
fn to_say_nothing_of_the_type_is_to_say_classic() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q durable arguments={x-queue-type: "classic"}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'" class_id=50 method_id=10
    "#]])
}

#[test]
fn also_what_came_later() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-consumer-timeout: 600000}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q arguments={x-consumer-timeout: 600001}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-consumer-timeout' for queue 'q' in vhost '/': received '600001' but current is '600000'" class_id=50 method_id=10
        a1 > queue.declare queue=r durable arguments={x-queue-type: "quorum", x-delivery-limit: 5}
        a1 < queue.declare-ok queue=r
        a1 > queue.declare queue=r durable arguments={x-queue-type: "quorum", x-delivery-limit: 6}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'r' in vhost '/': received '6' but current is '5'" class_id=50 method_id=10
        a1 > queue.declare queue=s durable arguments={x-queue-type: "quorum", x-delayed-retry-type: "all", x-delayed-retry-min: 100}
        a1 < queue.declare-ok queue=s
        a1 > queue.declare queue=s durable arguments={x-queue-type: "quorum", x-delayed-retry-type: "all", x-delayed-retry-min: 200}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-delayed-retry-min' for queue 's' in vhost '/': received '200' but current is '100'" class_id=50 method_id=10
    "#]])
}

#[test]
fn whether_a_type_has_an_argument_is_asked_before_its_value() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "stream", x-max-length: -1}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-length' for queue 'q' in vhost '/' of queue type rabbit_stream_queue" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-max-priority: 256}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-queue-mode: "fast"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'q' in vhost '/' of queue type rabbit_quorum_queue" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-dead-letter-strategy: "perhaps"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-dead-letter-strategy' for queue 'q' in vhost '/' of queue type rabbit_classic_queue" class_id=50 method_id=10
    "#]])
}

#[test]
fn modes_types_and_sizes_that_there_are_not() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-mode: "fast"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'q' in vhost '/': \"unsupported queue mode 'fast'\"" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-mode: 5}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-mode' for queue 'q' in vhost '/': {unacceptable_type,signedint}" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: ""}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue 'q' in vhost '/': \"unsupported queue type ''\"" class_id=50 method_id=10
        a1 > queue.declare queue=q durable arguments={x-queue-type: "stream", x-stream-max-segment-size-bytes: 3000000001l}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - Exceeded max value for x-stream-max-segment-size-bytes" class_id=50 method_id=10
    "#]])
}
