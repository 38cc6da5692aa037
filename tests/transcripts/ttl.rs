//! Time to live: of messages, by themselves or by their queue, and of queues.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_message_that_is_too_old_is_gone() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-ttl: 50}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=stays
        a1 < queue.declare-ok queue=stays
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=stays "two" expiration=50
        a1 > basic.publish routing_key=stays "three"
        # What rings after 300 ms takes that time.
        c1 > queue.declare queue=clock arguments={x-message-ttl: 300, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        c1 < queue.declare-ok queue=clock
        c1 > queue.declare queue=bell
        c1 < queue.declare-ok queue=bell
        c1 > basic.consume queue=bell consumer_tag=bell no_ack
        c1 < basic.consume-ok consumer_tag=bell
        c1 > basic.publish routing_key=clock "tick"
        c1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "tick" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a1 > basic.get queue=q
        a1 < basic.get-empty
        a1 > basic.get queue=stays no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=stays "three"
    "#]])
}

#[test]
fn the_shorter_time_counts() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=long arguments={x-message-ttl: 600000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=long
        a1 > queue.declare queue=short arguments={x-message-ttl: 30, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=short
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish routing_key=long "own" expiration=30
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "own" headers={x-death: [{count: 1l, reason: "expired", queue: "long", time: nowT, exchange: "", routing-keys: ["long"], original-expiration: "30"}], x-first-death-exchange: "", x-first-death-queue: "long", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "long", x-last-death-reason: "expired"}
        a1 > basic.publish routing_key=short "of the queue" expiration=600000
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 routing_key=dead "of the queue" headers={x-death: [{count: 1l, reason: "expired", queue: "short", time: nowT, exchange: "", routing-keys: ["short"], original-expiration: "600000"}], x-first-death-exchange: "", x-first-death-queue: "short", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "short", x-last-death-reason: "expired"}
    "#]])
}

#[test]
fn no_time_at_all_is_enough_for_who_waits() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-ttl: 0}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=r
        a1 < queue.declare-ok queue=r
        a1 > basic.publish routing_key=q "nobody waits"
        a1 > basic.publish routing_key=r "nobody waits" expiration=0
        a1 > basic.get queue=q
        a1 < basic.get-empty
        a1 > basic.get queue=r
        a1 < basic.get-empty
        a1 > basic.consume queue=q consumer_tag=q no_ack
        a1 < basic.consume-ok consumer_tag=q
        a1 > basic.consume queue=r consumer_tag=r no_ack
        a1 < basic.consume-ok consumer_tag=r
        a1 > basic.publish routing_key=q "somebody waits"
        a1 < basic.deliver consumer_tag=q delivery_tag=1 routing_key=q "somebody waits"
        a1 > basic.publish routing_key=r "somebody waits" expiration=0
        a1 < basic.deliver consumer_tag=r delivery_tag=2 routing_key=r "somebody waits" expiration=0
    "#]])
}

#[test]
fn a_message_behind_one_that_lives_longer_is_there_and_never_delivered() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "long"
        a1 > basic.publish routing_key=q "short" expiration=30
        a1 > basic.publish routing_key=q "longer"
        # What rings after 300 ms takes that time.
        c1 > queue.declare queue=clock arguments={x-message-ttl: 300, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        c1 < queue.declare-ok queue=clock
        c1 > queue.declare queue=bell
        c1 < queue.declare-ok queue=bell
        c1 > basic.consume queue=bell consumer_tag=bell no_ack
        c1 < basic.consume-ok consumer_tag=bell
        c1 > basic.publish routing_key=clock "tick"
        c1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "tick" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a1 > queue.declare queue=q passive
        a1 < queue.declare-ok queue=q message_count=3
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=2 "long"
        a1 > basic.get queue=q no_ack
        a1 < basic.get-ok delivery_tag=2 routing_key=q "longer"
    "#]])
}

