//! Dead letters: what dies, where it goes, and what is written on it.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_rejected_message_goes_to_the_dead_letter_exchange() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one" message_id=1
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one" message_id=1
        a1 > basic.reject delivery_tag=1
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"} message_id=1
        a1 > basic.publish routing_key=q "two" headers={a: 1}
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "two" headers={a: 1}
        a1 > basic.nack delivery_tag=3
        a1 < basic.deliver consumer_tag=dead delivery_tag=4 routing_key=dead "two" headers={a: 1, x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
    "#]])
}

#[test]
fn several_are_rejected_in_their_order() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "amq.fanout"}
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=dead exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "three"
        a1 > basic.nack delivery_tag=3 multiple
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 < basic.deliver consumer_tag=dead delivery_tag=4 exchange=amq.fanout routing_key=q "one" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
        a1 < basic.deliver consumer_tag=dead delivery_tag=5 exchange=amq.fanout routing_key=q "two" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
        a1 < basic.deliver consumer_tag=dead delivery_tag=6 exchange=amq.fanout routing_key=q "three" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
    "#]])
}

#[test]
fn without_an_exchange_a_rejected_message_is_gone() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one"
        a1 > basic.reject delivery_tag=1
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn an_expired_message_loses_its_expiration() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "amq.direct"}
        a1 < queue.declare-ok queue=q
        a1 > queue.bind queue=dead exchange=amq.direct routing_key=q
        a1 < queue.bind-ok
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish routing_key=q "one" expiration=20
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 exchange=amq.direct routing_key=q "one" headers={x-death: [{count: 1l, reason: "expired", queue: "q", time: nowT, exchange: "", routing-keys: ["q"], original-expiration: "20"}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "expired"}
    "#]])
}

#[test]
fn a_message_that_is_too_much_goes_from_the_head() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-max-length: 2, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "maxlen", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "maxlen", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "maxlen"}
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q message_count=1 "two"
    "#]])
}

#[test]
fn deaths_of_the_same_kind_are_counted_together() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=wait arguments={x-message-ttl: 10, x-dead-letter-exchange: "", x-dead-letter-routing-key: "work"}
        a1 < queue.declare-ok queue=wait
        a1 > queue.declare queue=work arguments={x-dead-letter-exchange: "", x-dead-letter-routing-key: "wait"}
        a1 < queue.declare-ok queue=work
        a1 > basic.consume queue=work consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=work "one"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=work "one"
        a1 > basic.reject delivery_tag=1
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=work "one" headers={x-death: [{count: 1l, reason: "expired", queue: "wait", time: nowT, exchange: "", routing-keys: ["wait"]}, {count: 1l, reason: "rejected", queue: "work", time: nowT, exchange: "", routing-keys: ["work"]}], x-first-death-exchange: "", x-first-death-queue: "work", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "wait", x-last-death-reason: "expired"}
        a1 > basic.reject delivery_tag=2
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=work "one" headers={x-death: [{count: 2l, reason: "expired", queue: "wait", time: nowT, exchange: "", routing-keys: ["wait"]}, {count: 2l, reason: "rejected", queue: "work", time: nowT, exchange: "", routing-keys: ["work"]}], x-first-death-exchange: "", x-first-death-queue: "work", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "wait", x-last-death-reason: "expired"}
        a1 > basic.reject delivery_tag=3
        a1 < basic.deliver consumer_tag=c delivery_tag=4 routing_key=work "one" headers={x-death: [{count: 3l, reason: "expired", queue: "wait", time: nowT, exchange: "", routing-keys: ["wait"]}, {count: 3l, reason: "rejected", queue: "work", time: nowT, exchange: "", routing-keys: ["work"]}], x-first-death-exchange: "", x-first-death-queue: "work", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "wait", x-last-death-reason: "expired"}
        a1 > basic.ack delivery_tag=4
    "#]])
}

