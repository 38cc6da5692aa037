//! What a crash leaves of what a script did. The crash tier does it at any moment, and with more messages.

use expect_test::expect;

use crate::script::check;

#[test]
fn what_is_durable_outlives_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=lasting type=topic durable arguments={alternate-exchange: "amq.fanout"}
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=passing type=topic
        a1 < exchange.declare-ok
        a1 > queue.declare queue=lasting durable arguments={x-max-length: 10}
        a1 < queue.declare-ok queue=lasting
        a1 > queue.declare queue=passing
        a1 < queue.declare-ok queue=passing
        a1 > queue.bind queue=lasting exchange=lasting routing_key=a.# arguments={n: 1}
        a1 < queue.bind-ok
        a1 > queue.bind queue=lasting exchange=passing routing_key=#
        a1 < queue.bind-ok
        a1 > queue.bind queue=passing exchange=lasting routing_key=#
        a1 < queue.bind-ok
        a1 > exchange.bind source=lasting destination=amq.direct routing_key=b
        a1 < exchange.bind-ok
        the broker crashes
        a1 > exchange.declare exchange=lasting type=topic durable arguments={alternate-exchange: "amq.fanout"}
        a1 < exchange.declare-ok
        a1 > exchange.declare exchange=passing type=topic passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'passing' in vhost '/'" class_id=40 method_id=10
        a1 > queue.declare queue=lasting durable arguments={x-max-length: 10}
        a1 < queue.declare-ok queue=lasting
        a1 > queue.declare queue=passing passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'passing' in vhost '/'" class_id=50 method_id=10
        a1 > queue.bind queue=lasting exchange=amq.direct routing_key=b
        a1 < queue.bind-ok
        a1 > basic.publish exchange=lasting routing_key=b "through both"
        a1 > basic.publish exchange=lasting routing_key=a.b.c "by its own binding"
        a1 > basic.publish exchange=lasting routing_key=c mandatory "nowhere"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=lasting routing_key=c "nowhere"
        a1 > basic.get queue=lasting no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=lasting routing_key=b message_count=1 "through both"
        a1 > basic.get queue=lasting no_ack
        a1 < basic.get-ok delivery_tag=2 exchange=lasting routing_key=a.b.c "by its own binding"
    "#]])
}

#[test]
fn what_is_deleted_stays_so_after_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > exchange.declare exchange=x type=direct durable
        a1 < exchange.declare-ok
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=r durable
        a1 < queue.declare-ok queue=r
        a1 > queue.bind queue=r exchange=x routing_key=k
        a1 < queue.bind-ok
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "hello" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > queue.delete queue=q
        a1 < queue.delete-ok message_count=1
        a1 > queue.unbind queue=r exchange=x routing_key=k
        a1 < queue.unbind-ok
        the broker crashes
        a1 > queue.declare queue=q passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
        a1 > basic.publish exchange=x routing_key=k mandatory "hello"
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=x routing_key=k "hello"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
    "#]])
}

#[test]
fn a_message_outlives_a_crash_if_it_is_persistent_and_its_queue_durable() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "transient"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "persistent" delivery_mode=2 headers={a: [1, {b: "c"}]} priority=0
        a1 < basic.ack delivery_tag=2
        the broker crashes
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "persistent" headers={a: [1, {b: "c"}]} delivery_mode=2 priority=0
        a1 > basic.ack delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn an_exclusive_queue_does_not_outlive_a_crash_durable_or_not() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable exclusive
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "hello" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        the broker crashes
        a1 > queue.declare queue=q passive
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'q' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn a_transaction_that_was_committed_outlives_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish routing_key=q "committed" delivery_mode=2
        a1 > tx.commit
        a1 < tx.commit-ok
        a1 > basic.publish routing_key=q "not committed" delivery_mode=2
        a < nothing
        the broker crashes
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q "committed" delivery_mode=2
    "#]])
}

#[test]
fn what_was_delivered_and_not_acknowledged_comes_again_after_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two" delivery_mode=2
        a1 < basic.ack delivery_tag=2
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one" delivery_mode=2
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two" delivery_mode=2
        a1 > basic.ack delivery_tag=1
        a < nothing
        # What is confirmed is on the disk, and with it what was acknowledged before.
        a1 > basic.publish routing_key=q "three" delivery_mode=2
        a1 < basic.ack delivery_tag=3
        the broker crashes
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 redelivered routing_key=q message_count=1 "two" delivery_mode=2
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "three" delivery_mode=2
    "#]])
}

#[test]
fn a_quorum_queue_keeps_every_message_through_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "transient elsewhere"
        a1 < basic.ack delivery_tag=1
        the broker crashes
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q "transient elsewhere"
    "#]])
}
