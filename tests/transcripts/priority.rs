//! Priorities: who goes out before whom.

use expect_test::expect;

use crate::script::check;

#[test]
fn higher_priorities_go_first_and_equal_ones_in_order() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-priority: 3}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "none"
        a1 > basic.publish routing_key=q "two" priority=2
        a1 > basic.publish routing_key=q "zero" priority=0
        a1 > basic.publish routing_key=q "three" priority=3
        a1 > basic.publish routing_key=q "two again" priority=2
        # More than the highest is the highest.
        a1 > basic.publish routing_key=q "nine" priority=9
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "three" priority=3
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "nine" priority=9
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "two" priority=2
        a1 < basic.deliver consumer_tag=c delivery_tag=4 routing_key=q "two again" priority=2
        a1 < basic.deliver consumer_tag=c delivery_tag=5 routing_key=q "none"
        a1 < basic.deliver consumer_tag=c delivery_tag=6 routing_key=q "zero" priority=0
    "#]])
}

#[test]
fn what_comes_back_goes_to_its_place() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-priority: 2}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "first" priority=1
        a1 > basic.publish routing_key=q "second" priority=1
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "first" priority=1
        a1 > basic.publish routing_key=q "higher" priority=2
        a1 > basic.publish routing_key=q "lower"
        a1 > basic.reject delivery_tag=1 requeue
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "higher" priority=2
        a1 < basic.deliver consumer_tag=c delivery_tag=3 redelivered routing_key=q "first" priority=1
        a1 < basic.deliver consumer_tag=c delivery_tag=4 routing_key=q "second" priority=1
        a1 < basic.deliver consumer_tag=c delivery_tag=5 routing_key=q "lower"
    "#]])
}

#[test]
fn a_prefetch_holds_back_what_a_higher_one_overtakes() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-max-priority: 1}
        a1 < queue.declare-ok queue=q
        a1 > basic.qos prefetch_count=1
        a1 < basic.qos-ok
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        b1 > confirm.select
        b1 < confirm.select-ok
        b1 > basic.publish routing_key=q "two"
        b1 < basic.ack delivery_tag=1
        b1 > basic.publish routing_key=q "three" priority=1
        b1 < basic.ack delivery_tag=2
        a1 > basic.ack delivery_tag=1
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "three" priority=1
        a1 > basic.ack delivery_tag=2
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "two"
    "#]])
}

#[test]
fn what_would_go_out_next_gives_way() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-max-priority: 1, x-max-length: 2, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish routing_key=q "low"
        a1 > basic.publish routing_key=q "high" priority=1
        a1 > basic.publish routing_key=q "low again"
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "high" headers={x-death: [{count: 1l, reason: "maxlen", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "maxlen", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "maxlen"} priority=1
    "#]])
}

#[test]
fn each_priority_has_its_own_head() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-max-priority: 1, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "short" priority=1 expiration=30
        a1 > basic.publish routing_key=q "long"
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "short" headers={x-death: [{count: 1l, reason: "expired", queue: "q", time: nowT, exchange: "", routing-keys: ["q"], original-expiration: "30"}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "expired"} priority=1
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "long"
    "#]])
}

#[test]
fn priorities_outlive_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-max-priority: 2}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "low" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "high" delivery_mode=2 priority=2
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=q "middle" delivery_mode=2 priority=1
        a1 < basic.ack delivery_tag=3
        the broker crashes
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "high" delivery_mode=2 priority=2
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "middle" delivery_mode=2 priority=1
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "low" delivery_mode=2
    "#]])
}
