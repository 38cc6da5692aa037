//! How long a consumer may hold a message.

use expect_test::expect;

use crate::script::check;

#[test]
fn who_holds_a_message_too_long_is_cancelled() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-consumer-timeout: 2000}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 < basic.cancel consumer_tag=c no_wait
        b1 > basic.consume queue=q consumer_tag=d
        b1 < basic.consume-ok consumer_tag=d
        b1 < basic.deliver consumer_tag=d delivery_tag=1 redelivered routing_key=q "one"
        b1 > basic.ack delivery_tag=1
        # It may still say that it is done.
        a1 > basic.ack delivery_tag=1
        a1 > basic.ack delivery_tag=1
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 1" class_id=60 method_id=80
    "#]])
}

#[test]
fn a_client_that_cannot_be_told_loses_its_channel() -> anyhow::Result<()> {
    check(&expect![[r#"
        a connects without=consumer_cancel_notify
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a2 > basic.consume queue=q consumer_tag=c arguments={x-consumer-timeout: 100}
        a2 < basic.consume-ok consumer_tag=c
        a2 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a2 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - delivery acknowledgement on channel 2 timed out. Timeout value used: 100 ms. This timeout value can be configured, see consumers doc guide to learn more"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 redelivered routing_key=q "one"
    "#]])
}

#[test]
fn who_holds_a_message_too_long_has_failed() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-retry-max-attempts: 1, x-consumer-timeout: 100, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        b1 > basic.consume queue=dead consumer_tag=dead no_ack
        b1 < basic.consume-ok consumer_tag=dead
        a1 > basic.consume queue=q consumer_tag=a
        a1 < basic.consume-ok consumer_tag=a
        a1 < basic.deliver consumer_tag=a delivery_tag=1 routing_key=q "one"
        a1 < basic.cancel consumer_tag=a no_wait
        b1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "delivery_limit", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "delivery_limit", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "delivery_limit"}
    "#]])
}

#[test]
fn what_a_consumer_says_counts_before_what_its_queue_says() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-consumer-timeout: 600000}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=short arguments={x-consumer-timeout: 100}
        a1 < basic.consume-ok consumer_tag=short
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=short delivery_tag=1 routing_key=q "one"
        a1 < basic.cancel consumer_tag=short no_wait
        b1 > queue.declare queue=r arguments={x-consumer-timeout: 100}
        b1 < queue.declare-ok queue=r
        b1 > basic.consume queue=r consumer_tag=long arguments={x-consumer-timeout: 600000}
        b1 < basic.consume-ok consumer_tag=long
        b1 > basic.publish routing_key=r "two"
        b1 < basic.deliver consumer_tag=long delivery_tag=1 routing_key=r "two"
        # What waits for 400 ms takes that time.
        a1 > exchange.declare exchange=x type=fanout arguments={x-delayed-exchange: true}
        a1 < exchange.declare-ok
        a1 > queue.bind queue=q exchange=x
        a1 < queue.bind-ok
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 redelivered routing_key=q "one"
        a1 > basic.consume queue=q consumer_tag=clock no_ack
        a1 < basic.consume-ok consumer_tag=clock
        a1 > basic.publish exchange=x "tick" headers={x-delay: 400}
        a1 < basic.deliver consumer_tag=clock delivery_tag=3 exchange=x "tick" headers={x-delay: -400}
        b < nothing
    "#]])
}

#[test]
fn a_quorum_queue_does_not_count_who_holds_a_message_too_long() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-consumer-timeout: 100}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 < basic.cancel consumer_tag=c no_wait
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 0l, x-acquired-count: 1l} delivery_mode=2
    "#]])
}

#[test]
fn a_consumer_timeout_may_come_from_a_policy() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        the operator puts policies/VHOST/slow {"pattern":"^q$","definition":{"consumer-timeout":100},"apply-to":"queues"}
        the operator < 201
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 < basic.cancel consumer_tag=c no_wait
        b1 > basic.get queue=q no_ack
        b1 < basic.get-ok delivery_tag=1 redelivered routing_key=q "one"
    "#]])
}

#[test]
fn what_a_cancelled_consumer_holds_has_the_timeout_of_its_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a2 > basic.consume queue=q consumer_tag=patient arguments={x-consumer-timeout: 100000, x-priority: -1}
        a2 < basic.consume-ok consumer_tag=patient
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 > basic.cancel consumer_tag=c
        a1 < basic.cancel-ok consumer_tag=c
        a1 > basic.publish routing_key=q "two"
        a2 < basic.deliver consumer_tag=patient delivery_tag=1 routing_key=q "two"
        a2 > basic.cancel consumer_tag=patient
        a2 < basic.cancel-ok consumer_tag=patient
        the operator puts policies/VHOST/slow {"pattern":"^q$","definition":{"consumer-timeout":100},"apply-to":"queues"}
        the operator < 201
        # There is no consumer to be cancelled any more.
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 100 ms. This timeout value can be configured, see consumers doc guide to learn more"
        b1 > basic.get queue=q no_ack
        b1 < basic.get-ok delivery_tag=1 redelivered routing_key=q "one"
        # One that has said so itself may go on.
        a2 > basic.ack delivery_tag=1
        a < nothing
    "#]])
}

#[test]
fn a_consumer_timeout_comes_and_goes_with_its_policy() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=patient
        a1 < queue.declare-ok queue=patient
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        the operator puts policies/VHOST/slow {"pattern":"^q$","definition":{"consumer-timeout":3000},"apply-to":"queues"}
        the operator < 201
        # It has begun to count, and ends with its policy.
        the operator deletes policies/VHOST/slow
        the operator < 204
        # What rings after 4000 ms takes that time.
        c1 > queue.declare queue=clock arguments={x-message-ttl: 4000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        c1 < queue.declare-ok queue=clock
        c1 > queue.declare queue=bell
        c1 < queue.declare-ok queue=bell
        c1 > basic.consume queue=bell consumer_tag=bell no_ack
        c1 < basic.consume-ok consumer_tag=bell
        c1 > basic.publish routing_key=clock "now"
        c1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "now" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a < nothing
        # One that comes is for consumers that are there.
        the operator puts policies/VHOST/slow {"pattern":"^q$","definition":{"consumer-timeout":100},"apply-to":"queues"}
        the operator < 201
        a1 < basic.cancel consumer_tag=c no_wait
        b1 > basic.get queue=q no_ack
        b1 < basic.get-ok delivery_tag=1 redelivered routing_key=q "one"
    "#]])
}
