//! Consuming: who gets what, how much of it, and what comes back.

use expect_test::expect;

use crate::script::check;

#[test]
fn messages_are_delivered_in_order_with_tags_that_count() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        b1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "three"
        b1 > basic.ack delivery_tag=2 multiple
        # Tags count on the channel, not for a consumer.
        b1 > basic.cancel consumer_tag=c
        b1 < basic.cancel-ok consumer_tag=c
        a1 > basic.publish routing_key=q "four"
        a < nothing
        b1 > basic.get queue=q
        b1 < basic.get-ok delivery_tag=4 routing_key=q "four"
        b2 > basic.get queue=q
        b2 < basic.get-empty
    "#]])
}

#[test]
fn consumers_take_turns() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        b1 > basic.consume queue=q consumer_tag=b no_ack
        b1 < basic.consume-ok consumer_tag=b
        c1 > basic.consume queue=q consumer_tag=c no_ack
        c1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        b1 < basic.deliver consumer_tag=b delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        c1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        b1 < basic.deliver consumer_tag=b delivery_tag=2 routing_key=q "three"
        a1 > basic.publish routing_key=q "four"
        c1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "four"
    "#]])
}

#[test]
fn consumers_of_a_higher_priority_come_first_while_they_have_credit() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=high arguments={x-priority: 10}
        b1 < basic.consume-ok consumer_tag=high
        c1 > basic.consume queue=q consumer_tag=low
        c1 < basic.consume-ok consumer_tag=low
        a1 > basic.publish routing_key=q "one"
        b1 < basic.deliver consumer_tag=high delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        c1 < basic.deliver consumer_tag=low delivery_tag=1 routing_key=q "two"
        b1 > basic.ack delivery_tag=1
        b < nothing
        a1 > basic.publish routing_key=q "three"
        b1 < basic.deliver consumer_tag=high delivery_tag=2 routing_key=q "three"
    "#]])
}

#[test]
fn the_prefetch_is_for_each_new_consumer() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "1"
        a1 > basic.publish routing_key=q "2"
        a1 > basic.publish routing_key=q "3"
        a1 > basic.publish routing_key=q "4"
        a1 > basic.publish routing_key=q "5"
        b1 > basic.qos prefetch_count=2
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "1"
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "2"
        b < nothing
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=d
        b1 < basic.consume-ok consumer_tag=d
        b1 < basic.deliver consumer_tag=d delivery_tag=3 routing_key=q "3"
        b < nothing
        b1 > basic.ack delivery_tag=1
        b1 < basic.deliver consumer_tag=c delivery_tag=4 routing_key=q "4"
        b < nothing
        # What is refused gives credit, too.
        b1 > basic.reject delivery_tag=3
        b1 < basic.deliver consumer_tag=d delivery_tag=5 routing_key=q "5"
        b < nothing
    "#]])
}

#[test]
fn a_consumer_that_acknowledges_nothing_has_no_prefetch() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "1"
        a1 > basic.publish routing_key=q "2"
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=c no_ack
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "1"
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "2"
        # There is nothing to acknowledge.
        b1 > basic.ack delivery_tag=1
        b1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 1" class_id=60 method_id=80
    "#]])
}

#[test]
fn getting_has_no_prefetch() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "1"
        a1 > basic.publish routing_key=q "2"
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "1"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "2"
    "#]])
}

#[test]
fn a_cancelled_consumer_gets_nothing_more_and_keeps_what_it_has() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        b1 > basic.cancel consumer_tag=c
        b1 < basic.cancel-ok consumer_tag=c
        a1 > basic.publish routing_key=q "two"
        b < nothing
        a1 > queue.declare queue=q passive
        a1 < queue.declare-ok queue=q message_count=1
        b1 > basic.ack delivery_tag=1
        # A consumer that nobody knows is gone all the same.
        b1 > basic.cancel consumer_tag=c
        b1 < basic.cancel-ok consumer_tag=c
    "#]])
}

#[test]
fn what_is_requeued_goes_back_to_its_place_and_is_marked() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=2 "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q message_count=1 "two"
        a1 > basic.reject delivery_tag=2 requeue
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=3 redelivered routing_key=q message_count=1 "two"
        a1 > basic.nack delivery_tag=3 multiple requeue
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=4 redelivered routing_key=q message_count=2 "one"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=5 redelivered routing_key=q message_count=1 "two"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=6 routing_key=q "three"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn what_is_refused_without_requeue_is_gone() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=2 "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q message_count=1 "two"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=3 routing_key=q "three"
        a1 > basic.reject delivery_tag=1
        a1 > basic.nack delivery_tag=0 multiple
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn recovering_brings_everything_back_that_is_not_acknowledged() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=2 "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q message_count=1 "two"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=3 routing_key=q "three"
        a1 > basic.ack delivery_tag=2
        a1 > basic.recover requeue
        a1 < basic.recover-ok
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=4 redelivered routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=5 redelivered routing_key=q "three"
        a1 > basic.recover-async requeue
        a1 < basic.deliver consumer_tag=c delivery_tag=6 redelivered routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=7 redelivered routing_key=q "three"
        # The answer comes before what is delivered again.
        a1 > basic.recover requeue
        a1 < basic.recover-ok
        a1 < basic.deliver consumer_tag=c delivery_tag=8 redelivered routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=9 redelivered routing_key=q "three"
    "#]])
}

