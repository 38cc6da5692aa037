//! How much a channel as a whole may hold: basic.qos with `global`.

use expect_test::expect;

use crate::script::check;

#[test]
fn the_global_prefetch_is_for_the_channel_as_a_whole() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "1"
        a1 > basic.publish routing_key=q "2"
        a1 > basic.publish routing_key=q "3"
        a1 > basic.publish routing_key=q "4"
        b1 > basic.qos prefetch_count=2 global
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "1"
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "2"
        b1 > basic.consume queue=q consumer_tag=d
        b1 < basic.consume-ok consumer_tag=d
        b < nothing
        b1 > basic.ack delivery_tag=1
        b1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "3"
        b < nothing
    "#]])
}

#[test]
fn a_prefetch_of_consumers_takes_the_place_of_the_channels() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "1"
        a1 > basic.publish routing_key=q "2"
        a1 > basic.publish routing_key=q "3"
        b1 > basic.qos prefetch_count=1 global
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "1"
        b < nothing
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "2"
        b1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "3"
    "#]])
}

#[test]
fn a_quorum_queue_knows_the_prefetch_of_a_channel() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-queue-type: "quorum"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "1"
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "2"
        a1 < basic.ack delivery_tag=2
        b1 > basic.qos prefetch_count=1 global
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "1"
        b < nothing
        b1 > basic.ack delivery_tag=1
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "2"
    "#]])
}

#[test]
fn what_a_client_has_got_does_not_count_for_the_global_prefetch() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "1"
        a1 > basic.publish routing_key=q "2"
        a1 > basic.publish routing_key=q "3"
        b1 > basic.qos prefetch_count=1 global
        b1 < basic.qos-ok
        b1 > basic.get queue=q
        b1 < basic.get-ok delivery_tag=1 routing_key=q message_count=2 "1"
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "2"
        b1 > basic.ack delivery_tag=1
        b < nothing
        b1 > basic.ack delivery_tag=2
        b1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "3"
    "#]])
}
