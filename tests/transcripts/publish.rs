//! Publishing: returns, confirms, transactions.

use expect_test::expect;

use crate::script::check;

#[test]
fn a_mandatory_message_that_nobody_takes_comes_back_before_its_confirm() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=nowhere mandatory "hello" content_type="text/plain" headers={n: 1} delivery_mode=2
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE routing_key=nowhere "hello" content_type=text/plain headers={n: 1} delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish exchange=amq.topic routing_key=nowhere mandatory ""
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.topic routing_key=nowhere ""
        a1 < basic.ack delivery_tag=2
        # Nobody asked for this one back.
        a1 > basic.publish routing_key=nowhere "hello"
        a1 < basic.ack delivery_tag=3
    "#]])
}

#[test]
fn a_mandatory_message_without_confirms_comes_back_too() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.publish routing_key=nowhere mandatory "hello" reply_to=me correlation_id=7
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE routing_key=nowhere "hello" correlation_id=7 reply_to=me
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q mandatory "hello"
        a < nothing
    "#]])
}

#[test]
fn confirms_count_from_one_on_every_channel() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "not counted"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "two"
        a1 < basic.ack delivery_tag=2
        a2 > confirm.select
        a2 < confirm.select-ok
        a2 > basic.publish exchange=amq.fanout "one"
        a2 < basic.ack delivery_tag=1
        a1 > basic.publish routing_key=q "three" delivery_mode=2
        a1 < basic.ack delivery_tag=3
        # Selecting again changes nothing.
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "four"
        a1 < basic.ack delivery_tag=4
    "#]])
}

#[test]
fn a_publish_that_is_refused_has_no_confirm() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish exchange=none routing_key=q "hello"
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'none' in vhost '/'" class_id=60 method_id=40
        # The next channel of this number counts from one again.
        a1 > confirm.select
        a1 < confirm.select-ok
        a1 > basic.publish routing_key=q "hello"
        a1 < basic.ack delivery_tag=1
    "#]])
}

#[test]
fn what_a_transaction_does_is_seen_when_it_is_committed() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q durable
        a1 < queue.declare-ok queue=q
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish routing_key=q "one" delivery_mode=2
        a1 > basic.publish routing_key=q "two"
        b1 > basic.get queue=q
        b1 < basic.get-empty
        a1 > tx.commit
        a1 < tx.commit-ok
        b1 > basic.get queue=q no_ack
        b1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one" delivery_mode=2
        b1 > basic.get queue=q no_ack
        b1 < basic.get-ok delivery_tag=2 routing_key=q "two"
        b1 > basic.get queue=q no_ack
        b1 < basic.get-empty
    "#]])
}

#[test]
fn what_a_transaction_did_is_forgotten_when_it_is_rolled_back() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "before"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q "before"
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish routing_key=q "within"
        a1 > basic.ack delivery_tag=1
        a1 > tx.rollback
        a1 < tx.rollback-ok
        # The acknowledgement is forgotten, but not the delivery: it may still be acknowledged.
        a1 > basic.ack delivery_tag=1
        a1 > tx.commit
        a1 < tx.commit-ok
        a1 > basic.recover requeue
        a1 < basic.recover-ok
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn acknowledgements_of_a_transaction_are_done_when_it_is_committed() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=1 "one"
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q "two"
        a1 > basic.ack delivery_tag=1
        a1 > basic.nack delivery_tag=2 requeue
        b1 > basic.get queue=q
        b1 < basic.get-empty
        a1 > tx.commit
        a1 < tx.commit-ok
        b1 > basic.get queue=q
        b1 < basic.get-ok delivery_tag=1 redelivered routing_key=q "two"
    "#]])
}

#[test]
fn a_transaction_acknowledges_what_had_come_when_it_did() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.publish routing_key=q "one"
        a1 > basic.publish routing_key=q "two"
        a1 > basic.publish routing_key=q "three"
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 routing_key=q message_count=2 "one"
        a1 > basic.ack multiple
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=2 routing_key=q message_count=1 "two"
        a1 > basic.recover requeue
        a1 < basic.recover-ok
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=3 redelivered routing_key=q message_count=1 "two"
        a1 > tx.commit
        a1 < tx.commit-ok
        a1 > channel.close reply_code=200
        a1 < channel.close-ok
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 redelivered routing_key=q message_count=1 "two"
        # A tag that was acknowledged is unknown at once, not when the transaction ends.
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.ack delivery_tag=1
        a1 > basic.ack delivery_tag=1
        a1 < channel.close reply_code=406 reply_text="PRECONDITION_FAILED - unknown delivery tag 1" class_id=60 method_id=80
        a1 > basic.get queue=q
        a1 < basic.get-ok delivery_tag=1 redelivered routing_key=q message_count=1 "two"
    "#]])
}

#[test]
fn a_transaction_ends_with_its_channel() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish routing_key=q "hello"
        a1 > channel.close reply_code=200
        a1 < channel.close-ok
        a1 > basic.get queue=q
        a1 < basic.get-empty
    "#]])
}

#[test]
fn a_mandatory_message_of_a_transaction_comes_back_at_its_commit() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > tx.select
        a1 < tx.select-ok
        a1 > basic.publish routing_key=nowhere mandatory "hello"
        a < nothing
        a1 > tx.commit
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE routing_key=nowhere "hello"
        a1 < tx.commit-ok
        a1 > basic.publish exchange=none "hello"
        a1 < channel.close reply_code=404 reply_text="NOT_FOUND - no exchange 'none' in vhost '/'" class_id=60 method_id=40
    "#]])
}

#[test]
fn a_message_arrives_as_it_was_sent() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > queue.declare queue=q
        a1 < queue.declare-ok queue=q
        a1 > basic.consume queue=q consumer_tag=c no_ack
        a1 < basic.consume-ok consumer_tag=c
        a1 > basic.publish routing_key=q "all of them" content_type="text/plain" content_encoding=utf-8 headers={a: 1, b: "two", c: {d: [true, 3l, void]}} delivery_mode=2 priority=9 correlation_id=c-1 reply_to=r expiration=60000 message_id=m-1 timestamp=1700000000 type=t user_id=guest app_id=app cluster_id=cl
        a1 < basic.deliver consumer_tag=c delivery_tag=1 routing_key=q "all of them" content_type=text/plain content_encoding=utf-8 headers={a: 1, b: "two", c: {d: [true, 3l, void]}} delivery_mode=2 priority=9 correlation_id=c-1 reply_to=r expiration=60000 message_id=m-1 timestamp=1700000000 type=t user_id=guest app_id=app cluster_id=cl
        a1 > basic.publish routing_key=q ""
        a1 < basic.deliver consumer_tag=c delivery_tag=2 routing_key=q ""
        a1 > basic.publish routing_key=q "" headers={}
        a1 < basic.deliver consumer_tag=c delivery_tag=3 routing_key=q "" headers={}
    "#]])
}

/// Whom else a message was to go to is seen by nobody, its publisher included.
#[test]
fn what_comes_back_has_no_bcc() -> anyhow::Result<()> {
    check(&expect![[r#"
        a1 > basic.publish exchange=amq.direct routing_key=nowhere mandatory "hello" headers={CC: ["cc"], BCC: ["bcc"], n: 1}
        a1 < basic.return reply_code=312 reply_text=NO_ROUTE exchange=amq.direct routing_key=nowhere "hello" headers={CC: ["cc"], n: 1}
    "#]])
}