#[test]
fn a_channel_that_is_closed_gives_back_what_it_holds_in_order() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        b1 > basic.qos prefetch_count=2
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        b1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two"
        b1 > channel.close reply_code=200
        b1 < channel.close-ok
        b2 > basic.consume queue=q consumer_tag=d no_ack
        b2 < basic.consume-ok consumer_tag=d
        b2 < basic.deliver consumer_tag=d delivery_tag=1 redelivered routing_key=q "one"
        b2 < basic.deliver consumer_tag=d delivery_tag=2 redelivered routing_key=q "two"
        b2 < basic.deliver consumer_tag=d delivery_tag=3 routing_key=q "three"
    "#]])
}

#[test]
fn what_several_consumers_of_a_channel_hold_comes_back_in_one_order() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        b1 > basic.consume queue=q consumer_tag=b
        b1 < basic.consume-ok consumer_tag=b
        b1 > basic.consume queue=q consumer_tag=c
        b1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        b1 < basic.deliver consumer_tag=b delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        b1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        b1 < basic.deliver consumer_tag=b delivery_tag=3 routing_key=q "three"
        c1 > basic.consume queue=q consumer_tag=d
        c1 < basic.consume-ok consumer_tag=d
        b1 > channel.close reply_code=200
        b1 < channel.close-ok
        c1 < basic.deliver consumer_tag=d delivery_tag=1 redelivered routing_key=q "one"
        c1 < basic.deliver consumer_tag=d delivery_tag=2 redelivered routing_key=q "two"
        c1 < basic.deliver consumer_tag=d delivery_tag=3 redelivered routing_key=q "three"
    "#]])
}

#[test]
fn recovering_looks_at_the_queue_and_not_at_the_consumers() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        b1 > basic.qos prefetch_count=2
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=z
        b1 < basic.consume-ok consumer_tag=z
        b1 > basic.consume queue=q consumer_tag=y
        b1 < basic.consume-ok consumer_tag=y
        a1 > basic.publish routing_key=q "one"
        b1 < basic.deliver consumer_tag=z delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        b1 < basic.deliver consumer_tag=y delivery_tag=2 routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        b1 < basic.deliver consumer_tag=z delivery_tag=3 routing_key=q "three"
        b1 > basic.cancel consumer_tag=z
        b1 < basic.cancel-ok consumer_tag=z
        b1 > basic.recover requeue
        b1 < basic.recover-ok
        b1 < basic.deliver consumer_tag=y delivery_tag=4 redelivered routing_key=q "one"
        b1 < basic.deliver consumer_tag=y delivery_tag=5 redelivered routing_key=q "two"
        b1 > basic.ack delivery_tag=5 multiple
        b1 < basic.deliver consumer_tag=y delivery_tag=6 redelivered routing_key=q "three"
    "#]])
}

#[test]
fn a_consumer_that_is_lost_leaves_its_messages_to_another() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        b1 > basic.consume queue=q consumer_tag=b
        b1 < basic.consume-ok consumer_tag=b
        b1 < basic.deliver consumer_tag=b delivery_tag=1 routing_key=q "one"
        c1 > basic.consume queue=q consumer_tag=c
        c1 < basic.consume-ok consumer_tag=c
        b hangs up
        c1 < basic.deliver consumer_tag=c delivery_tag=1 redelivered routing_key=q "one"
    "#]])
}

#[test]
fn requeued_messages_go_to_whoever_has_credit() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        b1 > basic.qos prefetch_count=1
        b1 < basic.qos-ok
        b1 > basic.consume queue=q consumer_tag=b
        b1 < basic.consume-ok consumer_tag=b
        b1 < basic.deliver consumer_tag=b delivery_tag=1 routing_key=q "one"
        c1 > basic.consume queue=q consumer_tag=c
        c1 < basic.consume-ok consumer_tag=c
        b1 > basic.nack delivery_tag=1 requeue
        c < nothing
        b1 < basic.deliver consumer_tag=b delivery_tag=2 redelivered routing_key=q "one"
    "#]])
}

#[test]
fn acknowledging_a_tag_of_another_channel_is_an_error() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        a2 > basic.ack delivery_tag=1
        a2 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 1" class_id=60 method_id=80
        a1 > basic.ack delivery_tag=1
        a < nothing
    "#]])
}

#[test]
fn a_get_tells_how_many_are_left() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.get queue=q
        a1 < basic.get-empty
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn a_consumers_priority_has_no_bounds() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c no_ack arguments={x-priority: 1099511627776l}
        a1 < basic.consume-ok consumer_tag=c
    "#]])
}