#[test]
fn a_circle_that_nobody_turns_ends() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-message-ttl: 10, x-dead-letter-exchange: "", x-dead-letter-routing-key: "q"}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=other arguments={x-message-ttl: 10, x-dead-letter-exchange: "amq.fanout"}
        a1 < queue.declare-ok queue=other
        a1 > queue.bind queue=other exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > queue.declare queue=seen
        a1 < queue.declare-ok queue=seen
        a1 > queue.bind queue=seen exchange=amq.fanout
        a1 < queue.bind-ok
        a1 > basic.consume queue=seen consumer_tag=seen no_ack
        a1 < basic.consume-ok consumer_tag=seen
        a1 > basic.publish routing_key=q "in a circle"
        a1 > basic.publish routing_key=other "once"
        a1 < basic.deliver consumer_tag=seen delivery_tag=1 exchange=amq.fanout routing_key=other "once" headers={x-death: [{count: 1l, reason: "expired", queue: "other", time: nowT, exchange: "", routing-keys: ["other"]}], x-first-death-exchange: "", x-first-death-queue: "other", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "other", x-last-death-reason: "expired"}
        a1 > queue.declare queue=q passive
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=other passive
        a1 < queue.declare-ok queue=other
    "#]])
}

#[test]
fn the_exchange_may_come_after_the_queue() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "later"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c
        a1 < basic.consume-ok consumer_tag=c
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > exchange.declare exchange=later type=fanout
        a1 < exchange.declare-ok
        a1 > queue.bind queue=dead exchange=later
        a1 < queue.bind-ok
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish routing_key=q "kept"
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "kept"
        a1 > basic.reject delivery_tag=1
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 exchange=later routing_key=q "kept" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
    "#]])
}

#[test]
fn copies_are_named_and_go_with_the_own_keys() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=one arguments={x-dead-letter-exchange: "amq.direct"}
        a1 < queue.declare-ok queue=one
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=copy
        a1 < queue.declare-ok queue=copy
        a1 > queue.bind queue=dead exchange=amq.direct routing_key=one
        a1 < queue.bind-ok
        a1 > queue.bind queue=copy exchange=amq.direct routing_key=two
        a1 < queue.bind-ok
        # Keys that nobody may see count, too.
        a1 > queue.declare queue=hidden
        a1 < queue.declare-ok queue=hidden
        a1 > queue.bind queue=hidden exchange=amq.direct routing_key=three
        a1 < queue.bind-ok
        a1 > basic.publish routing_key=one "message" headers={CC: ["two"], BCC: ["three"]}
        a1 > basic.get queue=one
        a1 < basic.get-ok delivery_tag=1 routing_key=one "message" headers={CC: ["two"]}
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.reject delivery_tag=1
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 exchange=amq.direct routing_key=one "message" headers={CC: ["two"], x-death: [{count: 1l, reason: "rejected", queue: "one", time: nowT, exchange: "", routing-keys: ["one", "two"]}], x-first-death-exchange: "", x-first-death-queue: "one", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "one", x-last-death-reason: "rejected"}
        a1 > basic.get queue=copy no_ack
        a1 < basic.get-ok delivery_tag=3 exchange=amq.direct routing_key=one "message" headers={CC: ["two"], x-death: [{count: 1l, reason: "rejected", queue: "one", time: nowT, exchange: "", routing-keys: ["one", "two"]}], x-first-death-exchange: "", x-first-death-queue: "one", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "one", x-last-death-reason: "rejected"}
        a1 > basic.get queue=hidden no_ack
        a1 < basic.get-ok delivery_tag=4 exchange=amq.direct routing_key=one "message" headers={CC: ["two"], x-death: [{count: 1l, reason: "rejected", queue: "one", time: nowT, exchange: "", routing-keys: ["one", "two"]}], x-first-death-exchange: "", x-first-death-queue: "one", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "one", x-last-death-reason: "rejected"}
    "#]])
}

