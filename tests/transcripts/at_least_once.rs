//! Dead letters of which none may be lost: they wait until somebody takes them.

use expect_test::expect;

use crate::script::check;

#[test]
fn at_least_once_means_to_wait_for_a_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-overflow: "reject-publish", x-dead-letter-exchange: "amq.fanout", x-dead-letter-strategy: "at-least-once"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1
        # Nobody is bound yet.
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.bind queue=dead exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 exchange=amq.fanout routing_key=q "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"} delivery_mode=2
    "#]])
}

#[test]
fn what_waits_to_be_published_waits_through_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-overflow: "reject-publish", x-dead-letter-exchange: "amq.fanout", x-dead-letter-strategy: "at-least-once"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.ack delivery_tag=2
        b1 > basic.get queue=q
        b1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one"
        b1 > basic.reject delivery_tag=1
        # The answer says that the rejection was read.
        b1 > basic.qos prefetch_count=10
        b1 < basic.qos-ok
        # Its confirm comes when what was before it is on the disk.
        a1 > basic.publish routing_key=q "three"
        a1 < basic.ack delivery_tag=3
        the broker crashes
        # It is rejected, and nobody gets it.
        b1 > basic.get queue=q no_ack
        b1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "two"
        b1 > queue.purge queue=q
        b1 < queue.purge-ok message_count=1
        b1 > queue.declare queue=dead
        b1 < queue.declare-ok queue=dead
        b1 > queue.bind queue=dead exchange=amq.fanout
        b1 < queue.bind-ok
        b1 > basic.consume queue=dead consumer_tag=dead no_ack
        b1 < basic.consume-ok consumer_tag=dead
        b1 < basic.deliver consumer_tag=dead delivery_tag=2 exchange=amq.fanout routing_key=q "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
    "#]])
}

#[test]
fn at_least_once_means_to_wait_for_a_queue_that_is_full() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead durable arguments={x-max-length: 1, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-overflow: "reject-publish", x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead", x-dead-letter-strategy: "at-least-once"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.ack delivery_tag=2
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two" delivery_mode=2
        a1 > basic.reject delivery_tag=2
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 > basic.consume queue=dead consumer_tag=dead
        b1 < basic.consume-ok consumer_tag=dead
        b1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"} delivery_mode=2
        b1 > basic.ack delivery_tag=1
        b1 < basic.deliver consumer_tag=dead delivery_tag=2 routing_key=dead "two" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"} delivery_mode=2
    "#]])
}

#[test]
fn letters_that_wait_count_for_what_the_queue_may_hold() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-max-length: 1, x-overflow: "reject-publish", x-dead-letter-exchange: "amq.fanout", x-dead-letter-strategy: "at-least-once"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.nack delivery_tag=2
    "#]])
}

#[test]
fn their_bytes_count_too_also_after_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-max-length-bytes: 10, x-overflow: "reject-publish", x-dead-letter-exchange: "amq.fanout", x-dead-letter-strategy: "at-least-once"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "10 letters" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "10 letters" delivery_mode=2
        a1 > basic.reject delivery_tag=1
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.nack delivery_tag=2
        a1 > queue.declare queue=other durable
        a1 < queue.declare-ok queue=other
        # Its confirm comes when what was before it is on the disk.
        a1 > basic.publish routing_key=other "o" delivery_mode=2
        a1 < basic.ack delivery_tag=3
        the broker crashes
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "three" delivery_mode=2
        a1 < basic.nack delivery_tag=1
        # It finds a queue, and makes room.
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.bind queue=dead exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 exchange=amq.fanout routing_key=q "10 letters" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"} delivery_mode=2
        a1 > basic.publish routing_key=q "four" delivery_mode=2
        a1 < basic.ack delivery_tag=2
    "#]])
}

#[test]
fn at_least_once_needs_a_queue_that_refuses() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-dead-letter-exchange: "amq.fanout", x-dead-letter-strategy: "at-least-once"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one" delivery_mode=2
        a1 > basic.reject delivery_tag=1
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.ack delivery_tag=2
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.bind queue=dead exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two" delivery_mode=2
        a1 > basic.reject delivery_tag=2
        # The first one is lost: there was no queue for it.
        a1 < basic.deliver consumer_tag=dead delivery_tag=3 exchange=amq.fanout routing_key=q "two" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"} delivery_mode=2
    "#]])
}

#[test]
fn a_queue_that_has_a_letter_does_not_get_it_again_because_another_is_full() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=open durable
        a1 < queue.declare-ok queue=open
        a1 > queue.bind queue=open exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > queue.declare queue=full durable arguments={x-max-length: 1, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=full
        a1 > queue.bind queue=full exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-overflow: "reject-publish", x-dead-letter-exchange: "amq.fanout", x-dead-letter-strategy: "at-least-once"}
        a1 < queue.declare-ok queue=q
        b1 > basic.consume queue=open consumer_tag=open no_ack
        b1 < basic.consume-ok consumer_tag=open
        a1 > basic.publish routing_key=q "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        a1 > basic.reject delivery_tag=1
        b1 < basic.deliver consumer_tag=open delivery_tag=1 exchange=amq.fanout routing_key=q "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
        a1 > basic.publish routing_key=q "two"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two"
        a1 > basic.reject delivery_tag=2
        # It does not wait for the other one.
        b1 < basic.deliver consumer_tag=open delivery_tag=2 exchange=amq.fanout routing_key=q "two" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
        c1 > basic.consume queue=full consumer_tag=full no_ack
        c1 < basic.consume-ok consumer_tag=full
        c1 < basic.deliver consumer_tag=full delivery_tag=1 exchange=amq.fanout routing_key=q "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
        c1 < basic.deliver consumer_tag=full delivery_tag=2 exchange=amq.fanout routing_key=q "two" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
        a1 > basic.publish routing_key=open "the next"
        b1 < basic.deliver consumer_tag=open delivery_tag=3 routing_key=open "the next"
    "#]])
}
