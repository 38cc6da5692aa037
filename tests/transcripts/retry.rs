//! Retries: when what failed is tried again, and when no more.

use expect_test::expect;

use crate::script::check;

#[test]
fn retries_wait_longer_each_time_and_end_as_dead_letters() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-retry-max-attempts: 3, x-retry-delay: 1500, x-retry-factor: 2, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 > basic.nack delivery_tag=1 requeue
        # Others are not kept waiting.
        a1 > basic.publish routing_key=q "two"
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two"
        a1 > basic.ack delivery_tag=2
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l}
        a1 > basic.nack delivery_tag=3 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=4 redelivered routing_key=q "one" headers={x-delivery-count: 2l, x-acquired-count: 2l}
        a1 > basic.nack delivery_tag=4 requeue
        a1 < basic.deliver consumer_tag=dead delivery_tag=5 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "delivery_limit", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "delivery_limit", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "delivery_limit"}
    "#]])
}

#[test]
fn a_message_that_is_not_asked_for_again_is_not_retried() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-retry-max-attempts: 3, x-retry-delay: 20}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        a1 > basic.reject delivery_tag=1
        a1 > queue.declare queue=all arguments={x-retry-max-attempts: 3, x-retry-delay: 0, x-retry-on: "all"}
        a1 < queue.declare-ok queue=all
        a1 > basic.publish routing_key=all "two"
        a1 > basic.get queue=all
        a1 < basic.get-ok delivery_tag=2 routing_key=all "two"
        a1 > basic.reject delivery_tag=2
        a1 > basic.get queue=all
        a1 < basic.get-ok delivery_tag=3 redelivered routing_key=all "two" headers={x-delivery-count: 1l, x-acquired-count: 1l}
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn attempts_survive_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=q durable arguments={x-retry-max-attempts: 3, x-retry-delay: 50}
        a1 < queue.declare-ok queue=q
        b1 > confirm.select
        b1 < confirm.select-ok
        b1 > queue.declare queue=beside durable
        b1 < queue.declare-ok queue=beside
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.nack delivery_tag=1 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
        # Its confirm comes when what was before it is on the disk.
        b1 > basic.publish routing_key=beside "two" delivery_mode=2
        b1 < basic.ack delivery_tag=1
        the broker crashes
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
    "#]])
}

#[test]
fn what_is_wrong_with_retries() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-retry-max-attempts: 0}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-retry-max-attempts' for queue 'q' in vhost '/': {value_zero,0}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-retry-delay: "1s"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-retry-delay' for queue 'q' in vhost '/': \"expected integer, got longstr\"" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-retry-delay: 1, x-retry-factor: 0}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-retry-factor' for queue 'q' in vhost '/': {value_out_of_range,0}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-retry-delay: 1, x-retry-jitter: 2}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-retry-jitter' for queue 'q' in vhost '/': {value_out_of_range,2}" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-retry-delay: 1, x-retry-on: "always"}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - invalid arg 'x-retry-on' for queue 'q' in vhost '/': invalid_retry_on" class_id=50 method_id=10
        a1 > queue.declare queue=q arguments={x-retry-delay: 1}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=q arguments={x-retry-delay: 2}
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - inequivalent arg 'x-retry-delay' for queue 'q' in vhost '/': received '2' but current is '1'" class_id=50 method_id=10
    "#]])
}

#[test]
fn a_consumer_that_is_lost_has_failed() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-retry-max-attempts: 2, x-retry-delay: 50, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        b1 > basic.consume queue=q consumer_tag=b
        b1 < basic.consume-ok consumer_tag=b
        b1 < basic.deliver consumer_tag=b delivery_tag=1 routing_key=q "one"
        b hangs up
        a1 > basic.consume queue=q consumer_tag=a
        a1 < basic.consume-ok consumer_tag=a
        a1 < basic.deliver consumer_tag=a delivery_tag=1 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l}
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.recover requeue
        a1 < basic.recover-ok
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "delivery_limit", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "delivery_limit", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "delivery_limit"}
    "#]])
}

#[test]
fn one_that_was_killed_in_the_middle_has_failed_too() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead durable
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q durable arguments={x-retry-max-attempts: 2, x-retry-delay: 8000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.nack delivery_tag=1 requeue
        # Its confirm comes when what was before it is on the disk.
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.ack delivery_tag=2
        the broker crashes
        # One waits, one does not.
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "two" delivery_mode=2
        a1 > basic.ack delivery_tag=1
        a1 < basic.deliver consumer_tag=c delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.nack delivery_tag=2 requeue
        a1 < basic.deliver consumer_tag=dead delivery_tag=3 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "delivery_limit", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "delivery_limit", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "delivery_limit"} delivery_mode=2
    "#]])
}

#[test]
fn what_waits_for_a_retry_counts_where_the_queue_refuses() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-max-length: 1, x-overflow: "reject-publish", x-retry-delay: 3000}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=bytes durable arguments={x-max-length-bytes: 3, x-overflow: "reject-publish", x-retry-delay: 60000}
        a1 < queue.declare-ok queue=bytes
        a1 > queue.declare queue=head durable arguments={x-max-length: 1, x-retry-delay: 60000}
        a1 < queue.declare-ok queue=head
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=bytes "one"
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=head "one"
        a1 < basic.ack delivery_tag=3
        a1 > basic.get queue=bytes
        a1 < basic.get-ok delivery_tag=1 routing_key=bytes "one"
        a1 > basic.get queue=head
        a1 < basic.get-ok delivery_tag=2 routing_key=head "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=3 routing_key=q "one"
        a1 > basic.nack delivery_tag=3 multiple requeue
        a1 > basic.qos prefetch_count=10
        a1 < basic.qos-ok
        a1 > basic.publish routing_key=q "two"
        a1 < basic.nack delivery_tag=4
        a1 > basic.publish routing_key=bytes "two"
        a1 < basic.nack delivery_tag=5
        # Where the oldest gives way, what waits is not in its way.
        a1 > basic.publish routing_key=head "two"
        a1 < basic.ack delivery_tag=6
        a1 > basic.get queue=head no_ack
        a1 < basic.get-ok delivery_tag=4 routing_key=head "two"
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=5 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l}
        a1 > basic.publish routing_key=q "three"
        a1 < basic.deliver consumer_tag=c delivery_tag=6 routing_key=q "three"
        a1 < basic.ack delivery_tag=7
    "#]])
}