#[test]
fn what_dies_without_a_consumer_dies_for_good() -> anyhow::Result<()> {
    check(&expect![[r##"
        # Deleting and purging a queue is no death.
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > queue.purge queue=q
        a1 < queue.purge-ok message_count=1
        a1 > basic.publish routing_key=q "two"
        a1 > queue.delete queue=q
        a1 < queue.delete-ok message_count=1
        a1 > basic.get queue=dead
        a1 < basic.get-empty
    "##]])
}

#[test]
fn dead_letters_survive_a_crash() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > queue.declare queue=dead durable
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q durable arguments={x-message-ttl: 100, x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        the broker crashes
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 < basic.deliver consumer_tag=dead delivery_tag=1 routing_key=dead "one" headers={x-death: [{count: 1l, reason: "expired", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "expired", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "expired"} delivery_mode=2
    "#]])
}

#[test]
fn a_key_of_its_own_is_the_only_one() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "amq.direct", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=copy
        a1 < queue.declare-ok queue=copy
        a1 > queue.bind queue=dead exchange=amq.direct routing_key=dead
        a1 < queue.bind-ok
        a1 > queue.bind queue=copy exchange=amq.direct routing_key=two
        a1 < queue.bind-ok
        a1 > basic.publish routing_key=q "message" headers={CC: ["two"], a: 1}
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "message" headers={CC: ["two"], a: 1}
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.reject delivery_tag=1
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 exchange=amq.direct routing_key=dead "message" headers={a: 1, x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q", "two"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
        a1 > basic.get queue=copy
        a1 < basic.get-empty
    "#]])
}

#[test]
fn whoever_publishes_a_dead_letter_again_goes_on_counting() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 > basic.publish routing_key=q "one" headers={x-death: [{count: 4l, reason: "rejected", queue: "q", time: 5T, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected"}
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "one" headers={x-death: [{count: 4l, reason: "rejected", queue: "q", time: 5T, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected"}
        a1 > basic.reject delivery_tag=1
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 routing_key=dead "one" headers={x-death: [{count: 5l, reason: "rejected", queue: "q", time: 5T, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
    "#]])
}

#[test]
fn one_exchange_may_have_several_queues_for_dead_letters() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=one
        a1 < queue.declare-ok queue=one
        a1 > queue.declare queue=two
        a1 < queue.declare-ok queue=two
        a1 > exchange.declare exchange=dlx type=fanout
        a1 < exchange.declare-ok
        a1 > queue.bind queue=one exchange=dlx
        a1 < queue.bind-ok
        a1 > queue.bind queue=two exchange=dlx
        a1 < queue.bind-ok
        a1 > queue.declare queue=q arguments={x-max-length: 0, x-dead-letter-exchange: "dlx"}
        a1 < queue.declare-ok queue=q
        b1 > basic.consume queue=one consumer_tag=one no_ack
        b1 < basic.consume-ok consumer_tag=one
        c1 > basic.consume queue=two consumer_tag=two no_ack
        c1 < basic.consume-ok consumer_tag=two
        a1 > basic.publish routing_key=q "one"
        b1 < basic.deliver consumer_tag=one delivery_tag=1 exchange=dlx routing_key=q "one" headers={x-death: [{count: 1l, reason: "maxlen", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "maxlen", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "maxlen"}
        c1 < basic.deliver consumer_tag=two delivery_tag=1 exchange=dlx routing_key=q "one" headers={x-death: [{count: 1l, reason: "maxlen", queue: "q", time: nowT, exchange: "", routing-keys: ["q"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "maxlen", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "maxlen"}
    "#]])
}

#[test]
fn what_is_no_key_is_not_among_the_keys_of_a_death() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=dead
        a1 < queue.declare-ok queue=dead
        a1 > queue.declare queue=q arguments={x-dead-letter-exchange: "", x-dead-letter-routing-key: "dead"}
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "message" headers={CC: ["two", 3]}
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "message" headers={CC: ["two", 3]}
        a1 > basic.reject delivery_tag=1
        a1 > basic.consume queue=dead consumer_tag=dead no_ack
        a1 < basic.consume-ok consumer_tag=dead
        a1 < basic.deliver consumer_tag=dead delivery_tag=2 routing_key=dead "message" headers={x-death: [{count: 1l, reason: "rejected", queue: "q", time: nowT, exchange: "", routing-keys: ["q", "two"]}], x-first-death-exchange: "", x-first-death-queue: "q", x-first-death-reason: "rejected", x-last-death-exchange: "", x-last-death-queue: "q", x-last-death-reason: "rejected"}
    "#]])
}
