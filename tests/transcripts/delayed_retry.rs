//! RabbitMQ 4.3's delayed retries: which returns wait, and for how long.

use expect_test::expect;

use crate::script::check;

#[test]
fn what_is_rejected_waits_longer_each_time() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-delayed-retry-type: "failed", x-delayed-retry-min: 2000, x-delayed-retry-max: 4000}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1 requeue
        # It waits, and others do not.
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two" delivery_mode=2
        a1 > basic.ack delivery_tag=2
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
        # What is only returned comes back at once.
        a1 > basic.nack delivery_tag=3 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=4 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 2l} delivery_mode=2
    "#]])
}

#[test]
fn what_is_returned_may_wait_as_well() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-delayed-retry-type: "returned", x-delayed-retry-min: 2000}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.nack delivery_tag=1 requeue
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two" delivery_mode=2
        a1 > basic.ack delivery_tag=2
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "one" headers={x-delivery-count: 0l, x-acquired-count: 1l} delivery_mode=2
        # What is rejected comes back at once.
        a1 > basic.reject delivery_tag=3 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=4 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 2l} delivery_mode=2
    "#]])
}

#[test]
fn all_that_comes_back_may_wait_also_through_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-delayed-retry-type: "all", x-delayed-retry-min: 8000, x-delivery-limit: 5}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1 requeue
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.ack delivery_tag=2
        the broker crashes
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "two" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
    "#]])
}

#[test]
fn another_word_for_the_type_of_retry_is_none() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-delayed-retry-type: "disabled", x-delayed-retry-min: 600000}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
    "#]])
}