#[test]
fn what_comes_back_has_the_time_that_it_had() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-ttl: 2000}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two"
        # What rings after 2500 ms takes that time.
        c1 > queue.declare queue=clock arguments={x-message-ttl: 2500, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        c1 < queue.declare-ok queue=clock
        c1 > queue.declare queue=bell
        c1 < queue.declare-ok queue=bell
        c1 > basic.consume queue=bell consumer_tag=bell no_ack
        c1 < basic.consume-ok consumer_tag=bell
        c1 > basic.publish routing_key=clock "tick"
        c1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "tick" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        # Who holds it may still do with it what it likes.
        a1 > basic.ack delivery_tag=1
        a1 > basic.reject delivery_tag=2 requeue
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn a_queue_that_nobody_uses_goes() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=unused arguments={x-expires: 1500}
        a1 < queue.declare-ok queue=unused
        a1 > queue.declare queue=consumed arguments={x-expires: 1500}
        a1 < queue.declare-ok queue=consumed
        a1 > basic.consume queue=consumed consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=unused "one"
        # What rings after 4000 ms takes that time.
        c1 > queue.declare queue=clock arguments={x-message-ttl: 4000, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        c1 < queue.declare-ok queue=clock
        c1 > queue.declare queue=bell
        c1 < queue.declare-ok queue=bell
        c1 > basic.consume queue=bell consumer_tag=bell no_ack
        c1 < basic.consume-ok consumer_tag=bell
        c1 > basic.publish routing_key=clock "tick"
        c1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "tick" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a1 > queue.declare queue=consumed passive
        a1 < queue.declare-ok queue=consumed consumer_count=1
        a2 > queue.declare queue=unused passive
        a2 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'unused' in vhost '/'" class_id=50 method_id=10
        a1 > basic.cancel consumer_tag=c
        a1 < basic.cancel-ok consumer_tag=c
        c1 > basic.publish routing_key=clock "tick"
        c1 < basic.deliver consumer_tag=bell delivery_tag=2 routing_key=bell "tick" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a2 > queue.declare queue=consumed passive
        a2 < channel.close reply_code=404 reply_text="NOT_FOUND - no queue 'consumed' in vhost '/'" class_id=50 method_id=10
    "#]])
}

#[test]
fn a_durable_queue_and_its_messages_age_while_the_broker_is_away() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable arguments={x-message-ttl: 100}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=own durable
        a1 < queue.declare-ok queue=own
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=own "two" delivery_mode=2 expiration=100
        a1 < basic.ack delivery_tag=2
        a1 > basic.publish routing_key=own "three" delivery_mode=2 expiration=600000
        a1 < basic.ack delivery_tag=3
        the broker crashes
        # What rings after 300 ms takes that time.
        c1 > queue.declare queue=clock arguments={x-message-ttl: 300, x-dead-letter-exchange: "", x-dead-letter-routing-key: "bell"}
        c1 < queue.declare-ok queue=clock
        c1 > queue.declare queue=bell
        c1 < queue.declare-ok queue=bell
        c1 > basic.consume queue=bell consumer_tag=bell no_ack
        c1 < basic.consume-ok consumer_tag=bell
        c1 > basic.publish routing_key=clock "tick"
        c1 < basic.deliver consumer_tag=bell delivery_tag=1 routing_key=bell "tick" headers={x-death: [{count: 1l, reason: "expired", queue: "clock", time: nowT, exchange: "", routing-keys: ["clock"]}], x-first-death-exchange: "", x-first-death-queue: "clock", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "clock", x-last-death-reason: "expired"}
        a1 > basic.get queue=q no_ack
        a1 < basic.get-empty
        a1 > basic.get queue=own no_ack
        a1 < basic.get-ok delivery_tag=1 routing_key=own "three" delivery_mode=2 expiration=600000
        a1 > basic.get queue=own no_ack
        a1 < basic.get-empty
    "#]])
}

#[test]
fn what_expires_by_itself_does_so_after_a_crash_though_nobody_looks() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead durable
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q durable arguments={x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2 expiration=1500
        a1 < basic.ack delivery_tag=1
        the broker crashes
        b1 > basic.consume queue=dead consumer_tag=dead no_ack
        b1 < basic.consume-ok consumer_tag=dead
        b1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "expired", queue: "q", time: nowT, exchange: "", routing-keys: ["q"], original-expiration: "1500"}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "expired"} delivery_mode=2
    "#]])
}
