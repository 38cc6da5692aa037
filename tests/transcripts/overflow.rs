//! Queues that may only become so long.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_queue_that_refuses_nacks() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=q arguments={x-max-length: 1, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.nack delivery_tag=2
        # It is routed, so it is not returned.
        a1 > basic.publish routing_key=q mandatory "three"
        a1 < basic.nack delivery_tag=3
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "four"
        a1 < basic.ack delivery_tag=4
    "#]])
}

#[test]
fn one_full_queue_is_enough_for_a_nack() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=full arguments={x-max-length: 0, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=full
        a1 > queue.declare queue=other
        a1 < queue.declare-ok queue=other
        a1 > queue.bind queue=full exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > queue.bind queue=other exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.publish exchange=amq.fanout "message"
        a1 < basic.nack delivery_tag=1
        a1 > basic.get queue=other no_ack
        a1 < basic.get-ok delivery_tag=1 exchange=amq.fanout "message"
        a1 > basic.get queue=full no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn bytes_count_as_well() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=q arguments={x-max-length-bytes: 10, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "123456"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "12345"
        a1 < basic.nack delivery_tag=2
        a1 > basic.publish routing_key=q "1234"
        a1 < basic.ack delivery_tag=3
    "#]])
}

#[test]
fn refused_messages_may_be_dead_letters() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-max-length: 1, x-overflow: "reject-publish-dlx", x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.nack delivery_tag=2
        a1 > basic.get queue=dead no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=dead "two" headers={x-death: [{count: 1l, reason: "maxlen", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "maxlen", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "maxlen"}
    "#]])
}

#[test]
fn a_transaction_with_a_message_that_is_refused_ends_its_channel() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=full arguments={x-max-length: 1, x-overflow: "reject-publish"}
        a1 < queue.declare-ok queue=full
        a1 > queue.declare queue=other
        a1 < queue.declare-ok queue=other
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish routing_key=full "one"
        a1 > basic.publish routing_key=other "two"
        a1 > tx.commit
        a1 < tx.commit-ok
        a1 > basic.get queue=other
        a1 < basic.get-ok delivery_tag=1 routing_key=other "two"
        a1 > basic.publish routing_key=full "three"
        a1 > basic.publish routing_key=other "four"
        a1 > basic.ack delivery_tag=1
        a1 > tx.commit
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - partial tx completion" class_id=90 method_id=20
        # The rest of it is done.
        a2 > basic.get queue=other no_ack
        a2 < basic.get-ok delivery_tag=1 routing_key=other "four"
        a2 > basic.get queue=other no_ack
        a2 < basic.get-empty
        a2 > basic.get queue=full no_ack
        a2 < basic.get-ok delivery_tag=2 routing_key=full "one"
    "#]])
}

#[test]
fn the_oldest_gives_way() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-length-bytes: 10}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "1234"
        a1 > basic.publish routing_key=q "5678"
        a1 > basic.publish routing_key=q "90123"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "5678"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "90123"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
        # More than there may be goes itself.
        a1 > basic.publish routing_key=q "12345678901"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn what_consumers_hold_does_not_count() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-length: 1}
        a1 < queue.declare-ok queue=q
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > queue.declare queue=q passive arguments={x-max-length: 1}
        a1 < queue.declare-ok queue=q message_count=1 consumer_count=1
        a1 > basic.ack delivery_tag=1
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "three"
        # One that comes back is the oldest.
        a1 > basic.publish routing_key=q "four"
        a1 > basic.cancel consumer_tag=c
        a1 < basic.cancel-ok consumer_tag=c
        a1 > basic.reject delivery_tag=2 requeue
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=3 routing_key=q "four"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn what_comes_back_to_a_full_queue_lets_the_oldest_go_before_it_is_delivered() -> anyhow::Result<()>
{
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-length: 2}
        a1 < queue.declare-ok queue=q
        a1 > basic.qos prefetch_count=2
        a1 < basic.qos-ok
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > basic.nack delivery_tag=2 multiple requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "two"
        a1 < basic.deliver consumer_tag=c delivery_tag=4 routing_key=q "three"
        a1 > queue.purge queue=q
        a1 < queue.purge-ok
    "#]])
}

#[test]
fn what_was_fetched_comes_back_to_a_full_queue_one_by_one() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-length: 1}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two"
        b1 > basic.consume queue=q consumer_tag=b
        b1 < basic.consume-ok consumer_tag=b
        a1 > basic.nack delivery_tag=2 multiple requeue
        b1 < basic.deliver consumer_tag=b delivery_tag=1 redelivered routing_key=q "one"
        b1 < basic.deliver consumer_tag=b delivery_tag=2 redelivered routing_key=q "two"
        b1 > basic.ack delivery_tag=2 multiple
        b1 > basic.cancel consumer_tag=b
        b1 < basic.cancel-ok consumer_tag=b
        # Unless their channel is gone.
        a1 > basic.publish routing_key=q "three"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=3 routing_key=q "three"
        a1 > basic.publish routing_key=q "four"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=4 routing_key=q "four"
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        a hangs up
        b1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "four"
        b1 > queue.purge queue=q
        b1 < queue.purge-ok
    "#]])
}

#[test]
fn a_quorum_queue_lets_the_oldest_go_and_refuses_nothing_to_bury_it() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum", x-max-length: 1, x-overflow: "reject-publish-dlx", x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.ack delivery_tag=2
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "maxlen", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "maxlen", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "maxlen"}
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two"
    "#]])
}
