//! Deliveries that fail, and how many of them a message survives.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_quorum_queue_counts_rejections_and_not_nacks() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-delivery-limit: 2, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.nack delivery_tag=1 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 0l, x-acquired-count: 1l} delivery_mode=2
        a1 > basic.reject delivery_tag=2 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 2l} delivery_mode=2
        a1 > basic.reject delivery_tag=3 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=4 redelivered routing_key=q "one" headers={x-delivery-count: 2l, x-acquired-count: 3l} delivery_mode=2
        a1 > basic.reject delivery_tag=4 requeue
        a1 < basic.deliver consumer_tag=dead delivery_tag=5 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "delivery_limit", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "delivery_limit", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "delivery_limit"} delivery_mode=2
    "#]])
}

#[test]
fn without_a_dead_letter_exchange_what_fails_too_often_is_gone() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-delivery-limit: 1}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        a1 > basic.nack delivery_tag=1 requeue
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l}
        a1 > basic.nack delivery_tag=2 requeue
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn a_channel_that_goes_has_failed() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a2 > basic.get queue=q
        a2 < basic.get-ok delivery_tag=1 routing_key=q "one" delivery_mode=2
        a2 > channel.close reply_code=200
        a2 < channel.close-ok
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
    "#]])
}

#[test]
fn twenty_failures_are_enough_for_a_quorum_queue_that_says_nothing() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
        a1 > basic.reject delivery_tag=2 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "one" headers={x-delivery-count: 2l, x-acquired-count: 2l} delivery_mode=2
        a1 > basic.reject delivery_tag=3 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=4 redelivered routing_key=q "one" headers={x-delivery-count: 3l, x-acquired-count: 3l} delivery_mode=2
        a1 > basic.reject delivery_tag=4 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=5 redelivered routing_key=q "one" headers={x-delivery-count: 4l, x-acquired-count: 4l} delivery_mode=2
        a1 > basic.reject delivery_tag=5 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=6 redelivered routing_key=q "one" headers={x-delivery-count: 5l, x-acquired-count: 5l} delivery_mode=2
        a1 > basic.reject delivery_tag=6 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=7 redelivered routing_key=q "one" headers={x-delivery-count: 6l, x-acquired-count: 6l} delivery_mode=2
        a1 > basic.reject delivery_tag=7 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=8 redelivered routing_key=q "one" headers={x-delivery-count: 7l, x-acquired-count: 7l} delivery_mode=2
        a1 > basic.reject delivery_tag=8 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=9 redelivered routing_key=q "one" headers={x-delivery-count: 8l, x-acquired-count: 8l} delivery_mode=2
        a1 > basic.reject delivery_tag=9 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=10 redelivered routing_key=q "one" headers={x-delivery-count: 9l, x-acquired-count: 9l} delivery_mode=2
        a1 > basic.reject delivery_tag=10 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=11 redelivered routing_key=q "one" headers={x-delivery-count: 10l, x-acquired-count: 10l} delivery_mode=2
        a1 > basic.reject delivery_tag=11 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=12 redelivered routing_key=q "one" headers={x-delivery-count: 11l, x-acquired-count: 11l} delivery_mode=2
        a1 > basic.reject delivery_tag=12 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=13 redelivered routing_key=q "one" headers={x-delivery-count: 12l, x-acquired-count: 12l} delivery_mode=2
        a1 > basic.reject delivery_tag=13 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=14 redelivered routing_key=q "one" headers={x-delivery-count: 13l, x-acquired-count: 13l} delivery_mode=2
        a1 > basic.reject delivery_tag=14 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=15 redelivered routing_key=q "one" headers={x-delivery-count: 14l, x-acquired-count: 14l} delivery_mode=2
        a1 > basic.reject delivery_tag=15 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=16 redelivered routing_key=q "one" headers={x-delivery-count: 15l, x-acquired-count: 15l} delivery_mode=2
        a1 > basic.reject delivery_tag=16 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=17 redelivered routing_key=q "one" headers={x-delivery-count: 16l, x-acquired-count: 16l} delivery_mode=2
        a1 > basic.reject delivery_tag=17 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=18 redelivered routing_key=q "one" headers={x-delivery-count: 17l, x-acquired-count: 17l} delivery_mode=2
        a1 > basic.reject delivery_tag=18 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=19 redelivered routing_key=q "one" headers={x-delivery-count: 18l, x-acquired-count: 18l} delivery_mode=2
        a1 > basic.reject delivery_tag=19 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=20 redelivered routing_key=q "one" headers={x-delivery-count: 19l, x-acquired-count: 19l} delivery_mode=2
        a1 > basic.reject delivery_tag=20 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=21 redelivered routing_key=q "one" headers={x-delivery-count: 20l, x-acquired-count: 20l} delivery_mode=2
        a1 > basic.reject delivery_tag=21 requeue
        a1 < basic.deliver consumer_tag=dead delivery_tag=22 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "delivery_limit", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "delivery_limit", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "delivery_limit"} delivery_mode=2
    "#]])
}

#[test]
fn a_negative_limit_is_none() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-delivery-limit: -1}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=2 redelivered routing_key=q "one" headers={x-delivery-count: 1l, x-acquired-count: 1l} delivery_mode=2
        a1 > basic.reject delivery_tag=2 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "one" headers={x-delivery-count: 2l, x-acquired-count: 2l} delivery_mode=2
        a1 > basic.reject delivery_tag=3 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=4 redelivered routing_key=q "one" headers={x-delivery-count: 3l, x-acquired-count: 3l} delivery_mode=2
        a1 > basic.reject delivery_tag=4 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=5 redelivered routing_key=q "one" headers={x-delivery-count: 4l, x-acquired-count: 4l} delivery_mode=2
        a1 > basic.reject delivery_tag=5 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=6 redelivered routing_key=q "one" headers={x-delivery-count: 5l, x-acquired-count: 5l} delivery_mode=2
        a1 > basic.reject delivery_tag=6 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=7 redelivered routing_key=q "one" headers={x-delivery-count: 6l, x-acquired-count: 6l} delivery_mode=2
        a1 > basic.reject delivery_tag=7 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=8 redelivered routing_key=q "one" headers={x-delivery-count: 7l, x-acquired-count: 7l} delivery_mode=2
        a1 > basic.reject delivery_tag=8 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=9 redelivered routing_key=q "one" headers={x-delivery-count: 8l, x-acquired-count: 8l} delivery_mode=2
        a1 > basic.reject delivery_tag=9 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=10 redelivered routing_key=q "one" headers={x-delivery-count: 9l, x-acquired-count: 9l} delivery_mode=2
        a1 > basic.reject delivery_tag=10 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=11 redelivered routing_key=q "one" headers={x-delivery-count: 10l, x-acquired-count: 10l} delivery_mode=2
        a1 > basic.reject delivery_tag=11 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=12 redelivered routing_key=q "one" headers={x-delivery-count: 11l, x-acquired-count: 11l} delivery_mode=2
        a1 > basic.reject delivery_tag=12 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=13 redelivered routing_key=q "one" headers={x-delivery-count: 12l, x-acquired-count: 12l} delivery_mode=2
        a1 > basic.reject delivery_tag=13 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=14 redelivered routing_key=q "one" headers={x-delivery-count: 13l, x-acquired-count: 13l} delivery_mode=2
        a1 > basic.reject delivery_tag=14 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=15 redelivered routing_key=q "one" headers={x-delivery-count: 14l, x-acquired-count: 14l} delivery_mode=2
        a1 > basic.reject delivery_tag=15 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=16 redelivered routing_key=q "one" headers={x-delivery-count: 15l, x-acquired-count: 15l} delivery_mode=2
        a1 > basic.reject delivery_tag=16 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=17 redelivered routing_key=q "one" headers={x-delivery-count: 16l, x-acquired-count: 16l} delivery_mode=2
        a1 > basic.reject delivery_tag=17 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=18 redelivered routing_key=q "one" headers={x-delivery-count: 17l, x-acquired-count: 17l} delivery_mode=2
        a1 > basic.reject delivery_tag=18 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=19 redelivered routing_key=q "one" headers={x-delivery-count: 18l, x-acquired-count: 18l} delivery_mode=2
        a1 > basic.reject delivery_tag=19 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=20 redelivered routing_key=q "one" headers={x-delivery-count: 19l, x-acquired-count: 19l} delivery_mode=2
        a1 > basic.reject delivery_tag=20 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=21 redelivered routing_key=q "one" headers={x-delivery-count: 20l, x-acquired-count: 20l} delivery_mode=2
        a1 > basic.reject delivery_tag=21 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=22 redelivered routing_key=q "one" headers={x-delivery-count: 21l, x-acquired-count: 21l} delivery_mode=2
        a1 > basic.reject delivery_tag=22 requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=23 redelivered routing_key=q "one" headers={x-delivery-count: 22l, x-acquired-count: 22l} delivery_mode=2
    "#]])
}
